// A regeneration's files beside those of the writer: what either does while the other works.
#include "keystore/staging.h"

#include <fcntl.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/keystore/ledger_deletion.h"

namespace fugo::keystore {
namespace {

using namespace std::chrono_literals;

constexpr PersonId kPeople = 60;

class StagingTest : public ::testing::Test {
 protected:
  // Sixty people in generation 1, and an open run that makes generation 2.
  void SetUp() override {
    ASSERT_OK(place.create());
    ledger = *place.open(Access::kWrite);
    auto update = ledger->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    GenerationRow second;
    second.number = second.linkage_generation = 2;
    second.state = GenerationState::kPending;
    second.chained_from = 1;
    ASSERT_OK((*update)->put_generation(second));
    RunRow wanted;
    wanted.state = RunState::kRunning;
    wanted.what = kRunLinkage;
    wanted.to = 2;
    run = *(*update)->put_run(wanted);
    (*update)->state().staged_generation = 2;
    ASSERT_OK((*update)->commit());
    update->reset();
    for (int i = 0; i < 3; ++i) ASSERT_OK(maker.commit(*ledger, 20));
    ASSERT_OK(ledger->finish_merges());
    staging = *Staging::open(*ledger);
  }

  // add stages the next `count` people, as they are in generation 1 when `deleted` people are gone.
  Status add(std::size_t count, PersonId deleted) {
    FUGO_ASSIGN(const auto snapshot, ledger->snapshot());
    std::vector<PersonRecord> people(count);
    FUGO_TRY(snapshot->read_people_range(1, run.people_done, people));
    auto index = random_index(random, count, ~std::uint64_t{0}, run.people_done);
    std::erase_if(index, [&](const IndexEntry& entry) {
      return people[entry.id - run.people_done].state == PersonState::kDeleted;
    });
    RunRow after = run;
    after.people_done += static_cast<PersonId>(count);
    FUGO_TRY(staging->add_people({after, 2, run.people_done, people, index, deleted}));
    run = after;
    return {};
  }
  // add_anew reads again when people were deleted meanwhile, as whoever regenerates does.
  Status add_anew(std::size_t count) {
    for (;;) {
      FUGO_ASSIGN(const auto state, ledger->state());  // before the people are read
      Status added = add(count, state.deleted_people);
      if (added || added.error().code != ErrorCode::kStale) return added;
      ++stale;
    }
  }

  // expect_both compares generation 2 with generation 1 as far as it was made.
  void expect_both(const std::set<PersonId>& deleted) const {
    expect_left(*ledger, deleted);
    const auto snapshot = *ledger->snapshot();
    std::vector<PersonRecord> first(run.people_done), second(run.people_done);
    ASSERT_OK(snapshot->read_people_range(1, 0, first));
    ASSERT_OK(snapshot->read_people_range(2, 0, second));
    std::set<PersonId> expected, indexed;
    for (PersonId id = 0; id < run.people_done; ++id) {
      EXPECT_TRUE(same(first[id], second[id])) << id;
      if (!deleted.contains(id)) expected.insert(id);
    }
    ASSERT_OK(snapshot->scan_index(2, [&](std::span<const IndexEntry> entries) -> Status {
      for (const IndexEntry& entry : entries) EXPECT_TRUE(indexed.insert(entry.id).second);
      return {};
    }));
    EXPECT_EQ(indexed, expected);
    EXPECT_EQ(place.bulk_files(), snapshot->files().size());
  }

  [[nodiscard]] std::filesystem::path path(FileNumber number) const {
    return place.directory / "data" / bulk_file_name(number);
  }
  // litter makes a file that the manifest does not name.
  [[nodiscard]] std::filesystem::path litter(FileNumber number) const {
    std::ofstream(path(number)) << "left";
    return path(number);
  }

  LedgerPlace place;
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<Staging> staging;
  SegmentMaker maker{3};
  std::mt19937_64 random{4};
  RunRow run;
  std::uint64_t stale = 0;
};

TEST_F(StagingTest, OneProcessAtATimeRegenerates) {
  EXPECT_EQ(Staging::open(*ledger).error().code, ErrorCode::kRefused);
  staging.reset();
  ASSERT_OK(Staging::open(*ledger));
}

TEST_F(StagingTest, OpeningTakesAwayWhatADeadOneLeftAndNothingOfTheWriter) {
  ASSERT_OK(add_anew(10));
  staging.reset();
  const auto staged = litter(kFirstStagedFile + 99), written = litter(99);
  staging = *Staging::open(*ledger);
  EXPECT_FALSE(std::filesystem::exists(staged));
  EXPECT_TRUE(std::filesystem::exists(written));
  std::filesystem::remove(written);
  expect_both({});
}

TEST_F(StagingTest, APieceThatWasReadBeforeADeletionIsRefusedAndReadAnew) {
  ASSERT_OK(add_anew(20));
  ASSERT_OK(delete_people(*ledger, {5, 25}));
  const auto before = *ledger->state();
  const auto files = place.bulk_files();
  EXPECT_EQ(add(20, 0).error().code, ErrorCode::kStale);
  EXPECT_EQ(*ledger->state(), before);
  EXPECT_EQ(place.bulk_files(), files);
  ASSERT_OK(add_anew(20));
  ASSERT_OK(staging->merge(2, {}));
  expect_both({5, 25});
}

TEST_F(StagingTest, APieceOfARunThatWasEndedIsRefused) {
  ASSERT_OK(add_anew(20));
  const auto files = place.bulk_files();
  {
    const auto update = *ledger->begin();
    RunRow ended = run;
    ended.state = RunState::kAborted;
    ASSERT_OK(update->put_run(ended));
    ASSERT_OK(update->commit());
  }
  EXPECT_EQ(add(20, 0).error().code, ErrorCode::kRefused);
  EXPECT_EQ(place.bulk_files(), files);
}

// The deletion rewrites person and index files. Those of the first kind are open then; those of
// the second are gone before they are opened.
TEST_F(StagingTest, ADeletionBetweenTwoMergesIsNoError) {
  for (int i = 0; i < 4; ++i) ASSERT_OK(add_anew(10));
  bool deleted = false;
  ASSERT_OK(staging->merge(2, [&] {
    if (!deleted) {
      deleted = true;
      EXPECT_TRUE(delete_people(*ledger, {3, 17, 31}));
    }
    return false;
  }));
  EXPECT_TRUE(deleted);
  expect_both({3, 17, 31});
}

TEST_F(StagingTest, DeletionsBesidePiecesAndMergesComeOutRight) {
  std::atomic<bool> over{false};
  std::thread regenerating([&] {
    while (run.people_done < kPeople) {
      EXPECT_TRUE(add_anew(2));
      EXPECT_TRUE(staging->merge(2, {}));
    }
    over = true;
  });
  std::set<PersonId> deleted;
  for (PersonId id = 0; id < kPeople && (!over || deleted.empty()); id += 2) {
    const auto done = delete_people(*ledger, {id});
    EXPECT_TRUE(done) << done.error().message();
    deleted.insert(id);
  }
  regenerating.join();
  expect_both(deleted);
}

TEST_F(StagingTest, AFileThatIsMissingIsAnErrorAndNotTriedForEver) {
  for (int i = 0; i < 4; ++i) ASSERT_OK(add_anew(10));
  const auto snapshot = *ledger->snapshot();
  for (const FileRow& row : snapshot->files())
    if (row.kind == FileKind::kIndex && row.generation == 2) {
      std::filesystem::remove(path(row.number));
      break;
    }
  EXPECT_EQ(staging->merge(2, {}).error().code, ErrorCode::kIo);
  EXPECT_EQ(delete_people(*ledger, {3}).error().code, ErrorCode::kIo);
}

TEST_F(StagingTest, TheWriterItselfRemovesWhatIsLeft) {
  ASSERT_OK(add_anew(20));
  const auto staged = litter(kFirstStagedFile + 99), written = litter(99);
  ASSERT_OK(ledger->remove_leftovers());  // while the run is open its files are not the writer's
  EXPECT_FALSE(std::filesystem::exists(written));
  EXPECT_TRUE(std::filesystem::exists(staged));
  (void)litter(99);
  ASSERT_OK(staging->remove_leftovers(0ms));
  EXPECT_FALSE(std::filesystem::exists(written));
  EXPECT_FALSE(std::filesystem::exists(staged));
  expect_both({});
}

TEST_F(StagingTest, WithoutAWriterAllThatIsLeftIsRemoved) {
  ASSERT_OK(add_anew(20));
  staging.reset();
  ledger.reset();
  ledger = *place.open(Access::kAppend);
  staging = *Staging::open(*ledger);
  const auto staged = litter(kFirstStagedFile + 99), written = litter(99);
  ASSERT_OK(staging->remove_leftovers(0ms));
  EXPECT_FALSE(std::filesystem::exists(written));
  EXPECT_FALSE(std::filesystem::exists(staged));
  expect_both({});
  staging.reset();
  ledger.reset();
  ASSERT_OK(place.open(Access::kWrite));  // nobody kept the writer's lock
}

TEST_F(StagingTest, AnotherWriterIsWaitedFor) {
  ASSERT_OK(add_anew(20));
  staging.reset();
  const auto beside = *place.open(Access::kAppend);
  staging = *Staging::open(*beside);
  ASSERT_OK(staging->remove_leftovers(0ms));  // nothing is left, so nobody is waited for
  const auto written = litter(99);
  const auto refused = staging->remove_leftovers(0ms);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_TRUE(std::filesystem::exists(written)) << "it may be the writer's";
  std::thread writer([&] { EXPECT_TRUE(ledger->remove_leftovers()); });
  EXPECT_TRUE(staging->remove_leftovers(60s));
  writer.join();
  EXPECT_FALSE(std::filesystem::exists(written));
  expect_both({});
}

}  // namespace
}  // namespace fugo::keystore
