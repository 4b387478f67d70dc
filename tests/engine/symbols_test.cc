// Properties of Symbols: what is made does not depend on how it is asked for.
#include "engine/symbols.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "oracles.h"
#include "scratch_token.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::engine {
namespace {

using fugo::testing::Bytes;
using fugo::testing::ScratchToken;
using hsm::KeyAlgorithm;
using hsm::KeyPurpose;
using hsm::TokenRole;
using keystore::AgencyNumber;
using keystore::CheckValue;

Block numbered(std::uint64_t value) {
  Block block;
  store_be(block.bytes.data(), value * 0x9E3779B97F4A7C15U);
  store_be(block.bytes.data() + 8, value);
  return block;
}

std::vector<fugo::testing::ImportedKey> all_keys() {
  std::vector<fugo::testing::ImportedKey> keys;
  std::uint8_t next = 1;
  const auto add = [&](KeyPurpose purpose, KeyAlgorithm algorithm, std::uint16_t version) {
    keys.push_back({{purpose, algorithm, version}, Bytes(32, next++)});
  };
  for (const auto purpose : {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord}) {
    add(purpose, KeyAlgorithm::kAes256, 1);
    add(purpose, KeyAlgorithm::kAes256, 2);
    add(purpose, KeyAlgorithm::kHmacSha256, 1);
  }
  add(KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1);
  add(KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256, 1);
  return keys;
}

// by_xts is the method that inverts, where the token can.
std::uint8_t by_xts() { return hsm::testing::abilities().blocks ? 3 : 1; }

// Agencies 1 and 2 by CMAC, 3 by HMAC, 4 by XTS, 5 by CMAC with key 2; 6 is new in generation 2,
// where 1 has gone over to XTS. 9 is the highest number; 7 and 8 are not registered.
std::vector<keystore::Agency> registry() {
  std::vector<keystore::Agency> agencies;
  std::uint64_t parameter = 1000;
  const auto add = [&](AgencyNumber number, std::uint16_t generation, std::uint8_t method,
                       std::uint16_t key) {
    keystore::Agency agency;
    agency.number = number;
    agency.versions = {{generation, method, key, numbered(++parameter)}};
    agencies.push_back(agency);
  };
  add(1, 1, 1, 1);
  add(2, 1, 1, 1);
  add(3, 1, 2, 1);
  add(4, 1, by_xts(), 1);
  add(5, 1, 1, 2);
  add(6, 2, 1, 2);
  add(9, 1, 1, 1);
  agencies.front().versions.push_back({2, by_xts(), 1, numbered(++parameter)});
  return agencies;
}

std::vector<keystore::GenerationRow> generations() {
  std::vector<keystore::GenerationRow> rows(3);
  rows[0].state = keystore::GenerationState::kAccepting;
  rows[1].number = 2;
  rows[1].linkage_key = 2;
  rows[1].record_key = 2;
  rows[2].number = 3;
  rows[2].state = keystore::GenerationState::kRetired;
  return rows;
}

class SymbolsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    issuing_ = new ScratchToken(TokenRole::kIssuing, all_keys(), 4096);
    linking_ = new ScratchToken(TokenRole::kLinking, all_keys());
  }
  static void TearDownTestSuite() {
    delete issuing_;
    delete linking_;
  }
  void SetUp() override {
    symbols_ = open(*issuing_);
    ASSERT_TRUE(symbols_);
  }
  std::unique_ptr<Symbols> open(const ScratchToken& scratch) const {
    auto opened = Symbols::open(scratch.token(), scratch.rows(), generations(), agencies_);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  static keystore::GenerationRow by_method(MethodNumber method) {
    auto row = generations().front();
    row.linkage_method = static_cast<std::uint8_t>(method);
    return row;
  }
  std::vector<std::uint64_t> some_codes(std::size_t count) {
    std::vector<std::uint64_t> codes(count);
    for (auto& code : codes) code = random_() % 100'000'000'000;
    return codes;
  }
  std::vector<Block> some_blocks(std::size_t count) {
    std::vector<Block> blocks(count);
    for (auto& block : blocks) block = numbered(random_());
    return blocks;
  }
  Block one_symbol(const keystore::GenerationRow& row, std::uint64_t code,
                   std::uint16_t counter = 0) {
    Block symbol;
    EXPECT_TRUE(symbols_->linkage(row, {&code, 1}, {&counter, 1}, {&symbol, 1}));
    return symbol;
  }
  Block one_agency(keystore::Generation generation, AgencyNumber agency, const Block& linkage) {
    Block symbol;
    EXPECT_TRUE(symbols_->agency(generation, {&agency, 1}, {&linkage, 1}, {&symbol, 1}));
    return symbol;
  }

  // Single blocks cannot be had of CMAC: every role is refused an agency that needs them.
  void expect_no_xts() {
    auto agencies = agencies_;
    agencies[3].versions[0].method = 3;
    for (const auto* scratch : {issuing_, linking_}) {
      const auto opened = Symbols::open(scratch->token(), scratch->rows(), generations(), agencies);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
      EXPECT_NE(opened.error().hint.find("CKM_AES_ECB"), std::string::npos);
    }
    Block block;
    const auto inverted = symbols_->invert_agency(1, 4, {&block, 1}, {&block, 1});
    ASSERT_FALSE(inverted);
    EXPECT_EQ(inverted.error().code, ErrorCode::kRefused);
  }

  static inline ScratchToken* issuing_ = nullptr;  // with small calls: 255 blocks
  static inline ScratchToken* linking_ = nullptr;
  const std::vector<keystore::Agency> agencies_ = registry();
  std::unique_ptr<Symbols> symbols_;
  std::mt19937_64 random_{20261121};
};

TEST_F(SymbolsTest, BatchEqualsSingleForLinkageSymbolsAndCheckValues) {
  for (const auto method :
       {MethodNumber::kCmacFfAes256, MethodNumber::kHmacSha256, MethodNumber::kTest16})
    for (const std::size_t count : {1U, 2U, 254U, 255U, 256U, 1001U}) {
      const auto row = by_method(method);
      const auto codes = some_codes(count);
      std::vector<Block> both(count), alone(count);
      std::vector<CheckValue> checks(count);
      ASSERT_TRUE(symbols_->linkage_and_check(row, codes, both, checks));
      ASSERT_TRUE(symbols_->linkage(row, codes, {}, alone));
      EXPECT_EQ(both, alone);
      for (std::size_t i = 0; i < count; i += 1 + count / 7) {
        Block symbol;
        CheckValue check;
        ASSERT_TRUE(symbols_->linkage_and_check(row, {&codes[i], 1}, {&symbol, 1}, {&check, 1}));
        EXPECT_EQ(symbol, both[i]);
        EXPECT_EQ(check, checks[i]);
        EXPECT_EQ(one_symbol(row, codes[i]), both[i]);
        EXPECT_FALSE(std::equal(check.begin(), check.end(), symbol.bytes.begin())) << "labels";
      }
    }
}

TEST_F(SymbolsTest, MixedAgenciesAndMethodsEqualOneAtATime) {
  const std::size_t count = 3000;
  const AgencyNumber choices[] = {1, 2, 3, 4, 5, 9};
  const auto inputs = some_blocks(count);
  std::vector<AgencyNumber> numbers(count);
  for (auto& number : numbers) number = choices[random_() % std::size(choices)];
  std::vector<Block> mixed(count);
  ASSERT_TRUE(symbols_->agency(1, numbers, inputs, mixed));
  for (std::size_t i = 0; i < count; i += 11)
    EXPECT_EQ(mixed[i], one_agency(1, numbers[i], inputs[i])) << numbers[i];
  auto in_place = inputs;
  ASSERT_TRUE(symbols_->agency(1, numbers, in_place, in_place));
  EXPECT_EQ(in_place, mixed);
}

TEST_F(SymbolsTest, EveryAgencyGenerationAndKindGivesAnotherSymbol) {
  const auto row = by_method(MethodNumber::kCmacFfAes256);
  const Block linkage = one_symbol(row, 24727059608);
  std::set<Block> seen{linkage};
  for (const AgencyNumber agency : std::initializer_list<AgencyNumber>{1, 2, 3, 4, 5, 9})
    EXPECT_TRUE(seen.insert(one_agency(1, agency, linkage)).second) << agency;
  EXPECT_TRUE(seen.insert(one_agency(2, 1, linkage)).second) << "a new parameter and method";
  EXPECT_TRUE(seen.insert(one_agency(2, 6, linkage)).second);
  for (const auto& generation : {generations()[0], generations()[1]}) {
    Block record;
    ASSERT_TRUE(symbols_->record(generation, {&linkage, 1}, {&record, 1}));
    EXPECT_TRUE(seen.insert(record).second);
  }
  EXPECT_EQ(one_agency(2, 2, linkage), one_agency(1, 2, linkage)) << "its version goes on";
}

TEST_F(SymbolsTest, CountersCountAndCheckValuesStay) {
  for (const auto method : {MethodNumber::kCmacFfAes256, MethodNumber::kHmacSha256}) {
    std::set<Block> seen;
    for (const std::uint16_t counter :
         std::initializer_list<std::uint16_t>{0, 1, 2, 255, 256, 65535})
      EXPECT_TRUE(seen.insert(one_symbol(by_method(method), 24727059608, counter)).second);
  }
  // Counter and code have places of their own in X.
  EXPECT_NE(one_symbol(generations()[0], 0, 1), one_symbol(generations()[0], 1, 0));
}

TEST_F(SymbolsTest, ChainChangesBothAndBatchEqualsSingle) {
  for (const auto method : {MethodNumber::kCmacFfAes256, MethodNumber::kHmacSha256}) {
    auto next = by_method(method);
    if (method == MethodNumber::kCmacFfAes256) next.linkage_key = 2;
    const auto old = some_blocks(600);
    auto symbols = old;
    std::vector<CheckValue> checks(600);
    for (auto& check : checks) store_be(check.data(), random_());
    const auto old_checks = checks;
    ASSERT_TRUE(symbols_->chain(next, symbols, checks));
    for (std::size_t i = 0; i < old.size(); i += 23) {
      EXPECT_NE(symbols[i], old[i]);
      EXPECT_NE(checks[i], old_checks[i]);
      Block symbol = old[i];
      CheckValue check = old_checks[i];
      ASSERT_TRUE(symbols_->chain(next, {&symbol, 1}, {&check, 1}));
      EXPECT_EQ(symbol, symbols[i]);
      EXPECT_EQ(check, checks[i]);
    }
  }
}

TEST_F(SymbolsTest, Test16CollidesWhereCheckValuesDiffer) {
  const auto row = by_method(MethodNumber::kTest16);
  const std::size_t count = 3000;  // about 69 pairs are expected to collide
  std::vector<std::uint64_t> codes(count);
  for (std::size_t i = 0; i < count; ++i) codes[i] = 1000 + i;
  std::vector<Block> symbols(count);
  std::vector<CheckValue> checks(count);
  ASSERT_TRUE(symbols_->linkage_and_check(row, codes, symbols, checks));
  std::map<Block, std::size_t> seen;
  std::size_t collisions = 0, apart = 0;
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(load_be<std::uint64_t>(symbols[i].bytes.data()) & 0xFFFFFFFFFFFFU, 0U);
    EXPECT_EQ(load_be<std::uint64_t>(symbols[i].bytes.data() + 8), 0U);
    const auto [at, is_new] = seen.emplace(symbols[i], i);
    if (is_new) continue;
    ++collisions;
    if (one_symbol(row, codes[i], 1) != one_symbol(row, codes[at->second], 0)) ++apart;
  }
  EXPECT_GT(collisions, 20U);
  EXPECT_GE(apart + 1, collisions) << "the counter takes them apart";
  EXPECT_EQ(std::set<CheckValue>(checks.begin(), checks.end()).size(), count);
}

TEST_F(SymbolsTest, XtsIsInvertedInTheLinkingTokenOnly) {
  if (!hsm::testing::abilities().blocks) return expect_no_xts();
  const auto linking = open(*linking_);
  ASSERT_TRUE(linking);
  const auto inputs = some_blocks(1000);
  const std::vector<AgencyNumber> numbers(1000, 4);
  std::vector<Block> symbols(1000), back(1000), same(1000);
  ASSERT_TRUE(symbols_->agency(1, numbers, inputs, symbols));
  ASSERT_TRUE(linking->agency(1, numbers, inputs, same));
  EXPECT_EQ(symbols, same) << "both tokens make the same";
  ASSERT_TRUE(linking->invert_agency(1, 4, symbols, back));
  EXPECT_EQ(back, inputs);
  const auto refused = symbols_->invert_agency(1, 4, symbols, back);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  for (const AgencyNumber one_way : std::initializer_list<AgencyNumber>{1, 3, 7})
    EXPECT_EQ(linking->invert_agency(1, one_way, symbols, back).error().code, ErrorCode::kRefused);
}

TEST_F(SymbolsTest, LinkingTokenMakesNoLinkageSymbols) {
  const auto linking = open(*linking_);
  ASSERT_TRUE(linking);
  const std::uint64_t code = 24727059608;
  Block symbol;
  CheckValue check{};
  for (const auto method : {MethodNumber::kCmacFfAes256, MethodNumber::kHmacSha256}) {
    const auto row = by_method(method);
    const auto refused = linking->linkage(row, {&code, 1}, {}, {&symbol, 1});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
    EXPECT_EQ(refused.error().what, "this token's role has no linkage key");
    EXPECT_FALSE(linking->linkage_and_check(row, {&code, 1}, {&symbol, 1}, {&check, 1}));
    EXPECT_FALSE(linking->chain(row, {&symbol, 1}, {&check, 1}));
  }
}

TEST_F(SymbolsTest, WhatCannotBeMadeIsRefused) {
  const auto inputs = some_blocks(3);
  std::vector<Block> out(3);
  const auto code_of = [&](keystore::Generation generation, std::vector<AgencyNumber> numbers) {
    const auto done = symbols_->agency(generation, numbers, inputs, out);
    return done ? std::optional<ErrorCode>() : done.error().code;
  };
  EXPECT_EQ(code_of(1, {1, 2, 9}), std::nullopt);
  EXPECT_EQ(code_of(1, {1, 7, 1}), ErrorCode::kRefused) << "not registered";
  EXPECT_EQ(code_of(1, {7, 7, 7}), ErrorCode::kRefused);
  EXPECT_EQ(code_of(1, {1, 1, 65535}), ErrorCode::kRefused) << "beyond the highest number";
  EXPECT_EQ(code_of(1, {6, 6, 6}), ErrorCode::kRefused) << "not in this generation yet";
  EXPECT_EQ(code_of(3, {1, 1, 1}), ErrorCode::kRefused) << "retired generation";
  EXPECT_EQ(code_of(1, {1, 1}), ErrorCode::kInternal) << "unequal lengths";
  const std::uint64_t code = 1;
  auto unknown_key = generations().front();
  unknown_key.linkage_key = 7;
  EXPECT_FALSE(symbols_->linkage(unknown_key, {&code, 1}, {}, {out.data(), 1}));
  EXPECT_FALSE(
      symbols_->linkage(by_method(MethodNumber::kXtsAes256), {&code, 1}, {}, {out.data(), 1}));
  EXPECT_TRUE(symbols_->agency(1, {}, {}, {})) << "nothing is asked for";
  EXPECT_TRUE(symbols_->linkage(generations()[0], {}, {}, {}));
}

TEST_F(SymbolsTest, MethodOfTellsHowAnAgencysSymbolsAreMade) {
  EXPECT_EQ(symbols_->method_of(1, 1)->number, MethodNumber::kCmacFfAes256);
  EXPECT_EQ(symbols_->method_of(2, 1)->number, MethodNumber{by_xts()});
  EXPECT_EQ(symbols_->method_of(1, 3)->number, MethodNumber::kHmacSha256);
  EXPECT_EQ(symbols_->method_of(1, 6), nullptr);
  EXPECT_EQ(symbols_->method_of(1, 65535), nullptr);
  EXPECT_EQ(symbols_->method_of(3, 1), nullptr);
}

TEST_F(SymbolsTest, RegistriesThatMustNotBeAreRefused) {
  const auto open_code = [&](const auto& rows, const auto& agencies) {
    const auto opened = Symbols::open(issuing_->token(), rows, generations(), agencies);
    return opened ? std::optional<ErrorCode>() : opened.error().code;
  };
  EXPECT_EQ(open_code(issuing_->rows(), agencies_), std::nullopt);
  auto same_parameter = agencies_;
  same_parameter[1].versions[0].parameter = same_parameter[4].versions[0].parameter;
  EXPECT_EQ(open_code(issuing_->rows(), same_parameter), ErrorCode::kDamaged);
  auto by_test_method = agencies_;
  by_test_method[0].versions[0].method = 240;
  EXPECT_EQ(open_code(issuing_->rows(), by_test_method), ErrorCode::kRefused);
  auto wrong_fingerprint = issuing_->rows();
  wrong_fingerprint[0].fingerprint.bytes[3] ^= 1U;
  EXPECT_EQ(open_code(wrong_fingerprint, agencies_), ErrorCode::kRefused);
  auto equal_pair = issuing_->rows();
  ASSERT_EQ(equal_pair.back().purpose, static_cast<std::uint8_t>(KeyPurpose::kAgencyXtsTweak));
  equal_pair.back().fingerprint = equal_pair[equal_pair.size() - 2].fingerprint;
  EXPECT_EQ(open_code(equal_pair, agencies_), ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::engine
