// A ledger whose symbols, index entries and sums are right, with a model to compare it with: two
// generations, people who were superseded, people who were deleted, and a regeneration that waits
// for its last step.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "keystore/bulk_format.h"
#include "keystore/rekey.h"
#include "keystore/verify_content.h"
#include "keystore/verify_tables.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {

// second_data_key is what a rekey gives the ledger of a LedgerPlace.
inline SecretBytes<32> second_data_key() {
  SecretBytes<32> key;
  for (std::size_t i = 0; i < 32; ++i) key.data()[i] = static_cast<std::uint8_t>(200 - i * 3);
  return key;
}

// rekey_data drops the first generation and finishes the run.
inline RekeyData rekey_data() {
  RekeyData data;
  data.data_key = second_data_key();
  data.wrap_key_version = 2;
  data.wrapped_data_key = {5, 5, 5, 5};
  data.drop = {1};
  data.fill = [](Update& update) -> Status {
    GenerationRow first;
    first.state = GenerationState::kRetired;
    first.starters = 40 - 3;
    FUGO_TRY(update.put_generation(first));
    RunRow run;
    run.number = 1;
    run.id = "R+0001";
    run.what = kRunLinkage;
    run.to = 2;
    run.state = RunState::kFinished;
    FUGO_TRY(update.put_run(run).map([](auto&&) {}));
    return update.append_journal({"tester", ""}, "regenerate.finish", "{}");
  };
  return data;
}

// Sums are the three sums of the digest.
struct Sums {
  DigestSum people, issued, times;
  friend bool operator==(const Sums&, const Sums&) = default;
};

// findings is what verify_tables and verify_content find, one a line.
inline std::string findings_of(const Ledger& ledger) {
  std::string text;
  const auto add = [&](const Result<std::vector<Error>>& found) {
    if (!found) text += "failed: " + found.error().message() + "\n";
    if (found)
      for (const Error& error : *found) text += error.message() + "\n";
  };
  add(verify_tables(ledger));
  const auto agencies = ledger.agencies();
  const auto segments = ledger.segments();
  const auto state = ledger.state();
  const auto generations = ledger.generations();
  const auto snapshot = ledger.snapshot();
  if (!agencies || !segments || !state || !generations || !snapshot) return text + "not read\n";
  add(verify_content({.snapshot = **snapshot,
                      .keys = *ledger.keys(),
                      .digest = *ledger.content_digest(),
                      .agencies = *agencies,
                      .segments = *segments,
                      .state = *state,
                      .generations = *generations}));
  return text;
}

class RealLedger {
 public:
  // make puts 40 people into generation 1, makes generation 2 of them, puts 20 into that, and
  // deletes four.
  void make() {
    ASSERT_OK(place.create());
    ledger = *place.open(Access::kWrite);
    auto update = ledger->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_agency(make_agency("B", 2)));
    JobRow job = make_job("J1");
    job.kind = JobKind::kChange;
    ASSERT_OK((*update)->put_job(job));
    ASSERT_OK((*update)->commit());
    update->reset();
    for (int i = 0; i < 4; ++i) ASSERT_NO_FATAL_FAILURE(add_people(10));
    ASSERT_NO_FATAL_FAILURE(regenerate());
    for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(add_people(10));
    ASSERT_NO_FATAL_FAILURE(erase({2, 3, 25, 51}));
    finish_job();
    ASSERT_OK(ledger->finish_merges());
  }

  // add_people commits a segment; its first person supersedes somebody.
  void add_people(std::size_t count) {
    const auto state = *ledger->state();
    std::vector<PersonRecord> fresh;
    std::vector<IndexEntry> index;
    std::vector<IssuedEntry> issued;
    std::vector<PersonPatch> patches;
    const Sums before = sums(*ledger->content_digest());
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = static_cast<PersonId>(people.size());
      PersonRecord person = random_person(random_);
      person.state = PersonState::kActive;
      person.start = generation;
      person.predecessor = person.successor = kNoPerson;
      person.segment = state.next_segment;
      person.superseded_in = kNoSegment;
      if (i == 0 && id != 0) {
        PersonRecord& old = people[id - 1];
        person.predecessor = id - 1;
        old.state = PersonState::kSuperseded;
        old.successor = id;
        patches.push_back({id - 1, generation, PersonState::kSuperseded, old.predecessor, id,
                           state.next_segment});
      }
      people.push_back(person);
      fresh.push_back(person);
      index.push_back(entry_of(*ledger->keys(), id));
      for (const AgencyNumber agency : {AgencyNumber{1}, AgencyNumber{2}})
        if (agency == 1 || id % 2 == 0) issued.push_back({{agency, id}, state.next_segment});
    }
    std::sort(index.begin(), index.end(), IndexCodec::before);
    std::sort(issued.begin(), issued.end(), IssuedCodec::before);
    for (const IssuedEntry& entry : issued) issuances[entry.key] = make_job("").time;
    SegmentData data;
    data.job = *ledger->job(1);
    data.linkage_generation = generation;
    data.row = {state.next_segment,
                1,
                data.job.time,
                data.job.rows_done,
                static_cast<std::uint32_t>(count),
                static_cast<std::uint32_t>(count),
                static_cast<std::uint32_t>(issued.size())};
    data.job.rows_done += count;
    data.job.count_new += issued.size();
    data.job.people_new += count;
    if (data.job.segments++ == 0) data.job.first_segment = state.next_segment;
    data.people = fresh;
    data.index = index;
    data.issued = issued;
    data.patches = patches;
    const Sums after = sums(*ledger->content_digest());
    data.people_digest = difference(after.people, before.people);
    data.issued_digest = difference(after.issued, before.issued);
    data.times_digest = difference(after.times, before.times);
    data.stats = {{"2026-11-" + std::to_string(9 + state.next_segment), 1, 1, issued.size(), 0, 0}};
    data.journal.act = "change.segment";
    data.journal.details = "{}";
    ASSERT_OK(ledger->commit_segment(data));
  }

  // regenerate makes generation 2 as a run does, and makes it the active one.
  void regenerate() {
    auto update = ledger->begin();
    GenerationRow first, second;
    first.starters = 40;
    second.number = second.linkage_generation = 2;
    second.chained_from = 1;
    second.state = GenerationState::kPending;
    ASSERT_OK((*update)->put_generation(second));
    RunRow run;
    run.what = kRunLinkage;
    run.state = RunState::kRunning;
    run.to = 2;
    const auto put = (*update)->put_run(run);
    ASSERT_OK(put);
    run = *put;
    (*update)->state().staged_generation = 2;
    ASSERT_OK((*update)->commit());
    update->reset();
    generation = 2;
    std::vector<PersonRecord> chained;
    std::vector<IndexEntry> index;
    for (PersonId id = 0; id < people.size(); ++id) {
      people[id].linkage_symbol.bytes[0] ^= 0x5A;
      people[id].check_value[1] ^= 0xA5;
      chained.push_back(people[id]);
      index.push_back(entry_of(*ledger->keys(), id));
    }
    std::sort(index.begin(), index.end(), IndexCodec::before);
    {
      auto staging = Staging::open(*ledger);
      ASSERT_OK(staging);
      run.people_done = static_cast<PersonId>(people.size());
      ASSERT_OK((*staging)->add_people({run, 2, 0, chained, index, 0}));
    }
    update = ledger->begin();
    first.state = GenerationState::kAccepting;
    second.state = GenerationState::kActive;
    ASSERT_OK((*update)->put_generation(first));
    ASSERT_OK((*update)->put_generation(second));
    for (const RunState next : {RunState::kReady, RunState::kCommitted}) {
      run.state = next;
      ASSERT_OK((*update)->put_run(run));
    }
    LedgerState& state = (*update)->state();
    state.staged_generation = 0;
    const Sums now = sums(*ledger->content_digest());
    state.people_digest = now.people;
    state.issued_digest = now.issued;
    state.times_digest = now.times;
    ASSERT_OK((*update)->commit());
  }

  void erase(const std::vector<PersonId>& ids) {
    const Sums before = sums(*ledger->content_digest());
    const auto state = *ledger->state();
    DeletionData data;
    data.job = *ledger->job(1);
    data.people = ids;
    for (const PersonId id : ids) {
      ++data.starters[people[id].start];
      for (const AgencyNumber agency : {AgencyNumber{1}, AgencyNumber{2}})
        data.issuances += issuances.erase({agency, id});
      people[id] = PersonCodec::tombstone();
    }
    const Sums after = sums(*ledger->content_digest());
    data.people_digest = difference(before.people, after.people);
    data.issued_digest = difference(before.issued, after.issued);
    data.times_digest = difference(before.times, after.times);
    data.next_segment = state.next_segment;
    data.deleted_people = state.deleted_people;
    data.journal.act = "delete.commit";
    data.journal.details = "{}";
    ASSERT_OK(ledger->commit_deletion(data));
  }

  void finish_job() const {
    JobRow job = *ledger->job(1);
    job.state = JobState::kDone;
    auto update = ledger->begin();
    ASSERT_OK((*update)->put_job(job));
    ASSERT_OK((*update)->commit());
  }

  // sums computes the digest's sums of the model, one element at a time.
  [[nodiscard]] Sums sums(const ContentDigest& digest) const {
    Sums sums;
    for (const PersonRecord& person : people)
      EXPECT_TRUE(person.state == PersonState::kDeleted ||
                  digest.add_people({&person, 1}, sums.people).has_value());
    for (const auto& [key, time] : issuances) {
      const std::string code = key.agency == 1 ? "A" : "B";
      Block base;
      const Block mask = *digest.agency_mask(code);
      const Block time_mask = *digest.agency_time_mask(code, time);
      EXPECT_TRUE(digest.person_bases({&people[key.id].linkage_symbol, 1}, {&base, 1}));
      EXPECT_TRUE(digest.add_issuances({&base, 1}, {&mask, 1}, sums.issued));
      EXPECT_TRUE(digest.add_issuances({&base, 1}, {&time_mask, 1}, sums.times));
    }
    return sums;
  }

  LedgerPlace place;
  std::unique_ptr<Ledger> ledger;
  std::vector<PersonRecord> people;             // of the active generation, as they stand now
  std::map<IssuedKey, std::int64_t> issuances;  // with their times
  Generation generation = 1;

 private:
  [[nodiscard]] IndexEntry entry_of(const LedgerKeys& keys, PersonId id) const {
    IndexEntry entry{0, id, symbol_tag(people[id].check_value)};
    EXPECT_TRUE(keys.symbol_digests({&people[id].linkage_symbol, 1}, {&entry.digest, 1}));
    return entry;
  }
  static DigestSum difference(DigestSum a, const DigestSum& b) {
    a.subtract(b);
    return a;
  }
  std::mt19937_64 random_{11};
};

}  // namespace fugo::keystore
