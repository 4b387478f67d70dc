// PeopleFinder with symbols of 16 bits, so that people collide: who is told apart, who is one.
#include "engine/issue/people_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "memory_snapshot.h"
#include "tests/engine/oracles.h"
#include "tests/engine/scratch_token.h"

namespace fugo::engine {
namespace {

using fugo::testing::Bytes;
using fugo::testing::MemorySnapshot;
using fugo::testing::ScratchToken;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;
using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::size_t kPeople = 3000;  // some 70 of them collide
constexpr std::uint64_t kFirstCode = 10'000'000'000;

// The fixture is a model of the issuer: who was made, under which symbol.
class PeopleFinderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    token_ = new ScratchToken(hsm::TokenRole::kIssuing,
                              {{{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1}, Bytes(32, 1)},
                               {{KeyPurpose::kRecord, KeyAlgorithm::kAes256, 1}, Bytes(32, 2)}});
  }
  static void TearDownTestSuite() { delete token_; }

  void SetUp() override {
    generation_.linkage_method = static_cast<std::uint8_t>(MethodNumber::kTest16);
    starts_ = {{generation_, {}}};
    auto opened = Symbols::open(token_->token(), token_->rows(), std::vector{generation_},
                                std::vector<keystore::Agency>{});
    ASSERT_TRUE(opened) << opened.error().message();
    symbols_ = std::move(*opened);
    auto keys = keystore::LedgerKeys::derive(SecretBytes<32>(), Block{});
    ASSERT_TRUE(keys);
    keys_ = *keys;
  }

  // Finds the people of the rows, checks what was found, and makes those who are new.
  void segment(const std::vector<std::uint64_t>& codes) {
    auto columns = PeopleColumns::create(codes.size());
    ASSERT_TRUE(columns);
    PeopleFinder finder(*symbols_, *keys_, ledger_, starts_, *columns);
    const auto found = finder.run(codes);
    ASSERT_TRUE(found) << found.error().message();
    collided_ = collided_ || columns->collided;
    std::map<std::uint64_t, std::uint32_t> leader_of;  // code -> first row
    for (std::uint32_t row = 0; row < codes.size(); ++row) {
      leader_of.emplace(codes[row], row);
      const bool known = person_of_.count(codes[row]) != 0;
      ASSERT_EQ(columns->ids[row], known ? person_of_[codes[row]] : kNoPerson) << "row " << row;
      if (!known) {
        ASSERT_EQ(columns->leaders[row], leader_of[codes[row]]) << "row " << row;
      }
      if (columns->counters[row] != 0) {
        if (known)
          ++known_collided_;
        else
          ++(leader_of[codes[row]] == row ? new_collided_ : followers_collided_);
      }
      expect_symbol(codes[row], *columns, row);
    }
    for (const auto& [code, row] : leader_of)
      if (person_of_.count(code) == 0) make(code, *columns, row);
  }

  void expect_symbol(std::uint64_t code, const PeopleColumns& columns, std::uint32_t row) {
    Block symbol;
    const std::uint16_t counter = columns.counters[row];
    ASSERT_TRUE(symbols_->linkage(generation_, {&code, 1}, {&counter, 1}, {&symbol, 1}));
    ASSERT_EQ(columns.symbols[row], symbol) << "row " << row;
    const auto [owner, fresh] = owner_of_.emplace(std::string(as_text(symbol.bytes)), code);
    ASSERT_EQ(owner->second, code) << "two people have one symbol";
  }

  void make(std::uint64_t code, const PeopleColumns& columns, std::uint32_t row) {
    keystore::PersonRecord record;
    record.linkage_symbol = columns.symbols[row];
    record.check_value = columns.checks[row];
    record.counter = columns.counters[row];
    person_of_[code] = ledger_.add_person(record, columns.digests[row]);
  }

  static ScratchToken* token_;
  keystore::GenerationRow generation_;
  std::vector<Start> starts_;
  std::unique_ptr<Symbols> symbols_;
  std::shared_ptr<const keystore::LedgerKeys> keys_;
  MemorySnapshot ledger_;
  std::map<std::uint64_t, PersonId> person_of_;    // code -> id
  std::map<std::string, std::uint64_t> owner_of_;  // symbol -> code
  bool collided_ = false;
  std::size_t new_collided_ = 0, followers_collided_ = 0, known_collided_ = 0;
};
ScratchToken* PeopleFinderTest::token_ = nullptr;

TEST_F(PeopleFinderTest, ManyRowsOfEachPersonInOneSegmentAndAcrossSegments) {
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> rows;
  for (std::uint64_t person = 0; person < kPeople; ++person)
    rows.insert(rows.end(), 1 + person % 4, kFirstCode + person);
  std::shuffle(rows.begin(), rows.end(), random);
  for (std::size_t at = 0; at < rows.size(); at += 2500) {
    segment({rows.begin() + static_cast<std::ptrdiff_t>(at),
             rows.begin() + static_cast<std::ptrdiff_t>(std::min(at + 2500, rows.size()))});
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(person_of_.size(), kPeople);
  EXPECT_EQ(owner_of_.size(), kPeople);
  // Each way of meeting a collision was taken.
  EXPECT_TRUE(collided_);
  EXPECT_GT(new_collided_, 10U);
  EXPECT_GT(followers_collided_, 10U);
  EXPECT_GT(known_collided_, 10U);
}

TEST_F(PeopleFinderTest, TheSameRowsInOneSegmentAreFoundAgain) {
  std::vector<std::uint64_t> rows;
  for (std::uint64_t person = 0; person < kPeople; ++person)
    rows.insert(rows.end(), 2, kFirstCode + person);
  segment(rows);
  if (HasFatalFailure()) return;
  segment({rows.rbegin(), rows.rend()});
  EXPECT_GT(followers_collided_, 20U);
  EXPECT_EQ(known_collided_, 2 * new_collided_);
}

}  // namespace
}  // namespace fugo::engine
