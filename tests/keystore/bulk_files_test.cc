#include "keystore/bulk_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "keystore/bulk_format.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

// Sizes around the edges of a block and of a block of fences.
std::vector<std::size_t> odd_sizes(const BulkLayout& layout) {
  const std::size_t block = layout.entries_in_block;
  return {0,
          1,
          block - 1,
          block,
          block + 1,
          2 * block,
          1000,
          block * kFencesInBlock,
          block * kFencesInBlock + 1};
}

class BulkFilesTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Snapshot> open(std::vector<FileRow> rows) {
    auto snapshot = open_snapshot(directory_.place, std::move(rows));
    EXPECT_TRUE(snapshot.has_value()) << snapshot.error().message();
    return snapshot ? *snapshot : nullptr;
  }
  std::vector<FileRow> write(const SegmentFiles& data) {
    auto rows = write_segment_files(directory_.place, next_, data);
    EXPECT_TRUE(rows.has_value()) << rows.error().message();
    if (!rows) return {};
    next_ += rows->size();
    for (const FileRow& row : *rows) {
      const auto checked = check_file(directory_.place, row);
      EXPECT_TRUE(checked.has_value()) << checked.error().message();
      EXPECT_EQ(std::filesystem::file_size(directory_.path(row.number)), row.bytes);
    }
    return *rows;
  }

  BulkDirectory directory_;
  FileNumber next_ = 1;
  std::mt19937_64 random_{20261121};
};

TEST_F(BulkFilesTest, PeopleComeBackWhateverTheirNumber) {
  for (const std::size_t size : odd_sizes(PersonCodec::kLayout)) {
    const auto people = random_people(random_, size);
    const auto snapshot = open(write({.generation = 3, .people = people}));
    ASSERT_EQ(snapshot->people(), size);
    std::vector<PersonRecord> read(size);
    ASSERT_OK(snapshot->read_people_range(3, 0, read));
    std::vector<PersonId> ids;
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_TRUE(same(people[i], read[i])) << i;
      for (std::size_t k = random_() % 3; k > 0; --k) ids.push_back(static_cast<PersonId>(i));
    }
    std::vector<PersonRecord> picked(ids.size());
    ASSERT_OK(snapshot->read_people(3, ids, picked));
    for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_TRUE(same(people[ids[i]], picked[i]));
    const PersonId beyond[] = {static_cast<PersonId>(size)};
    PersonRecord nobody;
    EXPECT_EQ(snapshot->read_people(3, beyond, {&nobody, 1}).error().code, ErrorCode::kDamaged);
    EXPECT_FALSE(snapshot->read_people(4, std::array<PersonId, 1>{0}, {&nobody, 1}).has_value());
  }
}

TEST_F(BulkFilesTest, IndexComesBackWhateverItsSize) {
  for (const std::size_t size : odd_sizes(IndexCodec::kLayout)) {
    const auto index = random_index(random_, size, ~std::uint64_t{0}, 0);
    const auto snapshot = open(write({.generation = 2, .index = index}));
    std::size_t seen = 0;
    ASSERT_OK(snapshot->scan_index(2, [&](std::span<const IndexEntry> piece) -> Status {
      for (const IndexEntry& entry : piece) {
        EXPECT_EQ(entry.digest, index[seen].digest);
        EXPECT_EQ(entry.id, index[seen].id);
        EXPECT_EQ(entry.tag, index[seen].tag);
        ++seen;
      }
      return {};
    }));
    EXPECT_EQ(seen, size);
  }
}

TEST_F(BulkFilesTest, IssuedComesBackWhateverItsSize) {
  for (const std::size_t size : odd_sizes(IssuedCodec::kLayout)) {
    std::set<IssuedKey> taken;
    const auto issued = random_issued(random_, size, 100000, taken);
    const auto snapshot = open(write({.issued = issued}));
    std::vector<IssuedKey> keys;
    for (const IssuedEntry& entry : issued) keys.push_back(entry.key);
    std::vector<SegmentNumber> segments(size);
    ASSERT_OK(snapshot->find_issued(keys, segments));
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(segments[i], issued[i].segment);
  }
}

TEST_F(BulkFilesTest, FilesAreForTheirOwnerAloneAndNeverOverwritten) {
  const auto people = random_people(random_, 5);
  const auto rows = write({.people = people});
  ASSERT_EQ(rows.size(), 1U);
  struct stat info {};
  ASSERT_EQ(::stat(directory_.path(1).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
  const auto again = write_segment_files(directory_.place, 1, {.people = people});
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kIo);
  ASSERT_OK(check_file(directory_.place, rows[0]));
}

TEST_F(BulkFilesTest, EveryFileHasAKeyOfItsOwn) {
  const auto people = random_people(random_, 5);
  const auto first = write({.people = people});
  const auto second = write({.people = people});
  EXPECT_NE(first[0].key, second[0].key);
}

TEST_F(BulkFilesTest, AFailureLeavesNothingBehind) {
  auto index = random_index(random_, 100, ~std::uint64_t{0}, 0);
  std::swap(index[10], index[20]);
  const auto people = random_people(random_, 100);
  const auto rows = write_segment_files(directory_.place, 1, {.people = people, .index = index});
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().code, ErrorCode::kInternal);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.place.directory));
}

TEST_F(BulkFilesTest, PeopleBeyondOneFileAreSplit) {
  const std::vector<PersonRecord> people(kMaxPersonsInFile + 1, random_person(random_));
  const auto rows = write({.people = people});
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].first_id, kMaxPersonsInFile);
  EXPECT_EQ(rows[1].entries, 1U);
  EXPECT_EQ(open(rows)->people(), kMaxPersonsInFile + 1);
}

TEST_F(BulkFilesTest, UnnamedFilesAreFoundAndNamedOnesRemoved) {
  const auto people = random_people(random_, 5);
  const auto kept = write({.people = people});
  const auto stray = write({.people = people});
  std::ofstream(directory_.place.directory / "other") << "x";
  auto unnamed = find_unnamed_files(directory_.place, kept);
  ASSERT_OK(unnamed);
  std::sort(unnamed->begin(), unnamed->end());
  ASSERT_EQ(unnamed->size(), 2U);
  EXPECT_EQ((*unnamed)[0], bulk_file_name(stray[0].number));
  EXPECT_EQ((*unnamed)[1], "other");
  remove_bulk_files(directory_.place, stray);
  EXPECT_FALSE(std::filesystem::exists(directory_.path(stray[0].number)));
  EXPECT_EQ(find_unnamed_files({directory_.path(99), {}}, kept).error().code, ErrorCode::kIo);
}

TEST_F(BulkFilesTest, RandomDataIsInTheFilesSealedOnly) {
  PersonRecord person;
  person.linkage_symbol.bytes.fill('S');
  const auto rows = write({.people = std::vector<PersonRecord>(50, person)});
  std::ifstream in(directory_.path(rows[0].number), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(bytes.find("SSSS"), std::string::npos);
}

}  // namespace
}  // namespace fugo::keystore
