// What the tests of deletion share: deleting people of SegmentMaker, and what must be left.
#pragma once

#include <numeric>
#include <set>
#include <vector>

#include "keystore/bulk_format.h"
#include "keystore/ledger_impl.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {

// deletion_of makes the data of deleting people of SegmentMaker from the ledger as it is.
inline Result<DeletionData> deletion_of(const Ledger& ledger, std::span<const PersonId> people) {
  FUGO_ASSIGN(const LedgerState state, ledger.state());
  DeletionData data;
  FUGO_ASSIGN(data.job, ledger.job(1));
  data.people = people;
  data.issuances = people.size();
  data.people_digest.limbs[0] = data.issued_digest.limbs[0] = data.times_digest.limbs[0] =
      people.size();
  data.next_segment = state.next_segment;
  data.deleted_people = state.deleted_people;
  data.journal.time = data.job.time;
  data.journal.operator_name = "tester";
  data.journal.act = "delete.commit";
  data.journal.details = "{}";
  return data;
}

inline Status delete_people(Ledger& ledger, const std::vector<PersonId>& people) {
  FUGO_ASSIGN(const DeletionData data, deletion_of(ledger, people));
  return ledger.commit_deletion(data);
}

// deleted_people are those whom the probe deletes: some of the first segments, all of the third.
inline std::vector<PersonId> deleted_people() {
  std::vector<PersonId> people{3, 4, 17, 40};
  for (PersonId id = 60; id < 70; ++id) people.push_back(id);
  return people;
}

// expect_left compares all bulk data with what SegmentMaker made, without `deleted`.
inline void expect_left(const Ledger& ledger, const std::set<PersonId>& deleted) {
  const auto state = ledger.state();
  ASSERT_OK(state);
  const auto snapshot = ledger.snapshot();
  ASSERT_OK(snapshot);
  const PersonId people = (*snapshot)->people();
  EXPECT_EQ(people, state->next_person);
  EXPECT_EQ(state->deleted_people, deleted.size());
  EXPECT_EQ(state->deleted_issuances, deleted.size());
  EXPECT_EQ(state->issuances, people - deleted.size());
  for (const DigestSum& sum : {state->people_digest, state->issued_digest, state->times_digest})
    EXPECT_EQ(sum.limbs[0], people - deleted.size());
  std::set<PersonId> expected, indexed, issued;
  for (PersonId id = 0; id < people; ++id)
    if (!deleted.contains(id)) expected.insert(id);
  ASSERT_OK((*snapshot)->scan_index(1, [&](std::span<const IndexEntry> entries) -> Status {
    for (const IndexEntry& entry : entries) EXPECT_TRUE(indexed.insert(entry.id).second);
    return {};
  }));
  ASSERT_OK((*snapshot)->scan_issued(1, 0, kNoPerson,
                                     [&](std::span<const IssuedEntry> entries) -> Status {
                                       for (const auto& entry : entries)
                                         EXPECT_TRUE(issued.insert(entry.key.id).second);
                                       return {};
                                     }));
  EXPECT_EQ(indexed, expected);
  EXPECT_EQ(issued, expected);
  std::vector<PersonRecord> records(people);
  ASSERT_OK((*snapshot)->read_people_range(1, 0, records));
  for (PersonId id = 0; id < people; ++id) {
    const bool empty = same(records[id], PersonCodec::tombstone());
    EXPECT_EQ(empty, deleted.contains(id)) << id;
  }
  for (const FileRow& row : (*snapshot)->files())
    EXPECT_LT(row.number,
              row.number < kFirstStagedFile ? state->next_file : state->next_staged_file);
}

}  // namespace fugo::keystore
