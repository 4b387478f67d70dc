#include "keystore/content_digest.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "keystore/openssl_util.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

// Straightforward is the digest as docs/spec/ledger.md says it, one block at a time, summed by
// OpenSSL's big numbers.
class Straightforward {
 public:
  explicit Straightforward(const LedgerKeys& keys) {
    const char* names[] = {"fugo digest A", "fugo digest B", "fugo digest C"};
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(hkdf_sha256(keys.digest().bytes(), keys.ledger_id().bytes, as_bytes(names[i]),
                              keys_[i].bytes())
                      .has_value());
  }
  ~Straightforward() { BN_free(sum_); }

  Block aes(int key, const Block& block) const {
    EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
    std::uint8_t out[32];
    int size = 0;
    EVP_EncryptInit_ex(context, EVP_aes_256_ecb(), nullptr, keys_[key].data(), nullptr);
    EVP_EncryptUpdate(context, out, &size, block.bytes.data(), 16);
    EVP_CIPHER_CTX_free(context);
    Block result;
    std::memcpy(result.bytes.data(), out, 16);
    return result;
  }
  void add(const Block& linkage_symbol, const Block& mask) {
    const Block y = aes(0, aes(0, linkage_symbol) ^ mask);
    std::uint8_t element[32];
    std::memcpy(element, aes(1, y).bytes.data(), 16);
    std::memcpy(element + 16, aes(2, y).bytes.data(), 16);
    BIGNUM* number = BN_bin2bn(element, 32, nullptr);
    BN_add(sum_, sum_, number);
    BN_mask_bits(sum_, 256);
    BN_free(number);
  }
  [[nodiscard]] DigestSum sum() const {
    std::uint8_t bytes[32];
    BN_bn2binpad(sum_, bytes, 32);
    DigestSum result;
    for (std::size_t i = 0; i < 4; ++i) result.limbs[3 - i] = load_be<std::uint64_t>(bytes + 8 * i);
    return result;
  }

 private:
  SecretBytes<32> keys_[3];
  BIGNUM* sum_ = BN_new();
};

class ContentDigestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SecretBytes<32> data_key;
    data_key.data()[0] = 9;
    Block ledger_id;
    ledger_id.bytes[3] = 7;
    auto keys = LedgerKeys::derive(data_key, ledger_id);
    ASSERT_OK(keys);
    keys_ = *keys;
    auto digest = ContentDigest::create(keys_);
    ASSERT_OK(digest);
    digest_ = *digest;
  }

  DigestSum people_sum(std::span<const PersonRecord> people) {
    DigestSum sum;
    EXPECT_TRUE(digest_->add_people(people, sum).has_value());
    return sum;
  }

  std::shared_ptr<const LedgerKeys> keys_;
  std::shared_ptr<const ContentDigest> digest_;
  std::mt19937_64 random_{99};
};

TEST_F(ContentDigestTest, PeopleAgreeWithAStraightforwardComputation) {
  for (const std::size_t count : {0UL, 1UL, 255UL, 256UL, 300UL}) {
    const auto people = random_people(random_, count);
    Straightforward expected(*keys_);
    for (const PersonRecord& person : people) {
      Block mask;  // 'p' | 0 | counter | check value | method | state | start
      mask.bytes[0] = 'p';
      store_be(&mask.bytes[2], person.counter);
      std::copy(person.check_value.begin(), person.check_value.end(), &mask.bytes[4]);
      mask.bytes[12] = person.method;
      mask.bytes[13] = static_cast<std::uint8_t>(person.state);
      store_be(&mask.bytes[14], person.start);
      expected.add(person.linkage_symbol, expected.aes(0, mask));
    }
    EXPECT_EQ(people_sum(people), expected.sum());
  }
}

TEST_F(ContentDigestTest, IssuancesAgreeWithAStraightforwardComputation) {
  const auto people = random_people(random_, 700);
  Straightforward expected(*keys_), with_times(*keys_);
  const std::string codes[] = {"A", "131016", "0123456789ABCDEF"};
  std::vector<Block> symbols, bases(people.size()), masks, time_masks;
  for (const PersonRecord& person : people) {
    const std::string& code = codes[random_() % 3];
    const auto time = static_cast<std::int64_t>(random_() % 4000000000);
    Block domain, padded;
    domain.bytes[0] = 'i';
    std::copy(code.begin(), code.end(), padded.bytes.begin());
    expected.add(person.linkage_symbol, expected.aes(0, expected.aes(0, domain) ^ padded));
    domain.bytes[0] = 't';
    store_be(&domain.bytes[8], static_cast<std::uint64_t>(time));
    with_times.add(person.linkage_symbol, expected.aes(0, expected.aes(0, domain) ^ padded));
    symbols.push_back(person.linkage_symbol);
    masks.push_back(digest_->agency_mask(code).value());
    time_masks.push_back(digest_->agency_time_mask(code, time).value());
  }
  ASSERT_OK(digest_->person_bases(symbols, bases));
  DigestSum sum, times;
  ASSERT_OK(digest_->add_issuances(bases, masks, sum));
  ASSERT_OK(digest_->add_issuances(bases, time_masks, times));
  EXPECT_EQ(sum, expected.sum());
  EXPECT_EQ(times, with_times.sum());
}

TEST_F(ContentDigestTest, OrderAndSplitsDoNotMatter) {
  auto people = random_people(random_, 1000);
  const DigestSum all = people_sum(people);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(people.begin(), people.end(), random_);
    const std::size_t cut = random_() % people.size();
    DigestSum sum = people_sum(std::span(people).first(cut));
    sum.add(people_sum(std::span(people).subspan(cut)));
    ASSERT_EQ(sum, all);
  }
  people[0].counter = static_cast<std::uint16_t>(people[0].counter + 1);
  EXPECT_NE(people_sum(people), all);
}

TEST_F(ContentDigestTest, OneAtATimeIsTheSameAsABatch) {
  const auto people = random_people(random_, 600);
  DigestSum sum;
  for (const PersonRecord& person : people)
    ASSERT_OK(digest_->add_people(std::span(&person, 1), sum));
  EXPECT_EQ(sum, people_sum(people));
}

TEST_F(ContentDigestTest, AddCarriesThroughAllLimbsAndWrapsAround) {
  constexpr std::uint64_t kFull = ~std::uint64_t{0};
  DigestSum sum{{kFull, kFull, kFull, kFull}};
  sum.add(DigestSum{{1, 0, 0, 0}});
  EXPECT_EQ(sum, DigestSum{});
  sum = DigestSum{{kFull, kFull, 5, 0}};
  sum.add(DigestSum{{kFull, kFull, 1, 2}});
  EXPECT_EQ(sum, (DigestSum{{kFull - 1, kFull, 7, 2}}));
}

TEST_F(ContentDigestTest, MasksSeparateAgenciesAndTimes) {
  std::set<Block> masks;
  for (const char* code : {"A", "B", "AB", "A0"}) {
    masks.insert(digest_->agency_mask(code).value());
    for (const std::int64_t time : {0, 1, 256})
      masks.insert(digest_->agency_time_mask(code, time).value());
  }
  EXPECT_EQ(masks.size(), 16U);
  EXPECT_FALSE(digest_->agency_mask("").has_value());
  EXPECT_FALSE(digest_->agency_mask("0123456789ABCDEFG").has_value());
}

TEST_F(ContentDigestTest, TextDependsOnWhatItCovers) {
  LedgerState state;
  state.people_digest.limbs = {1, 2, 3, 4};
  const std::string before = digest_->text(state, false).value();
  const std::string with_times = digest_->text(state, true).value();
  EXPECT_EQ(before.size(), 64U);
  EXPECT_NE(before, with_times);
  state.times_digest.limbs = {1, 0, 0, 0};
  EXPECT_EQ(digest_->text(state, false).value(), before);
  EXPECT_NE(digest_->text(state, true).value(), with_times);
  state.issued_digest.limbs = {1, 0, 0, 0};
  EXPECT_NE(digest_->text(state, false).value(), before);
}

}  // namespace
}  // namespace fugo::keystore
