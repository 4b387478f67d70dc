// The standards' vectors, through Symbols and a token that has the vectors' keys: each vector is
// an agency whose parameter is the label or tweak, and whose linkage symbol is the input.
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <set>

#include "engine/masks.h"
#include "engine/symbols.h"
#include "oracles.h"
#include "scratch_token.h"
#include "tests/hsm/token_fixture.h"
#include "vector_file.h"

namespace fugo::engine {
namespace {

using fugo::testing::block_from_hex;
using fugo::testing::Bytes;
using fugo::testing::from_hex;
using fugo::testing::ImportedKey;
using fugo::testing::one_block;
using fugo::testing::openssl_ecb;
using fugo::testing::read_vectors;
using fugo::testing::ScratchToken;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;

// Cases collects vectors as agencies with a key version each, and evaluates them in one call.
class Cases {
 public:
  // add_key gives the version of the key with these bytes.
  std::uint16_t add_key(KeyPurpose purpose, KeyAlgorithm algorithm, const Bytes& value) {
    for (const auto& key : keys_)
      if (key.name.purpose == purpose && key.value == value) return key.name.version;
    keys_.push_back({{purpose, algorithm, ++version_}, value});
    return version_;
  }
  // add_pair gives both keys the same version.
  std::uint16_t add_pair(const Bytes& keys) {
    ++version_;
    const auto half = static_cast<std::ptrdiff_t>(keys.size() / 2);
    keys_.push_back({{KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, version_},
                     {keys.begin(), keys.begin() + half}});
    keys_.push_back({{KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256, version_},
                     {keys.begin() + half, keys.end()}});
    return version_;
  }
  void add(MethodNumber method, std::uint16_t key, const Block& label, const Block& input) {
    keystore::Agency agency;
    agency.number = static_cast<keystore::AgencyNumber>(agencies_.size() + 1);
    agency.versions = {{1, static_cast<std::uint8_t>(method), key, label}};
    agencies_.push_back(agency);
    numbers_.push_back(agency.number);
    inputs_.push_back(input);
  }
  Status try_open(hsm::TokenRole role) {
    scratch_ = std::make_unique<ScratchToken>(role, keys_);
    FUGO_ASSIGN(symbols_,
                Symbols::open(scratch_->token(), scratch_->rows(), {&generation_, 1}, agencies_));
    return {};
  }
  void open(hsm::TokenRole role) {
    const auto opened = try_open(role);
    ASSERT_TRUE(opened) << opened.error().message();
  }
  std::vector<Block> evaluate() {
    std::vector<Block> out(inputs_.size());
    const auto done = symbols_->agency(1, numbers_, inputs_, out);
    EXPECT_TRUE(done) << done.error().message();
    return out;
  }
  Symbols& symbols() { return *symbols_; }
  const std::vector<Block>& inputs() const { return inputs_; }
  const std::vector<keystore::AgencyNumber>& numbers() const { return numbers_; }

 private:
  std::uint16_t version_ = 0;
  std::vector<ImportedKey> keys_;
  std::vector<keystore::Agency> agencies_;
  std::vector<keystore::AgencyNumber> numbers_;
  std::vector<Block> inputs_;
  const keystore::GenerationRow generation_{};
  std::unique_ptr<ScratchToken> scratch_;
  std::unique_ptr<Symbols> symbols_;
};

Bytes bytes_of(const nlohmann::json& vector, const char* name) {
  return from_hex(vector.at(name).get<std::string>());
}
Block block_of(const nlohmann::json& vector, const char* name) {
  return one_block(bytes_of(vector, name));
}

TEST(CmacVectors, WycheproofMessagesOfTwoBlocks) {
  Cases cases;
  std::vector<nlohmann::json> used;
  const auto file = read_vectors("aes256_cmac.json");
  for (const auto& vector : file.at("cases")) {
    const auto message = bytes_of(vector, "message");
    if (message.size() != 32) continue;
    const auto key =
        cases.add_key(KeyPurpose::kAgency, KeyAlgorithm::kAes256, bytes_of(vector, "key"));
    cases.add(MethodNumber::kCmacFfAes256, key, one_block(message),
              one_block(ByteView(message).subspan(16)));
    used.push_back(vector);
  }
  ASSERT_FALSE(used.empty());
  cases.open(hsm::TokenRole::kIssuing);
  const auto out = cases.evaluate();
  for (std::size_t i = 0; i < used.size(); ++i)
    EXPECT_EQ((out[i] ^ cases.inputs()[i]) == block_of(used[i], "tag"), used[i].at("valid"))
        << used[i].at("id");
}

// The 64-byte example: what CBC-MAC chains up to the third block is the label.
TEST(CmacVectors, NistExampleOfFourBlocks) {
  const auto nist = read_vectors("sp800_38b_aes256_cmac.json");
  const auto& vector = nist.at("cases").at(3);
  const auto key = bytes_of(vector, "key");
  const auto message = bytes_of(vector, "message");
  ASSERT_EQ(message.size(), 64U);
  const auto part = [&](std::size_t i) { return one_block(ByteView(message).subspan(16 * i)); };
  const Block label = openssl_ecb(key, openssl_ecb(key, part(0)) ^ part(1)) ^ part(2);
  Cases cases;
  cases.add(MethodNumber::kCmacFfAes256,
            cases.add_key(KeyPurpose::kAgency, KeyAlgorithm::kAes256, key), label, part(3));
  cases.open(hsm::TokenRole::kLinking);
  EXPECT_EQ(cases.evaluate().front() ^ part(3), block_of(vector, "tag"));
}

TEST(XtsVectors, Ieee1619AndWycheproofThereAndBack) {
  Cases cases;
  std::vector<nlohmann::json> used;
  for (const char* file : {"ieee1619_aes256_xts.json", "aes256_xts_first_block.json"}) {
    const auto vectors = read_vectors(file);
    for (const auto& vector : vectors.at("cases")) {
      cases.add(MethodNumber::kXtsAes256, cases.add_pair(bytes_of(vector, "key")),
                block_of(vector, "tweak"), block_of(vector, "plaintext"));
      used.push_back(vector);
    }
  }
  if (!hsm::testing::abilities().blocks) {
    // CMAC cannot give single blocks: the token is refused for such agencies, in so many words.
    const auto refused = cases.try_open(hsm::TokenRole::kLinking);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
    EXPECT_NE(refused.error().hint.find("CKM_AES_ECB"), std::string::npos);
    return;
  }
  cases.open(hsm::TokenRole::kLinking);
  const auto out = cases.evaluate();
  for (std::size_t i = 0; i < used.size(); ++i) {
    EXPECT_EQ(out[i], block_of(used[i], "ciphertext")) << used[i].at("id");
    Block back;
    ASSERT_TRUE(cases.symbols().invert_agency(1, cases.numbers()[i], {&out[i], 1}, {&back, 1}));
    EXPECT_EQ(back, block_of(used[i], "plaintext")) << used[i].at("id");
  }
}

// FIPS 198-1 section 4: a key longer than a block of the hash is hashed first, a shorter one is
// filled with zeros. Both give a key of 32 bytes, the only length that a token of ours has.
Bytes hmac_key(Bytes key) {
  if (key.size() > 64) {
    Bytes hashed(32);
    SHA256(key.data(), key.size(), hashed.data());
    return hashed;
  }
  key.resize(32);
  return key;
}

TEST(HmacVectors, WycheproofMessagesOfTwoBlocks) {
  Cases cases;
  std::vector<nlohmann::json> used;
  std::set<Block> labels;
  const auto file = read_vectors("hmac_sha256.json");
  for (const auto& vector : file.at("cases")) {
    const auto message = bytes_of(vector, "message");
    if (message.size() != 32 || !vector.at("valid")) continue;
    if (!labels.insert(one_block(message)).second) continue;  // parameters are distinct
    const auto key = cases.add_key(KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256,
                                   hmac_key(bytes_of(vector, "key")));
    cases.add(MethodNumber::kHmacSha256, key, one_block(message),
              one_block(ByteView(message).subspan(16)));
    used.push_back(vector);
  }
  ASSERT_FALSE(used.empty());
  cases.open(hsm::TokenRole::kIssuing);
  const auto out = cases.evaluate();
  for (std::size_t i = 0; i < used.size(); ++i)
    EXPECT_EQ(out[i], block_of(used[i], "tag")) << used[i].at("id");
}

TEST(HmacVectors, Rfc4231ThroughTheTokensOwnSign) {
  std::vector<ImportedKey> keys;
  const auto cases = read_vectors("rfc4231_hmac_sha256.json").at("cases");
  for (const auto& vector : cases)
    keys.push_back({{KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256, vector.at("id")},
                    hmac_key(bytes_of(vector, "key"))});
  const ScratchToken scratch(hsm::TokenRole::kIssuing, keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto key = scratch.token()->find_key(keys[i].name, scratch.rows()[i].fingerprint);
    ASSERT_TRUE(key) << key.error().message();
    const auto expected = bytes_of(cases[i], "tag");
    Bytes tag(expected.size());
    ASSERT_TRUE(scratch.token()->sign(*key, bytes_of(cases[i], "message"), tag));
    EXPECT_EQ(tag, expected) << cases[i].at("id");
  }
}

}  // namespace
}  // namespace fugo::engine
