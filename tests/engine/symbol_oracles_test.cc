// Every method against independent implementations, on a million random inputs and more: OpenSSL,
// Botan, and for CMAC the token's own mechanism under the same key bytes.
#include <gtest/gtest.h>

#include <random>

#include "base/parallel.h"
#include "engine/symbols.h"
#include "oracles.h"
#include "scratch_token.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::engine {
namespace {

using fugo::testing::Bytes;
using fugo::testing::ScratchToken;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;

constexpr std::size_t kAgencies = 16;

class SymbolOracles : public ::testing::Test {
 protected:
  SymbolOracles() : random_(seed_) { RecordProperty("seed", std::to_string(seed_)); }

  Bytes random_bytes(std::size_t size) {
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random_());
    return bytes;
  }
  Block random_block() {
    Block block;
    store_be(block.bytes.data(), random_());
    store_be(block.bytes.data() + 8, random_());
    return block;
  }
  // run makes a million agency symbols of random linkage symbols for random agencies; fewer where
  // the token makes each of them in a call of its own.
  void run(MethodNumber method, const std::vector<fugo::testing::ImportedKey>& keys) {
    const std::size_t count = hsm::testing::abilities().fast_signing ? 1'000'000 : 50'000;
    scratch_ = std::make_unique<ScratchToken>(hsm::TokenRole::kIssuing, keys);
    std::vector<keystore::Agency> agencies(kAgencies);
    for (std::size_t i = 0; i < kAgencies; ++i) {
      agencies[i].number = static_cast<keystore::AgencyNumber>(i + 1);
      agencies[i].versions = {{1, static_cast<std::uint8_t>(method), 1, random_block()}};
      labels_.push_back(agencies[i].versions.front().parameter);
    }
    auto symbols = Symbols::open(scratch_->token(), scratch_->rows(), {&generation_, 1}, agencies);
    if (method == MethodNumber::kXtsAes256 && !hsm::testing::abilities().blocks) {
      ASSERT_FALSE(symbols);
      EXPECT_EQ(symbols.error().code, ErrorCode::kRefused);
      return;  // nothing to compare
    }
    ASSERT_TRUE(symbols) << symbols.error().message();
    for (std::size_t i = 0; i < count; ++i) {
      numbers_.push_back(static_cast<keystore::AgencyNumber>(1 + random_() % kAgencies));
      inputs_.push_back(random_block());
    }
    outputs_.resize(count);
    const auto done = (*symbols)->agency(1, numbers_, inputs_, outputs_);
    ASSERT_TRUE(done) << done.error().message();
  }
  const Block& label(std::size_t i) const { return labels_[numbers_[i] - 1U]; }
  // compare counts the items whose symbol is not what a new Oracle(key) gives.
  template <typename Oracle, typename Expected>
  std::size_t differences(const Oracle& make_oracle, const Expected& expected) {
    std::atomic<std::size_t> different{0};
    const auto done = parallel_ranges(inputs_.size(), 16'384, hardware_threads(),
                                      [&](std::size_t first, std::size_t last, std::size_t) {
                                        const auto oracle = make_oracle();
                                        for (std::size_t i = first; i < last; ++i)
                                          if (outputs_[i] != expected(oracle, i)) ++different;
                                        return Status();
                                      });
    EXPECT_TRUE(done);
    return different;
  }
  template <typename Mac>
  Block feed_forward(const Mac& mac, std::size_t i) const {
    return mac(fugo::testing::joined(label(i).bytes, inputs_[i].bytes)) ^ inputs_[i];
  }

  const std::uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_;
  const keystore::GenerationRow generation_{};
  std::unique_ptr<ScratchToken> scratch_;
  std::vector<Block> labels_, inputs_, outputs_;
  std::vector<keystore::AgencyNumber> numbers_;
};

TEST_F(SymbolOracles, CmacOfAMillionInputs) {
  const auto key = random_bytes(32);
  run(MethodNumber::kCmacFfAes256, {{{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1}, key}});
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(differences([&] { return fugo::testing::OpenSslCmac(key); },
                        [&](const auto& mac, std::size_t i) { return feed_forward(mac, i); }),
            0U);
  EXPECT_EQ(differences([&] { return fugo::testing::BotanMac("CMAC(AES-256)", key); },
                        [&](const auto& mac, std::size_t i) { return feed_forward(mac, i); }),
            0U);
  std::atomic<std::size_t> different{0};
  scratch_->cmac(
      key, inputs_.size(), hardware_threads(),
      [&](std::size_t i, std::uint8_t* message) {
        std::copy_n(label(i).bytes.begin(), 16, message);
        std::copy_n(inputs_[i].bytes.begin(), 16, message + 16);
      },
      [&](std::size_t i, const Block& tag) {
        if ((tag ^ inputs_[i]) != outputs_[i]) ++different;
      });
  EXPECT_EQ(different, 0U) << "C_Sign";
}

TEST_F(SymbolOracles, XtsOfAMillionInputs) {
  const auto k1 = random_bytes(32);
  const auto k2 = random_bytes(32);
  run(MethodNumber::kXtsAes256, {{{KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1}, k1},
                                 {{KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256, 1}, k2}});
  ASSERT_FALSE(HasFatalFailure());
  const auto both = fugo::testing::joined(k1, k2);
  const auto xts = [&](const auto& mode, std::size_t i) { return mode(label(i), inputs_[i]); };
  EXPECT_EQ(differences([&] { return fugo::testing::OpenSslXts(both); }, xts), 0U);
  EXPECT_EQ(differences([&] { return fugo::testing::BotanXts(both); }, xts), 0U);
}

// One C_Sign a symbol: the token's own mechanism makes these, so two oracles are left.
TEST_F(SymbolOracles, HmacOfAMillionInputs) {
  const auto key = random_bytes(32);
  run(MethodNumber::kHmacSha256, {{{KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256, 1}, key}});
  ASSERT_FALSE(HasFatalFailure());
  const auto hmac = [&](const auto& mac, std::size_t i) {
    return mac(fugo::testing::joined(label(i).bytes, inputs_[i].bytes));
  };
  EXPECT_EQ(differences([&] { return fugo::testing::OpenSslHmac(key); }, hmac), 0U);
  EXPECT_EQ(differences([&] { return fugo::testing::BotanMac("HMAC(SHA-256)", key); }, hmac), 0U);
}

}  // namespace
}  // namespace fugo::engine
