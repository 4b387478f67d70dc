// Physical deletion in the ledger: what goes, what stays, what is refused.
#include <fstream>
#include <thread>

#include "tests/keystore/ledger_deletion.h"

namespace fugo::keystore {
namespace {

class Deletion : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(place.create());
    reopen();
    auto update = ledger->begin();
    ASSERT_OK(update);
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    ASSERT_OK((*update)->commit());
  }
  void reopen() {
    ledger.reset();
    auto opened = place.open(Access::kWrite);
    ASSERT_OK(opened);
    ledger = std::move(*opened);
  }

  LedgerPlace place;
  std::unique_ptr<Ledger> ledger;
  SegmentMaker maker{1};
};

TEST_F(Deletion, TakesPeopleFromEveryFileAndKeepsTheOthersPlaces) {
  for (const std::size_t count : {50, 10, 10, 30}) ASSERT_OK(maker.commit(*ledger, count));
  const auto people = deleted_people();
  std::set<PersonId> deleted(people.begin(), people.end());
  ASSERT_OK(delete_people(*ledger, people));
  expect_left(*ledger, deleted);
  reopen();
  expect_left(*ledger, deleted);
  EXPECT_EQ(place.bulk_files(), (*ledger->snapshot())->files().size());
  // More people, more deletions, merges between them.
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(maker.commit(*ledger, 20));
    const PersonId last = ledger->state()->next_person - 1;
    ASSERT_OK(delete_people(*ledger, {static_cast<PersonId>(i), last}).or_else([&](auto&&) {
      return delete_people(*ledger, {last});  // 3 and 4 are gone already
    }));
    if (!deleted.contains(static_cast<PersonId>(i))) deleted.insert(static_cast<PersonId>(i));
    deleted.insert(last);
  }
  ASSERT_OK(ledger->finish_merges());
  expect_left(*ledger, deleted);
}

TEST_F(Deletion, OfEverybodyLeavesTombstonesAlone) {
  for (int i = 0; i < 3; ++i) ASSERT_OK(maker.commit(*ledger, 10));
  std::vector<PersonId> all(30);
  std::iota(all.begin(), all.end(), 0U);
  ASSERT_OK(delete_people(*ledger, all));
  expect_left(*ledger, {all.begin(), all.end()});
  for (const FileRow& row : (*ledger->snapshot())->files()) EXPECT_EQ(row.kind, FileKind::kPerson);
  ASSERT_OK(maker.commit(*ledger, 5));  // ids go on
  expect_left(*ledger, {all.begin(), all.end()});
}

TEST_F(Deletion, ErasesPatchesToo) {
  ASSERT_OK(maker.commit(*ledger, 10));
  const auto patch = [&](PersonId id, PersonId successor) {
    const auto implementation = dynamic_cast<LedgerImpl*>(ledger.get());
    auto update =
        SmallRowUpdate::begin(implementation->parts().environment, implementation->parts().sealer);
    ASSERT_OK(update);
    ASSERT_OK((*update)->put_patch(
        {id, 1, PersonState::kSuperseded, kNoPerson, successor, SegmentNumber{1}}));
    EXPECT_FALSE((*update)->put_patch({id, 1, PersonState::kSuperseded, kNoPerson, 9, 1}));
    ASSERT_OK((*update)->commit());
  };
  patch(1, 2);
  patch(5, 6);
  const auto before = ledger->snapshot();
  ASSERT_OK(before);
  EXPECT_EQ((*before)->patches().size(), 2U);
  ASSERT_OK(delete_people(*ledger, {1, 2}));
  EXPECT_EQ((*before)->patches().size(), 2U);  // a snapshot never changes
  const auto after = ledger->snapshot();
  ASSERT_OK(after);
  ASSERT_EQ((*after)->patches().size(), 1U);
  EXPECT_EQ((*after)->superseded_in(5), 1U);
  EXPECT_EQ((*after)->superseded_in(1), kNoSegment);
}

TEST_F(Deletion, IsRefusedWhenItDoesNotFit) {
  for (int i = 0; i < 2; ++i) ASSERT_OK(maker.commit(*ledger, 10));
  const auto state = *ledger->state();
  const auto files = place.bulk_files();
  const auto expect_refused = [&](std::vector<PersonId> people, ErrorCode code,
                                  const std::function<void(DeletionData&)>& change = {}) {
    auto data = deletion_of(*ledger, people);
    ASSERT_OK(data);
    if (change) change(*data);
    const auto done = ledger->commit_deletion(*data);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, code) << done.error().message();
    EXPECT_EQ(*ledger->state(), state);
    EXPECT_EQ(place.bulk_files(), files);
  };
  expect_refused({4, 3}, ErrorCode::kInternal);
  expect_refused({3, 3}, ErrorCode::kInternal);
  expect_refused({3, 20}, ErrorCode::kInternal);
  expect_refused({3}, ErrorCode::kInternal, [](DeletionData& data) { data.job.number = 0; });
  expect_refused({3}, ErrorCode::kInternal, [](DeletionData& data) { data.job.number = 9; });
  expect_refused({3}, ErrorCode::kRefused, [](DeletionData& data) { data.next_segment = 2; });
  expect_refused({3}, ErrorCode::kRefused, [](DeletionData& data) { data.deleted_people = 1; });
  // The files hold one issuance of each: a caller who found more or fewer is not believed.
  expect_refused({3, 4}, ErrorCode::kDamaged, [](DeletionData& data) { data.issuances = 1; });
  expect_refused({3, 4}, ErrorCode::kDamaged, [](DeletionData& data) { data.issuances = 3; });
  EXPECT_EQ(place.open(Access::kAppend).value()->commit_deletion({}).error().code,
            ErrorCode::kInternal);
}

TEST_F(Deletion, ADamagedFileIsFoundAndNothingChanges) {
  ASSERT_OK(maker.commit(*ledger, 200));
  for (const FileRow& row : (*ledger->snapshot())->files()) {
    if (row.kind != FileKind::kIndex) continue;
    std::fstream bytes(place.directory / "data" / bulk_file_name(row.number),
                       std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(100);
    bytes.put('!').put('?');
  }
  const auto state = *ledger->state();
  const auto files = place.bulk_files();
  EXPECT_EQ(delete_people(*ledger, {150}).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(*ledger->state(), state);
  EXPECT_EQ(place.bulk_files(), files);
}

// A snapshot that is older than the deletion goes on; merges run beside.
TEST_F(Deletion, ReadersAndMergesBesideIt) {
  for (int i = 0; i < 30; ++i) ASSERT_OK(maker.commit(*ledger, 50));
  const auto old = ledger->snapshot();
  ASSERT_OK(old);
  std::set<PersonId> deleted;
  for (PersonId id = 0; id < 1500; id += 100) {
    ASSERT_OK(maker.commit(*ledger, 50));  // wakes merges
    ASSERT_OK(delete_people(*ledger, {id, id + 1}));
    deleted.insert({id, id + 1});
  }
  expect_left(*ledger, deleted);
  std::vector<PersonRecord> records(1500);
  ASSERT_OK((*old)->read_people_range(1, 0, records));
  EXPECT_NE(records[100].state, PersonState::kDeleted);
  reopen();
  expect_left(*ledger, deleted);
  EXPECT_EQ(place.bulk_files(), (*ledger->snapshot())->files().size());
}

}  // namespace
}  // namespace fugo::keystore
