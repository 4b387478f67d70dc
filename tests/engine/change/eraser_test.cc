#include "engine/change/eraser.h"

#include <algorithm>

#include "tests/engine/change/raw_ledger.h"
#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using keystore::AgencyNumber;
using enum EraseResult;

Codes codes_from(std::uint64_t first, std::size_t count) {
  Codes codes(count);
  for (std::size_t i = 0; i < count; ++i) codes[i] = first + i;
  return codes;
}

// trace_of derives what the ledger keeps of a code, by counter 0; the id is looked up.
Trace trace_of(TrialLedger& trial, std::uint64_t code) {
  Trace trace;
  auto& site = trial.site();
  must(site.symbols().linkage_and_check(site.active_generation(), {&code, 1},
                                        {&trace.linkage_symbol, 1}, {&trace.check_value, 1}));
  must(site.ledger().keys()->symbol_digests({&trace.linkage_symbol, 1}, {&trace.digest, 1}));
  std::vector<keystore::IndexHit> hits;
  must(must(site.ledger().snapshot())->find_people(1, {&trace.digest, 1}, hits));
  if (!hits.empty()) trace.id = hits[0].id;
  return trace;
}

TEST(Eraser, TakesTheWholeChainAndTellsEverySymbolOfIt) {
  TrialLedger trial, never;
  trial.issue({1, 1, 2, 2, 3}, {1, 2, 2, 3, 1});
  const Changed changed = trial.change({1}, {11});
  const Changed joined = trial.change({2}, {11}, true);
  trial.issue({11}, {4});
  std::vector<std::pair<AgencyNumber, Block>> expected{{4, trial.symbols(4, {11})[0]}};
  for (const Changed* step : {&changed, &joined})
    for (const Pair& pair : step->agencies) {
      expected.emplace_back(pair.agency, pair.before);
      expected.emplace_back(pair.agency, pair.after);
    }
  std::sort(expected.begin(), expected.end());
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());

  const Erased found = trial.find({11});
  EXPECT_EQ(must(trial.site().ledger().state()).deleted_people, 0U);  // it only finds
  const Erased erased = trial.erase({11});
  EXPECT_EQ(found.agencies, erased.agencies);
  EXPECT_EQ(erased.results, std::vector{kErased});
  EXPECT_EQ(erased.agencies, expected);
  EXPECT_EQ(erased.people, 3U);
  EXPECT_EQ(erased.issuances, 4U + 4U);
  std::vector<Block> records{changed.records[0].before, changed.records[0].after,
                             joined.records[0].before};
  std::sort(records.begin(), records.end());
  EXPECT_EQ(erased.records, records);
  EXPECT_EQ(joined.records[0].after, changed.records[0].after);

  EXPECT_EQ(trial.verify(), "");
  never.issue({3}, {1});
  EXPECT_EQ(trial.digest(), never.digest());  // as if they had never been issued
  for (const auto& item : trial.link(1, 3, {changed.agencies[0].before, changed.agencies[0].after}))
    EXPECT_EQ(item.status, LinkStatus::kUnknown);
  EXPECT_EQ(trial.link(1, 3, trial.symbols(1, {3}))[0].status, LinkStatus::kNotIssued);
}

TEST(Eraser, RejectsWhatItCannotErase) {
  TrialLedger trial;
  trial.issue({1, 2, 3}, {1, 1, 1});
  trial.change({1}, {11});
  const Erased erased = trial.erase({1, 9, 2, 2, 1});
  EXPECT_EQ(erased.results,
            (std::vector{kSuperseded, kUnknownResident, kErased, kUnknownResident, kSuperseded}));
  EXPECT_EQ(erased.people, 1U);
  const Erased nobody = trial.erase({9, 2});  // commits the job and nothing else
  EXPECT_EQ(nobody.results, (std::vector{kUnknownResident, kUnknownResident}));
  EXPECT_EQ(nobody.people, 0U);
  EXPECT_EQ(trial.verify(), "");
  EXPECT_EQ(trial.issue({1, 11, 3}, {1, 1, 1}),
            (std::vector{RowResult::kSuperseded, RowResult::kExisting, RowResult::kExisting}));
}

TEST(Eraser, LeavesNothingInAnyFile) {
  TrialLedger trial;
  for (int round = 0; round < 5; ++round)  // several files, some of them without the people
    trial.issue(codes_from(100 + static_cast<std::uint64_t>(round) * 60, 60 + round),
                std::vector<AgencyNumber>(60 + static_cast<std::size_t>(round), 1));
  trial.issue({150, 150, 150}, {2, 3, 4});
  trial.change({150}, {50});
  trial.change({50}, {51});
  const Trace people[] = {trace_of(trial, 150), trace_of(trial, 50), trace_of(trial, 51)};
  for (const Trace& trace : people) {
    const Traces there = find_traces(trial.site().ledger(), trial.directory(), trace);
    EXPECT_EQ(there.symbols, 1);
    EXPECT_EQ(there.checks, 1);
    EXPECT_EQ(there.index_entries, 1);
    EXPECT_EQ(there.issuances, 4);
    EXPECT_GE(there.patches, 1);
    EXPECT_EQ(there.raw, 0);  // sealed, every byte
  }
  const auto names = bulk_names(trial.directory());
  const auto kept = trace_of(trial, 151);
  trial.erase({51});
  for (const Trace& trace : people)
    EXPECT_EQ(find_traces(trial.site().ledger(), trial.directory(), trace).all(), 0);
  const Traces other = find_traces(trial.site().ledger(), trial.directory(), kept);
  EXPECT_EQ(other.symbols, 1);
  EXPECT_EQ(other.index_entries, 1);
  EXPECT_EQ(other.issuances, 1);
  // Files that were concerned have gone, by name too; no row names one of them.
  EXPECT_EQ(bulk_names(trial.directory()), manifest_names(trial.site().ledger()));
  std::vector<std::string> stayed;
  for (const auto& name : bulk_names(trial.directory()))
    if (names.contains(name)) stayed.push_back(name);
  EXPECT_LT(stayed.size(), names.size());
  EXPECT_EQ(must(trial.site().ledger().snapshot())->patches().size(), 0U);
  trial.reopen();
  for (const Trace& trace : people)
    EXPECT_EQ(find_traces(trial.site().ledger(), trial.directory(), trace).all(), 0);
  EXPECT_EQ(trial.verify(), "");
}

TEST(Eraser, RewritesOnlyTheFilesConcerned) {
  TrialLedger trial;
  trial.issue(codes_from(100, 300), std::vector<AgencyNumber>(300, 1));
  trial.issue(codes_from(1000, 20), std::vector<AgencyNumber>(20, 2));
  must(trial.site().ledger().finish_merges());
  const auto before = bulk_names(trial.directory());
  ASSERT_EQ(before.size(), 6U);
  trial.erase({1003});
  std::vector<std::string> stayed;
  const auto after = bulk_names(trial.directory());
  std::set_intersection(before.begin(), before.end(), after.begin(), after.end(),
                        std::back_inserter(stayed));
  EXPECT_EQ(stayed.size(), 3U);
  trial.erase(codes_from(1000, 20));  // index and issued of the second segment get empty
  EXPECT_EQ(bulk_names(trial.directory()).size(), 4U);
  EXPECT_EQ(trial.verify(), "");
  EXPECT_EQ(trial.issue({100}, {1}), std::vector{RowResult::kExisting});
}

TEST(Eraser, ACodeMayBeIssuedAgainAndIsANewPerson) {
  TrialLedger trial;
  trial.issue({1, 2, 1}, {1, 1, 2});
  const auto segment = must(trial.site().ledger().segments()).back();
  trial.erase({1});
  const auto before = must(trial.site().ledger().state());
  EXPECT_EQ(before.next_person, 2U);
  EXPECT_EQ(before.deleted_people, 1U);
  EXPECT_EQ(before.deleted_issuances, 2U);
  EXPECT_EQ(trial.issue({1, 2}, {1, 1}), (std::vector{RowResult::kNew, RowResult::kExisting}));
  EXPECT_EQ(must(trial.site().ledger().state()).next_person, 3U);  // a new id
  EXPECT_EQ(trace_of(trial, 1).id, 2U);
  // The first request cannot be answered again, though everybody is there.
  const auto issuer = must(SegmentIssuer::create(trial.site(), 3));
  const Codes codes{1, 2, 1};
  const std::vector<AgencyNumber> agencies{1, 1, 2};
  EXPECT_EQ(issuer->answer({codes, agencies}, segment).error().code, ErrorCode::kRefused);
  EXPECT_EQ(trial.verify(), "");
}

TEST(Eraser, ClosedAgenciesAreNotToldAndKeepNothing) {
  TrialLedger trial;
  trial.issue({1, 1, 1}, {1, 3, 4});
  trial.set_agency(3, keystore::AgencyState::kClosed);
  trial.set_agency(4, keystore::AgencyState::kSuspended);
  const Erased erased = trial.erase({1});
  ASSERT_EQ(erased.agencies.size(), 2U);
  EXPECT_EQ(erased.agencies[0].first, 1U);
  EXPECT_EQ(erased.agencies[1].first, 4U);
  EXPECT_EQ(erased.issuances, 3U);
  EXPECT_EQ(must(trial.site().ledger().state()).issuances, 0U);
  EXPECT_EQ(trial.verify(), "");
}

TEST(Eraser, RefusesWhenTheLedgerChangedSinceItLooked) {
  TrialLedger trial;
  trial.issue({1, 2}, {1, 1});
  const auto eraser = must(Eraser::create(trial.site(), 1));
  keystore::JobRow job;
  job.number = 1;
  const Codes codes{1};
  EXPECT_EQ(eraser->commit(job, {}).error().code, ErrorCode::kInternal);  // nothing was found yet
  must(eraser->find(codes));
  trial.issue({1}, {2});
  const auto names = bulk_names(trial.directory());
  EXPECT_EQ(eraser->commit(job, {}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(bulk_names(trial.directory()), names);
  must(eraser->find(codes));
  trial.erase({2});
  EXPECT_EQ(eraser->commit(job, {}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(trial.issue({1}, {2}), std::vector{RowResult::kExisting});
  EXPECT_EQ(trial.verify(), "");
}

TEST(Eraser, TheJournalSaysThatItHappenedAndNotToWhom) {
  TrialLedger trial;
  trial.issue({1, 2}, {1, 1});
  trial.erase({1});
  const auto journal = must(trial.site().ledger().journal(0, 100));
  const auto entry = std::find_if(journal.begin(), journal.end(),
                                  [](const auto& e) { return e.act == "delete.commit"; });
  ASSERT_NE(entry, journal.end());
  EXPECT_EQ(entry->operator_name, "tester");
  EXPECT_EQ(entry->order, "W-1");
  EXPECT_EQ(entry->details, R"({"issuances":1,"people":1,"request":"J2"})");
}

// Symbols of 16 bits: who once collided with somebody deleted is still found, and not made twice.
TEST(Eraser, CollisionsOutliveTheDeletedPerson) {
  TrialLedger trial(static_cast<std::uint8_t>(MethodNumber::kTest16), 1);
  constexpr std::size_t kPeople = 4000;
  const Codes everybody = codes_from(1, kPeople);
  trial.issue(everybody, std::vector<AgencyNumber>(kPeople, 1));
  ASSERT_GE(must(trial.site().ledger().state()).most_counter, 1U);
  Codes erased, kept;
  for (const std::uint64_t code : everybody) (code % 2 == 0 ? erased : kept).push_back(code);
  const auto symbols = trial.symbols(1, kept);
  trial.erase(erased);
  EXPECT_EQ(trial.verify(), "");
  EXPECT_EQ(trial.symbols(1, kept), symbols);
  const auto results = trial.issue(kept, std::vector<AgencyNumber>(kept.size(), 1));
  EXPECT_EQ(std::count(results.begin(), results.end(), RowResult::kExisting),
            static_cast<std::ptrdiff_t>(kept.size()));
  trial.issue(erased, std::vector<AgencyNumber>(erased.size(), 1));  // they take the free symbols
  EXPECT_EQ(trial.symbols(1, kept), symbols);
  EXPECT_EQ(must(trial.site().ledger().state()).next_person, kPeople + erased.size());
  // Half of those who are left are changed to codes that collide in their turn.
  Codes olds(kept.begin(), kept.begin() + 500), news = codes_from(100'000, 500);
  const Changed changed = trial.change(olds, news);
  EXPECT_EQ(std::count(changed.results.begin(), changed.results.end(), ChangeResult::kChanged),
            500);
  EXPECT_EQ(must(trial.answer(olds, news, changed.segment)), changed);
  EXPECT_EQ(trial.verify(), "");
}

}  // namespace
}  // namespace fugo::engine::testing
