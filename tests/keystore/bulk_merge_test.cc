#include <gtest/gtest.h>

#include <cmath>

#include "keystore/bulk_files.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

// apply replaces a plan's inputs by one row, as a commit does.
void apply(std::vector<FileRow>& rows, const MergePlan& plan, const FileRow& merged) {
  for (const FileRow& input : plan.inputs) std::erase(rows, input);
  rows.push_back(merged);
}

FileRow row_of(FileNumber number, FileKind kind, PersonId first_id, std::uint64_t entries) {
  FileRow row;
  row.number = number;
  row.kind = kind;
  row.first_id = first_id;
  row.entries = entries;
  return row;
}

// simulate plans merges for segments of given sizes without files. Returns entries written in all.
std::uint64_t simulate(FileKind kind, const std::vector<std::uint64_t>& sizes,
                       std::vector<FileRow>& rows) {
  FileNumber next = 1;
  std::uint64_t people = 0, written = 0;
  for (const std::uint64_t size : sizes) {
    rows.push_back(row_of(next++, kind, static_cast<PersonId>(people), size));
    people += size;
    written += size;
    for (auto plans = plan_merges(rows); !plans.empty(); plans = plan_merges(rows)) {
      EXPECT_EQ(plans.size(), 1U);
      const auto& inputs = plans[0].inputs;
      EXPECT_GE(inputs.size(), 2U);
      std::uint64_t sum = 0;
      for (const FileRow& input : inputs) sum += input.entries;
      if (kind == FileKind::kPerson) {
        EXPECT_LE(sum, kMaxPersonsInFile);
        for (std::size_t i = 1; i < inputs.size(); ++i)
          EXPECT_EQ(inputs[i].first_id, inputs[i - 1].first_id + inputs[i - 1].entries);
      }
      apply(rows, plans[0], row_of(next++, kind, inputs.front().first_id, sum));
      written += sum;
    }
  }
  return written;
}

TEST(BulkMerge, RunsStayFewAndAreRewrittenSeldom) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> sizes(500);
    for (auto& size : sizes) size = round == 0 ? 1000 : 1 + random() % (1U << (random() % 20));
    std::vector<FileRow> rows;
    const std::uint64_t written = simulate(FileKind::kIndex, sizes, rows);
    std::uint64_t total = 0;
    for (const FileRow& row : rows) total += row.entries;
    EXPECT_LE(static_cast<double>(rows.size()), std::log2(static_cast<double>(total)) + 2);
    EXPECT_LE(static_cast<double>(written), static_cast<double>(total) * 12);
  }
}

TEST(BulkMerge, PersonFilesFillUpAndStayWithinTheLimit) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::uint64_t> sizes(300);
    for (auto& size : sizes) size = 1 + random() % (1U << (1 + random() % 20));
    std::vector<FileRow> rows;
    simulate(FileKind::kPerson, sizes, rows);
    std::uint64_t total = 0;
    for (const FileRow& row : rows) {
      EXPECT_LE(row.entries, kMaxPersonsInFile);
      total += row.entries;
    }
    EXPECT_LE(rows.size(), 2 * (total / kMaxPersonsInFile + 1) + 22);
  }
}

TEST(BulkMerge, KindsAndGenerationsAreKeptApart) {
  std::vector<FileRow> rows;
  for (FileNumber i = 1; i <= 12; ++i) {
    rows.push_back(row_of(i, i % 2 == 0 ? FileKind::kIndex : FileKind::kIssued, 0, 10));
    rows.back().generation = static_cast<Generation>(i % 4 < 2 ? 1 : 2);
  }
  const auto plans = plan_merges(rows);
  ASSERT_EQ(plans.size(), 4U);
  for (const MergePlan& plan : plans) {
    ASSERT_EQ(plan.inputs.size(), 3U);
    for (const FileRow& input : plan.inputs) {
      EXPECT_EQ(input.kind, plan.inputs[0].kind);
      EXPECT_EQ(input.generation, plan.inputs[0].generation);
    }
  }
}

class BulkMergeFiles : public ::testing::Test {
 protected:
  void write(const SegmentFiles& data) {
    const auto rows = write_segment_files(directory_.place, next_, data);
    ASSERT_OK(rows);
    next_ += rows->size();
    rows_.insert(rows_.end(), rows->begin(), rows->end());
  }
  void merge_all() {
    for (auto plans = plan_merges(rows_); !plans.empty(); plans = plan_merges(rows_))
      for (const MergePlan& plan : plans) {
        const auto merged = merge_files(directory_.place, plan, next_++);
        ASSERT_OK(merged);
        ASSERT_OK(check_file(directory_.place, *merged));
        apply(rows_, plan, *merged);
        remove_bulk_files(directory_.place, plan.inputs);
      }
  }

  BulkDirectory directory_;
  FileNumber next_ = 1;
  std::vector<FileRow> rows_;
  std::mt19937_64 random_{11};
};

TEST_F(BulkMergeFiles, MergedFilesHoldExactlyWhatTheirInputsHeld) {
  std::vector<PersonRecord> people;
  std::map<std::pair<std::uint64_t, PersonId>, std::uint32_t> index, seen_index;
  std::map<IssuedKey, SegmentNumber> issued, seen_issued;
  std::set<IssuedKey> taken;
  for (int segment = 0; segment < 25; ++segment) {
    const auto first = static_cast<PersonId>(people.size());
    const auto more = random_people(random_, random_() % 500);
    const auto entries = random_index(random_, more.size(), 0xFFF, first);
    const auto issuances = random_issued(random_, random_() % 500, 5000, taken);
    write({.first_id = first, .people = more, .index = entries, .issued = issuances});
    people.insert(people.end(), more.begin(), more.end());
    for (const auto& entry : entries) index[{entry.digest, entry.id}] = entry.tag;
    for (const auto& entry : issuances) issued[entry.key] = entry.segment;
    merge_all();
  }
  EXPECT_EQ(find_unnamed_files(directory_.place, rows_)->size(), 0U);
  const auto snapshot = open_snapshot(directory_.place, rows_);
  ASSERT_OK(snapshot);
  std::vector<PersonRecord> read(people.size());
  ASSERT_EQ((*snapshot)->people(), people.size());
  ASSERT_OK((*snapshot)->read_people_range(1, 0, read));
  for (std::size_t i = 0; i < people.size(); ++i) ASSERT_TRUE(same(read[i], people[i]));
  ASSERT_OK((*snapshot)->scan_index(1, [&](auto piece) -> Status {
    for (const IndexEntry& entry : piece) seen_index[{entry.digest, entry.id}] = entry.tag;
    return {};
  }));
  EXPECT_EQ(seen_index, index);
  for (AgencyNumber agency = 0; agency < 8; ++agency)
    ASSERT_OK((*snapshot)->scan_issued(agency, 0, kNoPerson, [&](auto piece) -> Status {
      for (const IssuedEntry& entry : piece) seen_issued[entry.key] = entry.segment;
      return {};
    }));
  EXPECT_EQ(seen_issued, issued);
}

TEST_F(BulkMergeFiles, AnEntryInTwoRunsIsDamage) {
  const std::vector<IssuedEntry> twice{{{1, 5}, 1}};
  write({.issued = twice});
  write({.issued = twice});
  const auto merged = merge_files(directory_.place, {rows_}, next_);
  ASSERT_FALSE(merged.has_value());
  EXPECT_EQ(merged.error().code, ErrorCode::kDamaged);
  EXPECT_FALSE(std::filesystem::exists(directory_.path(next_)));
}

TEST_F(BulkMergeFiles, AStoppedMergeLeavesNothing) {
  std::set<IssuedKey> taken;
  for (int i = 0; i < 2; ++i) write({.issued = random_issued(random_, 5000, 100000, taken)});
  int asked = 0;
  const auto merged = merge_files(directory_.place, {rows_}, next_, [&] { return ++asked > 2; });
  ASSERT_FALSE(merged.has_value());
  EXPECT_EQ(merged.error().code, ErrorCode::kRefused);
  EXPECT_FALSE(std::filesystem::exists(directory_.path(next_)));
}

TEST_F(BulkMergeFiles, ADamagedInputIsNotMerged) {
  std::set<IssuedKey> taken;
  for (int i = 0; i < 2; ++i) write({.issued = random_issued(random_, 500, 100000, taken)});
  rows_[1].key.data()[0] ^= 1;
  const auto merged = merge_files(directory_.place, {rows_}, next_);
  ASSERT_FALSE(merged.has_value());
  EXPECT_EQ(merged.error().code, ErrorCode::kDamaged);
  EXPECT_FALSE(std::filesystem::exists(directory_.path(next_)));
}

}  // namespace
}  // namespace fugo::keystore
