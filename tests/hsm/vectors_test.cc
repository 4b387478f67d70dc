// Known answers of others, against the token, OpenSSL and Botan.
#include <botan/mac.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

using nlohmann::json;
using Bytes = std::vector<std::uint8_t>;

// Case reads attributes of a vector; one that nobody read is an error at its end.
class Case {
 public:
  explicit Case(const json& fields) : fields_(fields) {}
  ~Case() {
    for (const auto& [name, value] : fields_.items())
      EXPECT_TRUE(read_.contains(name)) << "no test reads the attribute " << name;
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;
  Bytes bytes(const char* name) {
    read_.insert(name);
    const auto raw = unhex(fields_.at(name).get<std::string>());
    EXPECT_TRUE(raw) << name;
    return {raw->begin(), raw->end()};
  }
  int id() {
    read_.insert("id");
    return fields_.at("id").get<int>();
  }
  bool valid() {
    read_.insert("valid");
    return fields_.at("valid").get<bool>();
  }

 private:
  const json& fields_;
  std::set<std::string> read_;
};

json load(const std::string& name) {
  std::ifstream in(std::string(FUGO_TEST_DATA) + "/vectors/" + name);
  json out = json::parse(in);
  EXPECT_TRUE(out.contains("source") && out.contains("licence")) << name;
  return out;
}

Bytes openssl_mac(const char* mac, const char* cipher, const char* digest, const Bytes& key,
                  const Bytes& message) {
  Bytes out(64);
  std::size_t size = 0;
  OSSL_PARAM parameters[2] = {OSSL_PARAM_END, OSSL_PARAM_END};
  char name[] = "AES-256-CBC";
  if (cipher != nullptr) parameters[0] = OSSL_PARAM{"cipher", OSSL_PARAM_UTF8_STRING, name, 11, 0};
  if (EVP_Q_mac(nullptr, mac, nullptr, digest, parameters, key.data(), key.size(), message.data(),
                message.size(), out.data(), out.size(), &size) == nullptr)
    return {};
  out.resize(size);
  return out;
}

Bytes botan_mac(const char* name, const Bytes& key, const Bytes& message) {
  const auto mac = Botan::MessageAuthenticationCode::create_or_throw(name);
  mac->set_key(key.data(), key.size());
  mac->update(message);
  const auto out = mac->final();
  return {out.begin(), out.end()};
}

Bytes token_mac(Session& session, CK_KEY_TYPE type, CK_MECHANISM_TYPE mechanism_type,
                const Bytes& key, const Bytes& message) {
  Template made;
  made.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, type)
      .bytes(CKA_VALUE, key)
      .flag(CKA_TOKEN, false)
      .flag(CKA_SIGN, true);
  auto* functions = session.functions();
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  EXPECT_EQ(functions->C_CreateObject(session.handle(), made.data(), made.size(), &object), CKR_OK);
  CK_MECHANISM mechanism{mechanism_type, nullptr, 0};
  Bytes out(64), input = message;
  input.reserve(1);  // SoftHSM refuses a null pointer even for an empty message
  CK_ULONG size = out.size();
  EXPECT_EQ(functions->C_SignInit(session.handle(), &mechanism, object), CKR_OK);
  EXPECT_EQ(functions->C_Sign(session.handle(), input.data(), input.size(), out.data(), &size),
            CKR_OK);
  EXPECT_EQ(functions->C_DestroyObject(session.handle(), object), CKR_OK);
  out.resize(size);
  return out;
}

class Vectors : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = std::make_unique<ScratchToken>(make_scratch_token("vectors", TokenRole::kIssuing));
  }
  static void TearDownTestSuite() { scratch_.reset(); }
  void SetUp() override {
    auto session = open_raw(scratch_->settings);
    ASSERT_TRUE(session) << session.error().message();
    session_ = std::move(*session);
  }
  // expect compares a MAC, cut to the tag's length, with a case.
  static void expect(const Bytes& mac, const Bytes& tag, bool valid, const char* who) {
    ASSERT_GE(mac.size(), tag.size()) << who;
    EXPECT_EQ(equal_in_constant_time(ByteView(mac).first(tag.size()), tag), valid) << who;
  }
  void check_cmac(const std::string& file) {
    for (const json& fields : load(file).at("cases")) {
      Case c(fields);
      SCOPED_TRACE(file + " " + std::to_string(c.id()));
      const auto key = c.bytes("key"), message = c.bytes("message"), tag = c.bytes("tag");
      const bool valid = c.valid();
      expect(token_mac(session_, CKK_AES, CKM_AES_CMAC, key, message), tag, valid, "token");
      expect(openssl_mac("CMAC", "AES-256-CBC", nullptr, key, message), tag, valid, "OpenSSL");
      expect(botan_mac("CMAC(AES-256)", key, message), tag, valid, "Botan");
    }
  }
  void check_hmac(const std::string& file) {
    for (const json& fields : load(file).at("cases")) {
      Case c(fields);
      SCOPED_TRACE(file + " " + std::to_string(c.id()));
      const auto key = c.bytes("key"), message = c.bytes("message"), tag = c.bytes("tag");
      const bool valid = c.valid();
      // SoftHSM takes keys of 32 bytes and more for HMAC-SHA-256; ours have 32.
      if (key.size() >= 32)
        expect(token_mac(session_, CKK_GENERIC_SECRET, CKM_SHA256_HMAC, key, message), tag, valid,
               "token");
      expect(openssl_mac("HMAC", nullptr, "SHA256", key, message), tag, valid, "OpenSSL");
      expect(botan_mac("HMAC(SHA-256)", key, message), tag, valid, "Botan");
    }
  }
  static std::unique_ptr<ScratchToken> scratch_;
  Session session_;
};
std::unique_ptr<ScratchToken> Vectors::scratch_;

TEST_F(Vectors, Sp80038bCmac) { check_cmac("sp800_38b_aes256_cmac.json"); }
TEST_F(Vectors, WycheproofCmac) { check_cmac("aes256_cmac.json"); }
TEST_F(Vectors, Rfc4231Hmac) { check_hmac("rfc4231_hmac_sha256.json"); }
TEST_F(Vectors, WycheproofHmac) { check_hmac("hmac_sha256.json"); }

// One block of XTS as two ECB evaluations and two XORs, in the token: IEEE 1619 section 5.3.
TEST_F(Vectors, WycheproofXtsFirstBlock) {
  const auto file = load("aes256_xts_first_block.json");
  const auto opened = *Token::open(scratch_->settings);
  const KeyName data_name{KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1};
  const KeyName tweak_name{KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256, 1};
  const auto block_of = [](const Bytes& bytes) {
    Block out;
    std::copy_n(bytes.begin(), 16, out.bytes.begin());
    return out;
  };
  if (!abilities().blocks) {
    const auto object = import_key(session_, data_name, {.encrypt = true}, Bytes(32, 1));
    CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
    EXPECT_EQ(session_.functions()->C_EncryptInit(session_.handle(), &mechanism, object.value()),
              CKR_MECHANISM_INVALID);
    return;  // the method is refused: tests/engine/symbol_vectors_test.cc
  }
  const auto evaluate = [&](const KeyName& name, const Bytes& value, const Block& input) {
    const auto object = import_key(session_, name, {.encrypt = true}, value);
    EXPECT_TRUE(object);
    const auto key = opened->find_key(name, std::nullopt);
    EXPECT_TRUE(key) << key.error().message();
    Block out;
    EXPECT_TRUE(opened->encrypt(
        *key, 1, [&](std::size_t, std::span<Block> to) { to[0] = input; },
        [&](std::size_t, std::span<const Block> from) { out = from[0]; }));
    EXPECT_EQ(session_.functions()->C_DestroyObject(session_.handle(), *object), CKR_OK);
    return out;
  };
  for (const json& fields : file.at("cases")) {
    Case c(fields);
    SCOPED_TRACE(c.id());
    const auto keys = c.bytes("key");
    ASSERT_EQ(keys.size(), 64U);
    const Bytes k1(keys.begin(), keys.begin() + 32), k2(keys.begin() + 32, keys.end());
    const Block tweak = evaluate(tweak_name, k2, block_of(c.bytes("tweak")));
    const Block out = evaluate(data_name, k1, block_of(c.bytes("plaintext")) ^ tweak) ^ tweak;
    EXPECT_EQ(out, block_of(c.bytes("ciphertext")));
  }
}

}  // namespace
}  // namespace fugo::hsm::testing
