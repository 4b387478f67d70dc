// One contract over every PKCS#11 implementation that fugo is known to run on: after a real
// ceremony, its keys make the symbols that OpenSSL makes of the key bytes in the recovery package,
// and do nothing else. docs/tokens.md says what each implementation has and lacks.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <map>
#include <random>

#include "engine/symbols.h"
#include "hsm/ec_check.h"
#include "hsm/recovery_package.h"
#include "oracles.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::engine {
namespace {

using namespace fugo::hsm;
using fugo::testing::Bytes;
using hsm::testing::abilities;
using hsm::testing::find_shared;
using hsm::testing::open_shared;
using hsm::testing::shared_tokens;

constexpr std::size_t kCount = 2000;
constexpr KeyName kAgencyKey{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1};

Bytes open_oaep(const Bytes& blob) {
  std::FILE* file = std::fopen(shared_tokens().recovery_private_key.c_str(), "re");
  EVP_PKEY* key = PEM_read_PrivateKey(file, nullptr, nullptr, nullptr);
  std::fclose(file);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
  Bytes out(1024);
  std::size_t size = out.size();
  EVP_PKEY_decrypt_init(context);
  EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING);
  EXPECT_EQ(EVP_PKEY_decrypt(context, out.data(), &size, blob.data(), blob.size()), 1);
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(key);
  out.resize(size);
  return out;
}

// key_bytes are what the ceremony made, from the recovery package.
const std::map<KeyName, Bytes>& key_bytes() {
  static const auto all = [] {
    std::map<KeyName, Bytes> bytes;
    const auto package = read_recovery_package(shared_tokens().recovery_package);
    EXPECT_TRUE(package);
    for (const auto& entry : package->keys)
      if (entry.name.algorithm != KeyAlgorithm::kEcP256)
        bytes[entry.name] = open_oaep(entry.wrapped);
    return bytes;
  }();
  return all;
}

std::vector<keystore::KeyRow> registry_rows() {
  std::vector<keystore::KeyRow> rows;
  for (const auto& key : shared_tokens().ceremony.keys) {
    keystore::KeyRow row;
    row.purpose = static_cast<std::uint8_t>(key.name.purpose);
    row.algorithm = static_cast<std::uint8_t>(key.name.algorithm);
    row.version = key.name.version;
    row.state = keystore::KeyState::kActive;
    row.label = key_label(key.name);
    row.fingerprint = key.fingerprint;
    rows.push_back(row);
  }
  return rows;
}

Block label_of(const char* text) {
  Block block;
  for (std::size_t i = 0; text[i] != 0; ++i) block.bytes[i] = static_cast<std::uint8_t>(text[i]);
  return block;
}

// core is the core function by OpenSSL: CMAC(K, label || X) xor X.
Block core(const KeyName& name, const Block& label, const Block& x) {
  const fugo::testing::OpenSslCmac mac(key_bytes().at(name));
  return mac(fugo::testing::joined(label.bytes, x.bytes)) ^ x;
}

class Devices : public ::testing::Test {
 protected:
  // 1 is an agency by CMAC, 2 by HMAC.
  Devices() {
    for (const std::uint8_t method : {std::uint8_t{1}, std::uint8_t{2}}) {
      keystore::Agency agency;
      agency.number = method;
      Block parameter = label_of("parameter of");
      parameter.bytes[15] = method;
      agency.versions = {{1, method, 1, parameter}};
      agencies_.push_back(agency);
    }
    std::mt19937_64 random(7);
    for (std::size_t i = 0; i < kCount; ++i) {
      codes_.push_back(random() % 100'000'000'000);
      Block block;
      store_be(block.bytes.data(), random());
      store_be(block.bytes.data() + 8, random());
      blocks_.push_back(block);
    }
  }
  std::unique_ptr<Symbols> open(TokenRole role) const {
    auto opened = Symbols::open(open_shared(role), registry_rows(), {&generation_, 1}, agencies_);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  static Block input_of(std::uint64_t code) {
    Block x;
    x.bytes[0] = 1;  // the method
    store_be(x.bytes.data() + 8, code);
    return x;
  }

  const keystore::GenerationRow generation_{};
  std::vector<keystore::Agency> agencies_;
  std::vector<std::uint64_t> codes_;
  std::vector<Block> blocks_;
};

TEST_F(Devices, EveryTokenHasTheKeysOfItsRoleAsTheyMustBe) {
  std::vector<ExpectedKey> expected;
  for (const auto& key : shared_tokens().ceremony.keys)
    expected.push_back({key.name, key.fingerprint});
  for (const auto role : {TokenRole::kIssuing, TokenRole::kLinking, TokenRole::kStandby}) {
    const auto token = open_shared(role);
    for (const Error& fault : token->verify_keys(expected)) ADD_FAILURE() << fault.message();
    const auto wrap = find_shared(*token, {KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 1});
    EXPECT_TRUE(token->unwrap_data_key(wrap, shared_tokens().ceremony.wrapped_data_key));
  }
  EXPECT_EQ(find_shared(*open_shared(TokenRole::kIssuing), kAgencyKey).blocks, abilities().blocks);
}

TEST_F(Devices, LinkageSymbolsAndCheckValuesAreOpenssls) {
  const KeyName key{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1};
  const auto symbols = open(TokenRole::kIssuing);
  ASSERT_TRUE(symbols);
  std::vector<Block> out(kCount), chained(kCount);
  std::vector<keystore::CheckValue> checks(kCount);
  ASSERT_TRUE(symbols->linkage_and_check(generation_, codes_, out, checks));
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(out[i], core(key, label_of("linkage"), input_of(codes_[i]))) << i;
    const Block check = core(key, label_of("check"), input_of(codes_[i]));
    ASSERT_TRUE(std::equal(checks[i].begin(), checks[i].end(), check.bytes.begin())) << i;
  }
  chained = out;
  ASSERT_TRUE(symbols->chain(generation_, chained, checks));
  for (std::size_t i = 0; i < kCount; ++i)
    ASSERT_EQ(chained[i], core(key, label_of("chain"), out[i])) << i;
}

TEST_F(Devices, AgencyAndRecordSymbolsAreOpensslsInEveryRole) {
  for (const auto role : {TokenRole::kIssuing, TokenRole::kLinking, TokenRole::kStandby}) {
    const auto symbols = open(role);
    ASSERT_TRUE(symbols);
    std::vector<Block> out(kCount);
    std::vector<keystore::AgencyNumber> numbers(kCount);
    for (std::size_t i = 0; i < kCount; ++i)
      numbers[i] = static_cast<keystore::AgencyNumber>(1 + i % 2);
    ASSERT_TRUE(symbols->agency(1, numbers, blocks_, out));
    const fugo::testing::OpenSslHmac hmac(
        key_bytes().at({KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256, 1}));
    for (std::size_t i = 0; i < kCount; ++i) {
      const Block& parameter = agencies_[numbers[i] - 1U].versions.front().parameter;
      const Block right = numbers[i] == 1
                              ? core(kAgencyKey, parameter, blocks_[i])
                              : hmac(fugo::testing::joined(parameter.bytes, blocks_[i].bytes));
      ASSERT_EQ(out[i], right) << i;
    }
    ASSERT_TRUE(symbols->record(generation_, blocks_, out));
    const KeyName record{KeyPurpose::kRecord, KeyAlgorithm::kAes256, 1};
    for (std::size_t i = 0; i < kCount; ++i)
      ASSERT_EQ(out[i], core(record, label_of("record"), blocks_[i])) << i;
  }
}

TEST_F(Devices, TheJournalKeySigns) {
  const auto token = open_shared(TokenRole::kIssuing);
  const KeyName name{KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1};
  const Key key = find_shared(*token, name);
  SecretBytes<64> signature;
  ASSERT_TRUE(token->sign(key, as_bytes("a checkpoint"), signature.bytes()));
  EXPECT_TRUE(verify_p256(shared_tokens().ceremony.journal_public_key, as_bytes("a checkpoint"),
                          signature.bytes())
                  .value());
}

TEST_F(Devices, AnotherKeyUnderTheSameNameIsFoundByItsFingerprint) {
  const auto token = open_shared(TokenRole::kIssuing);
  Block wrong = shared_tokens().fingerprint(kAgencyKey);
  wrong.bytes[3] ^= 1U;
  const auto found = token->find_key(kAgencyKey, wrong);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kRefused);
}

// try_to_get_out: what would give the key's bytes, or a use that it must not have.
void try_to_get_out(Session& session, const KeyName& name, const KeyUses& uses) {
  auto& f = *session.functions();
  const auto found = find_one_key(&f, session.handle(), name);
  ASSERT_TRUE(found) << found.error().message();
  CK_BYTE bytes[512];
  CK_ATTRIBUTE value{CKA_VALUE, bytes, sizeof(bytes)};
  EXPECT_NE(f.C_GetAttributeValue(session.handle(), *found, &value, 1), CKR_OK);
  for (const FlagRule& rule : flag_rules(name.algorithm, uses)) {
    Template change, copy;
    change.flag(rule.type, !rule.value);
    copy.flag(CKA_TOKEN, false).flag(rule.type, !rule.value);
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    EXPECT_NE(f.C_SetAttributeValue(session.handle(), *found, change.data(), 1), CKR_OK)
        << rule.name;
    const CK_RV copied = f.C_CopyObject(session.handle(), *found, copy.data(), copy.size(), &made);
    EXPECT_EQ(copied == CKR_OK, !abilities().keeps_copies && rule.type != CKA_SENSITIVE)
        << rule.name;
  }
  const auto begins = [&](CK_C_EncryptInit init, CK_MECHANISM_TYPE mechanism) {
    auto own = hsm::testing::open_raw(shared_tokens().issuing);
    EXPECT_TRUE(own);
    CK_MECHANISM with{mechanism, nullptr, 0};
    return init(own->handle(), &with, *found) == CKR_OK;
  };
  if (name.algorithm != KeyAlgorithm::kAes256) return;
  EXPECT_EQ(begins(f.C_EncryptInit, CKM_AES_ECB), uses.encrypt);
  EXPECT_EQ(begins(f.C_DecryptInit, CKM_AES_ECB), uses.decrypt);
  EXPECT_EQ(begins(f.C_SignInit, CKM_AES_CMAC), uses.sign);
  EXPECT_FALSE(begins(f.C_VerifyInit, CKM_AES_CMAC));
}

TEST_F(Devices, NoKeyComesOutOrDoesWhatItMustNot) {
  auto session = hsm::testing::open_raw(shared_tokens().issuing);
  ASSERT_TRUE(session) << session.error().message();
  for (const KeyName& name : shared_tokens().names) {
    SCOPED_TRACE(key_label(name));
    const auto placement = placement_of(name, TokenRole::kIssuing);
    if (placement.present)
      try_to_get_out(*session, name, hsm::testing::uses_here(name, TokenRole::kIssuing));
    else
      EXPECT_TRUE(check_absent(session->functions(), session->handle(), name));
  }
}

}  // namespace
}  // namespace fugo::engine
