// What is done to a ledger stays right when its keys are renewed.
#include <algorithm>

#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using keystore::AgencyNumber;
using keystore::kRunAgency;
using keystore::kRunLinkage;
using keystore::kRunRecord;

std::vector<LinkStatus> statuses(const std::vector<LinkItem>& items) {
  std::vector<LinkStatus> found;
  for (const LinkItem& item : items) found.push_back(item.status);
  return found;
}

std::vector<Block> linked(const std::vector<LinkItem>& items) {
  std::vector<Block> found;
  for (const LinkItem& item : items) found.push_back(item.linked);
  return found;
}

keystore::SegmentRow last_segment(TrialLedger& trial) {
  return must(trial.site().ledger().segments()).back();
}

// symbols_of makes what an agency had of codes in a generation that is still accepted.
std::vector<Block> symbols_of(TrialLedger& trial, AgencyNumber agency, const Codes& codes,
                              keystore::Generation generation) {
  const auto issuer = must(SegmentIssuer::create(trial.site(), codes.size()));
  keystore::SegmentRow last;
  last.number = must(trial.site().ledger().state()).next_segment;
  const std::vector<AgencyNumber> agencies(codes.size(), agency);
  const auto outcome = must(issuer->answer({codes, agencies}, last, generation));
  return {outcome.symbols.begin(), outcome.symbols.end()};
}

// first_persons_symbol is what an agency would have of the first person now.
Block first_persons_symbol(TrialLedger& trial, AgencyNumber agency) {
  const auto& active = trial.site().active_generation();
  const keystore::PersonId id = 0;
  keystore::PersonRecord record;
  const auto snapshot = must(trial.site().ledger().snapshot());
  must(snapshot->read_people(active.linkage_generation, {&id, 1}, {&record, 1}));
  Block symbol;
  must(trial.site().symbols().agency(active.number, {&agency, 1}, {&record.linkage_symbol, 1},
                                     {&symbol, 1}));
  return symbol;
}

class GenerationsTest : public ::testing::TestWithParam<std::uint8_t> {};

TEST_P(GenerationsTest, EverybodyIsFoundAndOldSymbolsAreResolved) {
  constexpr auto kOk = LinkStatus::kOk, kUnknown = LinkStatus::kUnknown;
  TrialLedger trial;
  const Codes codes{1, 2, 3};
  trial.issue(codes, {1, 1, 1});
  trial.issue(codes, {2, 2, 2});
  trial.issue({1, 2}, {3, 3});
  const auto before_1 = trial.symbols(1, codes), before_2 = trial.symbols(2, codes);
  const Block never_given = first_persons_symbol(trial, 4);

  trial.regenerate(GetParam());
  EXPECT_EQ(trial.verify(), "");
  const auto after_1 = trial.symbols(1, codes), after_2 = trial.symbols(2, codes);
  const auto after_3 = trial.symbols(3, {1, 2});
  EXPECT_NE(before_1[0], after_1[0]);
  EXPECT_EQ(symbols_of(trial, 1, codes, 1), before_1);
  EXPECT_EQ(symbols_of(trial, 2, codes, 1), before_2);
  EXPECT_EQ(trial.issue({1, 2, 5, 5, 1}, {1, 2, 1, 2, 4}),
            (std::vector{RowResult::kExisting, RowResult::kExisting, RowResult::kNew,
                         RowResult::kNew, RowResult::kNew}));
  const auto newcomer = trial.symbols(1, {5})[0];
  // The answer is B's symbol of today, whatever the question's version; by recomputing, by inverse.
  const std::vector<Block> asked_1{after_1[0], before_1[1], before_1[2], newcomer};
  const auto to_2 = trial.link(1, 2, asked_1);
  EXPECT_EQ(statuses(to_2), (std::vector{kOk, kOk, kOk, kOk}));
  EXPECT_EQ(linked(to_2),
            (std::vector{after_2[0], after_2[1], after_2[2], trial.symbols(2, {5})[0]}));
  const auto to_3 = trial.link(2, 3, {before_2[0], after_2[1], before_2[2]});
  EXPECT_EQ(statuses(to_3), (std::vector{kOk, kOk, LinkStatus::kNotIssued}));
  EXPECT_EQ(to_3[0].linked, after_3[0]);
  // A symbol of the old version that agency 4 would have had, and never did.
  EXPECT_EQ(statuses(trial.link(4, 1, {trial.symbols(4, {1})[0], never_given})),
            (std::vector{kOk, kUnknown}));

  trial.retire();
  EXPECT_EQ(trial.verify(), "");
  EXPECT_EQ(statuses(trial.link(1, 2, asked_1)), (std::vector{kOk, kUnknown, kUnknown, kOk}));
  EXPECT_EQ(statuses(trial.link(2, 3, {before_2[0], after_2[1]})), (std::vector{kUnknown, kOk}));
  const auto issuer = must(SegmentIssuer::create(trial.site(), 1));
  const std::vector<AgencyNumber> one{1};
  const Codes code{1};
  const auto gone = issuer->answer({code, one}, last_segment(trial), 1);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kRefused);
}

INSTANTIATE_TEST_SUITE_P(What, GenerationsTest,
                         ::testing::Values(std::uint8_t{kRunLinkage}, std::uint8_t{kRunAgency},
                                           std::uint8_t{kRunLinkage | kRunAgency | kRunRecord}));

TEST(Generations, ChangesAndDeletionsAcrossThree) {
  for (const auto method : {std::uint8_t{1}, std::uint8_t{240}}) {
    TrialLedger trial(method);
    trial.issue({1, 2, 3, 4, 5}, {1, 1, 1, 1, 1});
    const Changed first = trial.change({1}, {11});
    const Block old_symbol = first.agencies[0].before;
    trial.regenerate(kRunLinkage);
    EXPECT_EQ(trial.change({1, 11, 2}, {21, 22, 3}).results,
              (std::vector{ChangeResult::kSuperseded, ChangeResult::kChanged,
                           ChangeResult::kResidentExists}));
    EXPECT_EQ(trial.issue({11, 22, 2, 6}, {1, 1, 1, 1}),
              (std::vector{RowResult::kSuperseded, RowResult::kExisting, RowResult::kExisting,
                           RowResult::kNew}));
    EXPECT_EQ(must(trial.answer({1}, {11}, first.segment)), first);
    EXPECT_EQ(must(trial.answer_without_rows(first.segment)), first);
    EXPECT_EQ(statuses(trial.link(1, 3, {old_symbol})), std::vector{LinkStatus::kSuperseded});
    EXPECT_EQ(
        trial.erase({3, 6, 9}).results,
        (std::vector{EraseResult::kErased, EraseResult::kErased, EraseResult::kUnknownResident}));
    trial.retire();
    EXPECT_EQ(trial.verify(), "");
    trial.regenerate(kRunLinkage | kRunRecord);
    EXPECT_EQ(trial.issue({3, 4, 6, 22}, {1, 1, 1, 1}),
              (std::vector{RowResult::kNew, RowResult::kExisting, RowResult::kNew,
                           RowResult::kExisting}));
    EXPECT_EQ(trial.change({4, 6}, {5, 7}, true).results,
              (std::vector{ChangeResult::kJoined, ChangeResult::kChanged}));
    EXPECT_FALSE(trial.answer({1}, {11}, first.segment));
    EXPECT_EQ(trial.erase({22}).people, 3U);  // and those before: 1 and 11
    EXPECT_EQ(trial.erase({5, 7, 3, 2}).people, 6U);
    trial.retire();
    EXPECT_EQ(trial.verify(), "");
    for (const auto& row : must(trial.site().ledger().generations()))
      EXPECT_EQ(row.starters, 0U) << "generation " << row.number;
    EXPECT_EQ(trial.issue({1, 2}, {1, 1}), (std::vector{RowResult::kNew, RowResult::kNew}));
    EXPECT_EQ(trial.verify(), "");
  }
}

}  // namespace
}  // namespace fugo::engine::testing
