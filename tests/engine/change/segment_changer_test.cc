#include "engine/change/segment_changer.h"

#include <set>

#include "engine/change/change_foresight.h"
#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using keystore::AgencyNumber;
using keystore::AgencyState;
using enum ChangeResult;

// Agencies of the pairs.
std::vector<AgencyNumber> agencies_of(const Changed& changed) {
  std::vector<AgencyNumber> agencies;
  for (const Pair& pair : changed.agencies) agencies.push_back(pair.agency);
  return agencies;
}

std::vector<LinkStatus> statuses(const std::vector<LinkItem>& items) {
  std::vector<LinkStatus> list;
  for (const LinkItem& item : items) list.push_back(item.status);
  return list;
}

TEST(SegmentChanger, ANewPersonFollowsTheOldOne) {
  TrialLedger trial;
  trial.issue({10, 10, 10, 20}, {1, 2, 3, 1});
  const Block old_at_1 = trial.symbols(1, {10})[0], old_at_2 = trial.symbols(2, {10})[0];
  const Block old_at_3 = trial.symbols(3, {10})[0];
  const Changed changed = trial.change({10, 99}, {11, 12});
  EXPECT_EQ(changed.results, (std::vector{kChanged, kUnknownResident}));
  EXPECT_EQ(changed.segment.people_new, 1U);
  EXPECT_EQ(changed.segment.issuances_new, 3U);
  const auto symbol = [&](AgencyNumber agency) { return trial.symbols(agency, {11})[0]; };
  EXPECT_EQ(changed.agencies,
            (std::vector<Pair>{
                {1, old_at_1, symbol(1)}, {2, old_at_2, symbol(2)}, {3, old_at_3, symbol(3)}}));
  ASSERT_EQ(changed.records.size(), 1U);
  EXPECT_NE(changed.records[0].before, changed.records[0].after);

  // The old symbols say superseded, whatever the method; the new one links.
  for (const AgencyNumber from : {AgencyNumber{1}, AgencyNumber{2}}) {
    const auto linked = trial.link(from, 3, {changed.agencies[from - 1U].before, symbol(from)});
    EXPECT_EQ(statuses(linked), (std::vector{LinkStatus::kSuperseded, LinkStatus::kOk}));
    EXPECT_EQ(linked[1].linked, symbol(3));
    EXPECT_EQ(statuses(trial.link(from, 4, {changed.agencies[from - 1U].before, symbol(from)})),
              (std::vector{LinkStatus::kSuperseded, LinkStatus::kNotIssued}));
  }
  // Issuing: the old code is superseded, the new one has its symbols already.
  EXPECT_EQ(trial.issue({10, 11, 11, 12}, {1, 1, 4, 1}),
            (std::vector{RowResult::kSuperseded, RowResult::kExisting, RowResult::kNew,
                         RowResult::kNew}));
  EXPECT_EQ(trial.verify(), "");
}

TEST(SegmentChanger, RejectsWhatDoesNotFit) {
  TrialLedger trial;
  trial.issue({1, 2, 3, 4, 5, 6}, {1, 1, 1, 1, 1, 1});
  EXPECT_EQ(trial.change({1}, {11}).results, std::vector{kChanged});
  const Codes olds{1, 2, 3, 99, 7, 5}, news{12, 11, 1, 98, 7, 5};
  const std::vector expected{kSuperseded,      kResidentExists,  kResidentExists,
                             kUnknownResident, kUnknownResident, kResidentExists};
  // Rows with a code twice come one segment after another.
  ASSERT_EQ(SegmentChanger::independent_rows({olds, news}), 2U);
  auto foresight = must(ChangeForesight::create(trial.site(), 10, 10));
  EXPECT_EQ(must(foresight.look({olds, news}, false)), expected);
  std::vector<ChangeResult> results;
  for (std::size_t row = 0; row < olds.size(); ++row)
    results.push_back(trial.change({olds[row]}, {news[row]}).results[0]);
  EXPECT_EQ(results, expected);
  // Joining: not with a superseded person, not with oneself.
  EXPECT_EQ(trial.change({3}, {1}, true).results, std::vector{kResidentExists});
  EXPECT_EQ(trial.change({5}, {5}, true).results, std::vector{kResidentExists});
  EXPECT_EQ(must(trial.site().ledger().state()).next_person, 7U);
  EXPECT_EQ(trial.verify(), "");
}

TEST(SegmentChanger, WhatAgenciesMustKnowIsMadeFromTheLedgerAlone) {
  TrialLedger trial;
  trial.issue({1, 1, 2, 3, 3, 4, 5}, {1, 2, 1, 2, 3, 1, 1});
  const auto changed = trial.change({1, 2, 99, 4}, {11, 3, 98, 5}, true);
  ASSERT_EQ(changed.results, (std::vector{kChanged, kJoined, kUnknownResident, kJoined}));
  const auto later = trial.change({11, 3}, {21, 22}, true);
  for (const Changed* one : {&changed, &later}) {
    const auto again = must(trial.answer_without_rows(one->segment));
    EXPECT_EQ(again.agencies, one->agencies);
    EXPECT_EQ(again.records, one->records);
    std::multiset<ChangeResult> expected(one->results.begin(), one->results.end());
    expected.erase(kUnknownResident);
    EXPECT_EQ(std::multiset<ChangeResult>(again.results.begin(), again.results.end()), expected);
  }
}

// Whatever builds on what, in one look or over several, with and without joining.
TEST(SegmentChanger, WhatIsForeseenComesTrue) {
  const Codes olds{1, 10, 10, 1, 2, 3, 3, 20, 11, 4, 4, 5, 30, 99};
  const Codes news{10, 11, 12, 13, 3, 1, 20, 21, 11, 5, 30, 4, 31, 98};
  for (const bool join : {false, true}) {
    TrialLedger trial;
    trial.issue({1, 2, 3, 4, 5}, {1, 1, 1, 1, 1});
    auto foresight = must(ChangeForesight::create(trial.site(), 4, olds.size()));
    std::vector<ChangeResult> foreseen, came;
    for (std::size_t row = 0; row < olds.size(); row += 4) {
      const std::size_t count = std::min<std::size_t>(4, olds.size() - row);
      const ChangeRows rows{std::span(olds).subspan(row, count),
                            std::span(news).subspan(row, count)};
      for (const auto result : must(foresight.look(rows, join))) foreseen.push_back(result);
    }
    for (std::size_t row = 0; row < olds.size(); ++row)
      came.push_back(trial.change({olds[row]}, {news[row]}, join).results[0]);
    EXPECT_EQ(foreseen, came) << (join ? "joining" : "not joining");
    EXPECT_GT(std::set<ChangeResult>(came.begin(), came.end()).size(), 3U);
  }
}

TEST(SegmentChanger, IndependentRowsShareNoCode) {
  const auto independent = [](const Codes& olds, const Codes& news) {
    return SegmentChanger::independent_rows({olds, news});
  };
  EXPECT_EQ(independent({}, {}), 0U);
  EXPECT_EQ(independent({1, 3, 5}, {2, 4, 6}), 3U);
  EXPECT_EQ(independent({1, 2, 5}, {2, 3, 6}), 1U);
  EXPECT_EQ(independent({1, 3, 5}, {2, 1, 6}), 1U);
  EXPECT_EQ(independent({1, 3, 1}, {2, 4, 6}), 2U);
  EXPECT_EQ(independent({1, 3, 5}, {2, 4, 2}), 2U);
  EXPECT_EQ(independent({1, 3}, {1, 4}), 2U);
  EXPECT_EQ(independent({0, 0}, {7, 8}), 1U);
  TrialLedger trial;
  trial.issue({1, 2}, {1, 1});
  EXPECT_THROW(trial.change({1, 2}, {2, 3}), std::runtime_error);
}

TEST(SegmentChanger, AChainOfChanges) {
  TrialLedger trial;
  trial.issue({1, 1}, {1, 3});
  const Changed first = trial.change({1}, {2});
  trial.issue({2}, {4});
  const Changed second = trial.change({2}, {3});
  EXPECT_EQ(agencies_of(second), (std::vector<AgencyNumber>{1, 3, 4}));
  EXPECT_EQ(second.agencies[0].before, first.agencies[0].after);
  const std::vector<Block> symbols{first.agencies[0].before, first.agencies[0].after,
                                   second.agencies[0].after};
  EXPECT_EQ(statuses(trial.link(1, 4, symbols)),
            (std::vector{LinkStatus::kSuperseded, LinkStatus::kSuperseded, LinkStatus::kOk}));
  EXPECT_EQ(trial.change({1}, {9}).results, std::vector{kSuperseded});
  EXPECT_EQ(trial.change({3}, {1}).results, std::vector{kResidentExists});
  EXPECT_EQ(trial.verify(), "");
}

TEST(SegmentChanger, JoiningGivesEachAgencyWhatItNeeds) {
  TrialLedger trial;
  trial.issue({1, 1, 2, 2}, {1, 2, 2, 3});  // agency 1 has only 1, 2 has both, 3 only 2
  const Block survivor = trial.symbols(2, {2})[0];
  EXPECT_EQ(trial.change({1}, {2}).results, std::vector{kResidentExists});
  const Changed joined = trial.change({1}, {2}, true);
  EXPECT_EQ(joined.results, std::vector{kJoined});
  EXPECT_EQ(agencies_of(joined), (std::vector<AgencyNumber>{1, 2}));
  EXPECT_EQ(joined.agencies[1].after, survivor);
  EXPECT_EQ(joined.segment.people_new, 0U);
  EXPECT_EQ(joined.segment.issuances_new, 1U);
  EXPECT_EQ(trial.symbols(1, {2})[0], joined.agencies[0].after);
  EXPECT_EQ(statuses(trial.link(1, 3, {joined.agencies[0].before, joined.agencies[0].after})),
            (std::vector{LinkStatus::kSuperseded, LinkStatus::kOk}));
  EXPECT_EQ(trial.issue({1, 2, 2}, {1, 1, 3}),
            (std::vector{RowResult::kSuperseded, RowResult::kExisting, RowResult::kExisting}));
  EXPECT_EQ(trial.verify(), "");
}

TEST(SegmentChanger, SuspendedAgenciesAreToldAndClosedOnesAreNot) {
  TrialLedger trial;
  trial.issue({1, 1, 1}, {1, 2, 3});
  trial.set_agency(2, AgencyState::kSuspended);
  trial.set_agency(3, AgencyState::kClosed);
  const Changed changed = trial.change({1}, {2});
  EXPECT_EQ(agencies_of(changed), (std::vector<AgencyNumber>{1, 2}));
  EXPECT_EQ(changed.segment.issuances_new, 2U);
  // It stays so when the answers are made again after the registry was changed.
  trial.set_agency(2, AgencyState::kClosed);
  EXPECT_EQ(must(trial.answer({1}, {2}, changed.segment)), changed);
  EXPECT_EQ(trial.verify(), "");
}

TEST(SegmentChanger, AnswersAreMadeAgainWhateverCameLater) {
  TrialLedger trial;
  Codes some;
  for (std::uint64_t code = 1; code <= 40; ++code) some.push_back(code);
  trial.issue(some, std::vector<AgencyNumber>(40, 1));
  trial.issue(some, std::vector<AgencyNumber>(40, 2));
  trial.change({40, 39}, {140, 139});
  // changed, joined, exists (active, superseded), unknown, superseded, changed
  const Changed changed = trial.change({1, 2, 4, 50, 39, 5}, {101, 12, 40, 150, 141, 105}, true);
  EXPECT_EQ(changed.results, (std::vector{kChanged, kJoined, kResidentExists, kUnknownResident,
                                          kSuperseded, kChanged}));
  const Changed other = trial.change({3}, {13});
  EXPECT_EQ(other.results, std::vector{kResidentExists});
  const auto again = [&] {
    ASSERT_EQ(
        must(trial.answer({1, 2, 4, 50, 39, 5}, {101, 12, 40, 150, 141, 105}, changed.segment)),
        changed);
    ASSERT_EQ(must(trial.answer({3}, {13}, other.segment)), other);
  };
  again();
  trial.change({101, 12}, {201, 212});  // the new ones change again
  again();
  trial.issue({50, 150, 212}, {1, 1, 3});  // the unknown one comes after all
  trial.change({4, 3}, {204, 203});        // the rejected ones are changed
  again();
  for (std::uint64_t code = 1000; code < 1010; ++code) trial.issue({code}, {1});  // merges
  trial.reopen();
  again();
  trial.erase({204});  // nobody whom the first change moved, but one whom it was about
  EXPECT_NE(must(trial.answer({1, 2, 4, 50, 39, 5}, {101, 12, 40, 150, 141, 105}, changed.segment)),
            changed);  // a rejected row: the digest of the answers tells
  trial.erase({201});
  const auto gone =
      trial.answer({1, 2, 4, 50, 39, 5}, {101, 12, 40, 150, 141, 105}, changed.segment);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::kRefused);
  EXPECT_NE(gone.error().hint.find("cannot be made any more"), std::string::npos);
  EXPECT_EQ(trial.verify(), "");
}

// Issue answers, too, are those of their time: a person superseded since was not then.
TEST(SegmentChanger, AnIssueAnsweredAgainAfterAChangeIsTheSame) {
  TrialLedger trial;
  trial.issue({1, 2}, {1, 1});
  const auto segment = must(trial.site().ledger().segments()).back();
  trial.change({1}, {11});
  const auto issuer = must(SegmentIssuer::create(trial.site(), 2));
  const Codes codes{1, 2};
  const std::vector<AgencyNumber> agencies{1, 1};
  const auto outcome = must(issuer->answer({codes, agencies}, segment));
  EXPECT_EQ(outcome.results[0], RowResult::kNew);
  EXPECT_EQ(outcome.results[1], RowResult::kNew);
  // An issue after it knows better, and still does when it is answered again.
  EXPECT_EQ(trial.issue({1}, {2}), std::vector{RowResult::kSuperseded});
  const auto later = must(trial.site().ledger().segments()).back();
  const Codes one{1};
  const std::vector<AgencyNumber> two{2};
  EXPECT_EQ(must(issuer->answer({one, two}, later)).results[0], RowResult::kSuperseded);
}

TEST(SegmentChanger, TheDigestDoesNotDependOnTheWay) {
  TrialLedger one, other, direct;
  one.issue({1, 2, 1, 3}, {1, 1, 2, 3});
  one.change({1, 2}, {11, 12});
  other.issue({3}, {3});
  other.issue({2}, {1});
  other.change({2}, {12});
  other.issue({1, 1}, {2, 1});
  other.change({1}, {11});
  EXPECT_EQ(one.digest(), other.digest());
  direct.issue({11, 12, 11, 3}, {1, 1, 2, 3});
  EXPECT_NE(one.digest(), direct.digest());  // superseded people count, with their state
}

}  // namespace
}  // namespace fugo::engine::testing
