// PeopleFinder after linkage regenerations: whoever starts from an older generation is found, and
// nobody is made twice, with symbols of 16 bits so that people collide.
#include "engine/issue/elder_finder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "engine/issue/people_finder.h"
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
using keystore::Generation;
using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::uint64_t kFirstCode = 10'000'000'000;
constexpr Generation kGenerations = 3;

// The fixture is a model of the ledger: who is there, under which symbol of the active generation.
class ElderFinderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    token_ = new ScratchToken(hsm::TokenRole::kIssuing,
                              {{{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1}, Bytes(32, 1)},
                               {{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 2}, Bytes(32, 2)},
                               {{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 3}, Bytes(32, 3)}});
  }
  static void TearDownTestSuite() { delete token_; }

  void SetUp() override {
    const std::vector<keystore::GenerationRow> none;
    auto opened = Symbols::open(token_->token(), token_->rows(), none, {});
    ASSERT_TRUE(opened) << opened.error().message();
    symbols_ = std::move(*opened);
    auto keys = keystore::LedgerKeys::derive(SecretBytes<32>(), Block{});
    ASSERT_TRUE(keys);
    keys_ = *keys;
    add_generation();
  }

  void add_generation() {
    for (auto& row : generations_) row.state = keystore::GenerationState::kAccepting;
    keystore::GenerationRow row;
    row.number = row.linkage_generation = static_cast<Generation>(generations_.size() + 1);
    row.linkage_method = static_cast<std::uint8_t>(MethodNumber::kTest16);
    row.linkage_key = row.number;
    row.chained_from = static_cast<Generation>(row.number - 1);
    generations_.push_back(row);
  }

  // regenerate chains everybody's linkage symbol, as a run does.
  void regenerate() {
    add_generation();
    ledger_.index.clear();
    for (PersonId id = 0; id < ledger_.records.size(); ++id) {
      auto& record = ledger_.records[id];
      if (record.state == keystore::PersonState::kDeleted) continue;
      ASSERT_TRUE(symbols_->chain(generations_.back(), {&record.linkage_symbol, 1},
                                  {&record.check_value, 1}));
      std::uint64_t digest = 0;
      ASSERT_TRUE(keys_->symbol_digests({&record.linkage_symbol, 1}, {&digest, 1}));
      ledger_.index.push_back({digest, id, keystore::symbol_tag(record.check_value)});
    }
  }

  Status find(const std::vector<std::uint64_t>& codes, PeopleColumns& columns) {
    for (auto& row : generations_) row.starters = 0;
    for (const auto& record : ledger_.records)
      if (record.state != keystore::PersonState::kDeleted)
        ++generations_[record.start - 1U].starters;
    FUGO_ASSIGN(const auto starts, starts_of(generations_));
    return PeopleFinder(*symbols_, *keys_, ledger_, starts, columns).run(codes);
  }

  // Finds the people of the rows, checks what was found, and makes those who are new.
  void segment(const std::vector<std::uint64_t>& codes) {
    const auto found = find(codes, columns_);
    ASSERT_TRUE(found) << found.error().message();
    std::map<std::uint64_t, std::uint32_t> leader_of;  // code -> first row
    for (std::uint32_t row = 0; row < codes.size(); ++row) {
      leader_of.emplace(codes[row], row);
      const auto known = person_of_.find(codes[row]);
      ASSERT_EQ(columns_.ids[row], known == person_of_.end() ? kNoPerson : known->second);
      if (known == person_of_.end()) {
        ASSERT_EQ(columns_.leaders[row], leader_of[codes[row]]) << "row " << row;
        continue;
      }
      const auto& record = ledger_.records[known->second];
      ASSERT_EQ(columns_.symbols[row], record.linkage_symbol) << "row " << row;
      ASSERT_EQ(columns_.checks[row], record.check_value) << "row " << row;
      ASSERT_EQ(columns_.counters[row], record.counter) << "row " << row;
      if (record.start != generations_.size()) ++(record.counter == 0 ? elders_ : elders_collided_);
    }
    for (const auto& [code, row] : leader_of)
      if (person_of_.count(code) == 0) make(code, row);
  }

  void make(std::uint64_t code, std::uint32_t row) {
    keystore::PersonRecord record;
    record.linkage_symbol = columns_.symbols[row];
    record.check_value = columns_.checks[row];
    record.counter = columns_.counters[row];
    record.start = generations_.back().number;
    for (const auto& other : ledger_.records)
      ASSERT_TRUE(other.state == keystore::PersonState::kDeleted ||
                  other.linkage_symbol != record.linkage_symbol)
          << "two people have one symbol";
    most_counter_ = std::max(most_counter_, record.counter);
    person_of_[code] = ledger_.add_person(record, columns_.digests[row]);
  }

  void erase(std::uint64_t code) {
    const PersonId id = person_of_.at(code);
    person_of_.erase(code);
    ledger_.records[id] = {};
    ledger_.records[id].state = keystore::PersonState::kDeleted;
    std::erase_if(ledger_.index, [id](const auto& entry) { return entry.id == id; });
    ledger_.probe = most_counter_;
  }

  std::vector<std::uint64_t> some_codes(std::size_t count, std::uint64_t among) {
    std::vector<std::uint64_t> codes(count);
    for (auto& code : codes) code = kFirstCode + random_() % among;
    return codes;
  }

  static ScratchToken* token_;
  std::mt19937_64 random_{7};
  std::vector<keystore::GenerationRow> generations_;
  std::unique_ptr<Symbols> symbols_;
  std::shared_ptr<const keystore::LedgerKeys> keys_;
  PeopleColumns columns_ = std::move(*PeopleColumns::create(2000));
  MemorySnapshot ledger_;
  std::map<std::uint64_t, PersonId> person_of_;  // code -> id
  std::uint16_t most_counter_ = 0;
  std::size_t elders_ = 0, elders_collided_ = 0;
};
ScratchToken* ElderFinderTest::token_ = nullptr;

TEST_F(ElderFinderTest, ThreeGenerationsMakeNobodyTwice) {
  constexpr std::uint64_t kCodes = 6000;
  for (Generation generation = 1; generation <= kGenerations; ++generation) {
    if (generation > 1) regenerate();
    for (int round = 0; round < 3 && !HasFatalFailure(); ++round)
      segment(some_codes(1500, kCodes * generation / kGenerations));
  }
  EXPECT_GT(elders_, 500U);
  EXPECT_GT(elders_collided_, 10U);
}

TEST_F(ElderFinderTest, WhereThoseWhoCollidedWereDeleted) {
  constexpr std::uint64_t kCodes = 4000;
  for (Generation generation = 1; generation <= kGenerations; ++generation) {
    if (generation > 1) regenerate();
    for (int round = 0; round < 4 && !HasFatalFailure(); ++round) {
      segment(some_codes(1500, kCodes));
      for (const std::uint64_t code : some_codes(700, kCodes))
        if (person_of_.count(code) != 0) erase(code);
    }
  }
  EXPECT_GT(elders_, 500U);
  EXPECT_GT(elders_collided_, 10U);
}

TEST_F(ElderFinderTest, EverybodyWasErasedFromAnOlderStart) {
  segment({kFirstCode, kFirstCode + 1});
  regenerate();
  erase(kFirstCode);
  erase(kFirstCode + 1);
  segment({kFirstCode, kFirstCode + 1, kFirstCode});
  EXPECT_EQ(ledger_.records[2].start, 2);
  segment({kFirstCode + 1, kFirstCode});
}

// One code as two people: the second made by force, as nothing here would make it.
TEST_F(ElderFinderTest, FoundInTwoStartsIsDamage) {
  const std::uint64_t code = kFirstCode + 5;
  for (const auto second : {Generation{2}, Generation{3}}) {
    SCOPED_TRACE("the second in generation " + std::to_string(second));
    ledger_.records.clear();
    ledger_.index.clear();
    person_of_.clear();
    generations_.clear();
    add_generation();
    segment({kFirstCode, code});
    regenerate();
    if (second == 3) regenerate();
    keystore::PersonRecord twin;
    twin.start = second;
    ASSERT_TRUE(symbols_->linkage_and_check(generations_.back(), {&code, 1},
                                            {&twin.linkage_symbol, 1}, {&twin.check_value, 1}));
    std::uint64_t digest = 0;
    ASSERT_TRUE(keys_->symbol_digests({&twin.linkage_symbol, 1}, {&digest, 1}));
    ledger_.add_person(twin, digest);
    for (int again = 0; again < 2; ++again) {
      ASSERT_TRUE(find({kFirstCode, kFirstCode + 7}, columns_));
      const auto found = find({kFirstCode, code}, columns_);
      ASSERT_FALSE(found);
      EXPECT_EQ(found.error().code, ErrorCode::kDamaged);
      EXPECT_EQ(found.error().where, "persons 1 and 2");
      EXPECT_EQ(found.error().message().find("10000000005"), std::string::npos);
      if (generations_.size() == kGenerations) break;
      regenerate();  // then both start from older ones
    }
  }
}

}  // namespace
}  // namespace fugo::engine
