// Segments and merging through the ledger, with real files.
#include <fstream>

#include "keystore/ledger_impl.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

class Segments : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(place.create());
    auto opened = place.open(Access::kWrite);
    ASSERT_OK(opened);
    ledger = std::move(*opened);
    auto update = ledger->begin();
    ASSERT_OK(update);
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    ASSERT_OK((*update)->commit());
  }
  LedgerPlace place;
  std::unique_ptr<Ledger> ledger;
  SegmentMaker maker{1};
};

TEST_F(Segments, CommitEverythingTogether) {
  ASSERT_OK(maker.commit(*ledger, 50));
  const auto number = maker.commit(*ledger, 30);
  ASSERT_OK(number);
  EXPECT_EQ(*number, 2U);
  const auto state = ledger->state();
  ASSERT_OK(state);
  EXPECT_EQ(state->next_person, 80U);
  EXPECT_EQ(state->next_segment, 3U);
  EXPECT_EQ(state->open_job, 1U);
  const auto job = ledger->job(1);
  EXPECT_EQ(job->rows_done, 80U);
  EXPECT_EQ(job->segments, 2U);
  EXPECT_EQ(ledger->segments()->at(1).people_new, 30U);
  EXPECT_EQ(ledger->stats()->at(0).count_new, 80U);
  EXPECT_EQ(ledger->journal(0, 10)->back().act, "issue.segment");
  expect_whole(*ledger);
}

TEST_F(Segments, WithoutAnythingNewMakeNoFile) {
  ASSERT_OK(maker.commit(*ledger, 0));
  EXPECT_EQ(place.bulk_files(), 0U);
  EXPECT_EQ(ledger->state()->next_segment, 2U);
}

TEST_F(Segments, OfAnotherNumberAreRefusedAndLeaveNothing) {
  SegmentData data;
  data.row.number = 7;
  data.job.number = 1;
  data.row.job = 1;
  EXPECT_EQ(ledger->commit_segment(data).error().code, ErrorCode::kInternal);
  EXPECT_EQ(place.bulk_files(), 0U);
  EXPECT_EQ(ledger->state()->next_segment, 1U);
}

TEST_F(Segments, ThatFailInTheTransactionLeaveNoFiles) {
  const auto before = ledger->state();
  std::vector<PersonRecord> people(3);
  const std::vector<IndexEntry> index{{1, 0, 0}, {2, 1, 0}, {3, 2, 0}};
  SegmentData data;
  data.row = {1, 99, 0, 0, 3, 3, 0};  // there is no job 99
  data.job.number = 99;
  data.job.id = "J99";
  data.people = people;
  data.index = index;
  EXPECT_EQ(ledger->commit_segment(data).error().code, ErrorCode::kInternal);
  EXPECT_EQ(place.bulk_files(), 0U);
  EXPECT_EQ(*ledger->state(), *before);
}

TEST_F(Segments, AreMergedToAHandfulOfFiles) {
  for (int i = 0; i < 60; ++i) ASSERT_OK(maker.commit(*ledger, 20 + static_cast<std::size_t>(i)));
  ASSERT_OK(ledger->finish_merges());
  expect_whole(*ledger);
  EXPECT_LE(place.bulk_files(), 36U);
  const auto snapshot = ledger->snapshot();
  EXPECT_EQ((*snapshot)->files().size(), place.bulk_files());
  const auto next_file = ledger->state()->next_file;
  for (const FileRow& row : (*snapshot)->files()) EXPECT_LT(row.number, next_file);
}

TEST_F(Segments, SnapshotsStayGoodAndNewOnesSeeCommits) {
  ASSERT_OK(maker.commit(*ledger, 10));
  const auto old = ledger->snapshot();
  ASSERT_OK(old);
  EXPECT_EQ(ledger->snapshot()->get(), old->get());  // nothing changed: the same
  for (int i = 0; i < 20; ++i) ASSERT_OK(maker.commit(*ledger, 10));
  ASSERT_OK(ledger->finish_merges());
  EXPECT_EQ((*old)->people(), 10U);
  std::vector<PersonRecord> records(10);
  ASSERT_OK((*old)->read_people_range(1, 0, records));
  EXPECT_EQ((*ledger->snapshot())->people(), 210U);
}

TEST_F(Segments, OrphansAreRemovedWhenOpenedForWriting) {
  ASSERT_OK(maker.commit(*ledger, 10));
  const auto next = ledger->state()->next_file;
  const auto files = place.bulk_files();
  ledger.reset();
  for (const std::uint64_t number : {next, next + 7}) {
    char name[32];
    std::snprintf(name, sizeof name, "%010llu.fugo", static_cast<unsigned long long>(number));
    std::ofstream(place.directory / "data" / name) << "half written";
  }
  {
    const auto reader = place.open(Access::kRead);
    ASSERT_OK(reader);
    EXPECT_EQ(place.bulk_files(), files + 2);
  }
  auto opened = place.open(Access::kWrite);
  ASSERT_OK(opened);
  EXPECT_EQ(place.bulk_files(), files);
  ASSERT_OK(maker.commit(**opened, 10));
  expect_whole(**opened);
}

TEST_F(Segments, AMissingFileIsDamage) {
  ASSERT_OK(maker.commit(*ledger, 10));
  std::filesystem::remove(*std::filesystem::directory_iterator(place.directory / "data"));
  const auto snapshot = ledger->snapshot();
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ErrorCode::kDamaged);
}

TEST_F(Segments, ADamagedInputOfAMergeIsToldByFinishAndByTheNextCommit) {
  ASSERT_OK(maker.commit(*ledger, 40));
  ASSERT_OK(ledger->finish_merges());
  for (const auto& file : std::filesystem::directory_iterator(place.directory / "data")) {
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(static_cast<std::streamoff>(file.file_size() / 2));
    bytes.put('!').put('?');
  }
  ASSERT_OK(maker.commit(*ledger, 41));  // is committed, and wakes a merge, which fails
  const auto failed = ledger->finish_merges();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kDamaged);
  EXPECT_EQ(ledger->finish_merges().error().code, ErrorCode::kDamaged);  // tried again
}

// A merge whose input has gone for a while: told, tried again, an error only with too many files.
TEST_F(Segments, AMergeThatFailsIsAWarningUntilThereAreTooManyFiles) {
  ASSERT_OK(maker.commit(*ledger, 40));
  FileNumber issued = 0;
  for (const FileRow& row : (*ledger->snapshot())->files())
    if (row.kind == FileKind::kIssued) issued = row.number;
  const auto file = place.directory / "data" / bulk_file_name(issued);
  const auto away = place.directory / "away";
  std::filesystem::rename(file, away);
  ASSERT_OK(maker.commit(*ledger, 30));
  EXPECT_FALSE(ledger->merge_warning());
  ASSERT_OK(maker.commit(*ledger, 30));
  ASSERT_OK(ledger->finish_merges());
  ASSERT_TRUE(ledger->merge_warning());
  EXPECT_EQ(ledger->merge_warning()->code, ErrorCode::kIo);
  std::size_t commits = 3;
  Result<SegmentNumber> last = 0;
  while (commits < 100 && (last = maker.commit(*ledger, 1))) ++commits;
  EXPECT_EQ(commits, kMostRuns + 1);
  EXPECT_EQ(last.error().code, ErrorCode::kIo);
  EXPECT_NE(last.error().what.find("too many"), std::string::npos) << last.error().message();
  EXPECT_EQ(ledger->finish_merges().error().code, ErrorCode::kIo);
  EXPECT_EQ(ledger->state()->next_segment, commits + 1);  // the one that failed was not applied

  std::filesystem::rename(away, file);
  ASSERT_OK(maker.commit(*ledger, 5));  // tries again first
  ASSERT_OK(ledger->finish_merges());
  EXPECT_FALSE(ledger->merge_warning());
  EXPECT_LE(place.bulk_files(), 36U);
  expect_whole(*ledger);
}

TEST_F(Segments, AreForTheWriterOnly) {
  const auto reader = place.open(Access::kRead);
  ASSERT_OK(reader);
  EXPECT_EQ((*reader)->commit_segment({}).error().code, ErrorCode::kInternal);
  EXPECT_EQ((*reader)->begin().error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace fugo::keystore
