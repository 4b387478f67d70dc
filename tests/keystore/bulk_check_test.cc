#include <gtest/gtest.h>

#include <fstream>

#include "keystore/bulk_files.h"
#include "keystore/bulk_format.h"
#include "keystore/bulk_writer.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_all_of(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Two small files of each kind, with padding, and more than one block.
class BulkCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 2; ++i) {
      const auto people = random_people(random_, 25);
      const auto index = random_index(random_, 70, ~std::uint64_t{0}, 0);
      const auto issued = random_issued(random_, 105, 1000, taken_);
      auto rows = write_segment_files(directory_.place, static_cast<FileNumber>(1 + 3 * i),
                                      {.people = people, .index = index, .issued = issued});
      ASSERT_OK(rows);
      rows_.insert(rows_.end(), rows->begin(), rows->end());
    }
    for (const FileRow& row : rows_) ASSERT_OK(check_file(directory_.place, row));
  }

  void expect_damaged(const FileRow& row, const std::string& why) {
    const auto checked = check_file(directory_.place, row);
    ASSERT_FALSE(checked.has_value()) << why;
    ASSERT_EQ(checked.error().code, ErrorCode::kDamaged) << why;
    ASSERT_NE(checked.error().where.find(bulk_file_name(row.number)), std::string::npos);
  }

  BulkDirectory directory_;
  std::mt19937_64 random_{5};
  std::set<IssuedKey> taken_;
  std::vector<FileRow> rows_;
};

TEST_F(BulkCheckTest, EveryFlippedByteIsFound) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto path = directory_.path(rows_[i].number);
    const std::string good = read_all(path);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    for (std::size_t at = 0; at < good.size(); ++at) {
      const auto put = [&](int byte) {
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(byte));
        file.flush();
      };
      put(good[at] ^ (1 << (random_() % 8)));
      expect_damaged(rows_[i], "byte " + std::to_string(at));
      put(good[at]);
    }
    ASSERT_OK(check_file(directory_.place, rows_[i]));
  }
}

TEST_F(BulkCheckTest, ShorterAndLongerFilesAreFound) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto path = directory_.path(rows_[i].number);
    const std::string good = read_all(path);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, good.size() - kBlockBytes, good.size() - 1}) {
      write_all_of(path, good.substr(0, size));
      expect_damaged(rows_[i], "shorter");
      EXPECT_FALSE(open_snapshot(directory_.place, {rows_[i]}).has_value());
    }
    for (const std::size_t more : {std::size_t{1}, kBlockBytes}) {
      write_all_of(path, good + std::string(more, 'x'));
      expect_damaged(rows_[i], "longer");
    }
    std::filesystem::remove(path);
    EXPECT_EQ(check_file(directory_.place, rows_[i]).error().code, ErrorCode::kIo);
  }
}

TEST_F(BulkCheckTest, AFileInAnothersPlaceIsFound) {
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string other = read_all(directory_.path(rows_[i + 3].number));
    write_all_of(directory_.path(rows_[i].number), other);
    expect_damaged(rows_[i], "another file of the same kind and size");
  }
}

TEST_F(BulkCheckTest, BlocksThatChangePlacesAreFound) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto path = directory_.path(rows_[i].number);
    std::string bytes = read_all(path);
    std::swap_ranges(bytes.begin(), bytes.begin() + kBlockBytes, bytes.begin() + kBlockBytes);
    write_all_of(path, bytes);
    expect_damaged(rows_[i], "blocks that changed places");
  }
}

TEST_F(BulkCheckTest, ARowThatSaysOtherwiseIsFound) {
  for (std::size_t i = 0; i < 3; ++i) {
    FileRow row = rows_[i];
    row.generation = static_cast<Generation>(row.generation + 1);
    expect_damaged(row, "generation");
    row = rows_[i];
    row.entries -= 1;  // the same number of blocks: the padding is not zero
    expect_damaged(row, "entries");
    row = rows_[i];
    row.key.data()[31] ^= 0x80;
    expect_damaged(row, "key");
    row = rows_[i];
    row.kind = static_cast<FileKind>(9);
    expect_damaged(row, "kind");
    row = rows_[i];
    row.entries = std::uint64_t{1} << 62U;
    row.bytes = 0;
    expect_damaged(row, "an impossible number of entries");
    BulkPlace other_ledger = directory_.place;
    other_ledger.ledger_id.bytes[0] ^= 1;
    EXPECT_EQ(check_file(other_ledger, rows_[i]).error().code, ErrorCode::kDamaged);
  }
}

TEST_F(BulkCheckTest, LookUpsNameTheDamagedBlock) {
  const auto path = directory_.path(rows_[0].number);
  std::string bytes = read_all(path);
  bytes[kBlockBytes + 5] = static_cast<char>(bytes[kBlockBytes + 5] ^ 1);
  write_all_of(path, bytes);
  const auto snapshot = open_snapshot(directory_.place, {rows_[0]});
  ASSERT_OK(snapshot);
  std::vector<PersonRecord> people(25);
  ASSERT_OK((*snapshot)->read_people_range(1, 0, std::span(people).first(21)));
  const auto read = (*snapshot)->read_people_range(1, 0, people);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kDamaged);
  EXPECT_NE(read.error().where.find("block 1"), std::string::npos) << read.error().where;
}

// Files that authenticate but are not as they must be: sealed by hand, block by block.
TEST_F(BulkCheckTest, SealedNonsenseIsFound) {
  const auto seal = [&](FileNumber number, std::uint64_t entries,
                        const std::vector<PlainBlock>& blocks) {
    FileRow row;
    row.number = number;
    row.kind = FileKind::kIndex;
    row.entries = entries;
    row.bytes = blocks.size() * kBlockBytes;
    auto writer = BlockWriter::create(directory_.place, row);
    EXPECT_TRUE(writer.has_value());
    for (const PlainBlock& block : blocks) EXPECT_TRUE(writer->put(block.data()).has_value());
    EXPECT_TRUE(writer->finish().has_value());
    return row;
  };
  PlainBlock data, fence;
  IndexCodec::encode({10, 1, 0}, data.data());
  IndexCodec::encode({20, 2, 0}, data.data() + 16);
  store_be(fence.data(), std::uint64_t{10});
  EXPECT_TRUE(check_file(directory_.place, seal(20, 2, {data, fence})).has_value());

  PlainBlock wrong = fence;
  wrong.data()[7] = 11;
  expect_damaged(seal(21, 2, {data, wrong}), "a fence of another key");
  wrong = fence;
  wrong.data()[kPlainBytes - 1] = 1;
  expect_damaged(seal(22, 2, {data, wrong}), "padding of fences");
  wrong = data;
  wrong.data()[kPlainBytes - 1] = 1;
  expect_damaged(seal(23, 2, {wrong, fence}), "padding of entries");
  wrong = data;
  IndexCodec::encode({10, 1, 0}, wrong.data() + 16);
  expect_damaged(seal(24, 2, {wrong, fence}), "an entry that repeats");
  IndexCodec::encode({9, 1, 0}, wrong.data() + 16);
  expect_damaged(seal(25, 2, {wrong, fence}), "entries out of order");
}

}  // namespace
}  // namespace fugo::keystore
