#include "keystore/page_walker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "keystore/page_format.h"
#include "tests/keystore/lmdb_file.h"
#include "tests/keystore/page_claims.h"

namespace fugo::keystore {
namespace {

using testing::Fate;
using testing::LmdbFile;
using testing::PageClaims;
using Bytes = std::vector<std::uint8_t>;

PageReport check(const std::filesystem::path& path) {
  auto report = check_pages(path);
  if (!report) ADD_FAILURE() << report.error().message();
  return report ? *report : PageReport{};
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_at(const std::filesystem::path& path, std::size_t offset, ByteView bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

// A file of some hundred pages, with everything in it that the walker knows.
struct Sample {
  explicit Sample(std::uint32_t seed) : lmdb(seed) {
    for (int i = 0; i < 12; ++i) lmdb.commit(60);
    lmdb.close();
    bytes = read(lmdb.data());
  }
  LmdbFile lmdb;
  Bytes bytes;
};

TEST(PageWalker, FindsNothingInWhatLmdbWrites) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    LmdbFile lmdb(seed);
    ASSERT_TRUE(check(lmdb.data()).sound()) << check(lmdb.data()).text();
    for (int i = 0; i < 80; ++i) {
      const auto kind = lmdb.random()() % 12;
      if (kind == 0) lmdb.empty_database();
      if (kind == 1) lmdb.abort(300);
      lmdb.commit(kind == 2 ? 3000 : static_cast<int>(lmdb.random()() % 40));
      const PageReport report = check(lmdb.data());
      ASSERT_TRUE(report.sound()) << "seed " << seed << ", commit " << i << ": " << report.text();
      EXPECT_EQ(report.reached + report.free + 2, report.pages);
    }
  }
}

TEST(PageWalker, FindsNothingWhileAReaderPinsOldPages) {
  LmdbFile lmdb(7);
  lmdb.commit(500);
  MDB_txn* reader = nullptr;
  ASSERT_EQ(mdb_txn_begin(lmdb.environment(), nullptr, MDB_RDONLY, &reader), 0);
  for (int i = 0; i < 60; ++i) {
    lmdb.commit(100);
    ASSERT_TRUE(check(lmdb.data()).sound()) << check(lmdb.data()).text();
  }
  mdb_txn_abort(reader);
  for (int i = 0; i < 20; ++i) {
    lmdb.commit(100);
    ASSERT_TRUE(check(lmdb.data()).sound()) << check(lmdb.data()).text();
  }
}

TEST(PageWalker, FindsNothingInLmdbsOwnCopies) {
  LmdbFile lmdb(8);
  for (int i = 0; i < 20; ++i) lmdb.commit(200);
  for (const bool compact : {false, true}) {
    const PageReport report = check(lmdb.copy(compact));
    EXPECT_TRUE(report.sound()) << report.text();
    EXPECT_EQ(report.entries, check(lmdb.data()).entries);
    if (compact) {
      EXPECT_EQ(report.free, 0U);
    }
  }
}

TEST(PageWalker, CountsWhatLmdbCounts) {
  LmdbFile lmdb(9);
  for (int i = 0; i < 10; ++i) lmdb.commit(300);
  MDB_txn* transaction = nullptr;
  ASSERT_EQ(mdb_txn_begin(lmdb.environment(), nullptr, MDB_RDONLY, &transaction), 0);
  std::size_t entries = 0;
  for (const char* name :
       {static_cast<const char*>(nullptr), "jobs", "keys", "agencies", "journal"}) {
    MDB_dbi database = 0;
    ASSERT_EQ(mdb_dbi_open(transaction, name, 0, &database), 0);
    MDB_stat stat{};
    mdb_stat(transaction, database, &stat);
    entries += stat.ms_entries;
  }
  mdb_txn_abort(transaction);
  MDB_envinfo info{};
  mdb_env_info(lmdb.environment(), &info);
  const PageReport report = check(lmdb.data());
  EXPECT_EQ(report.entries, entries);
  EXPECT_EQ(report.pages, info.me_last_pgno + 1);
  EXPECT_EQ(report.transaction, info.me_last_txnid);
  EXPECT_EQ(report.trees, 6U);
  EXPECT_GT(report.free, 0U);
}

// expect_found changes one bit, checks, and puts it back.
void expect_found(const Sample& sample, std::size_t bit) {
  const auto damaged = static_cast<std::uint8_t>(sample.bytes[bit / 8] ^ (1U << (bit % 8)));
  write_at(sample.lmdb.data(), bit / 8, {&damaged, 1});
  EXPECT_FALSE(check(sample.lmdb.data()).sound())
      << "page " << bit / 8 / 4096 << ", byte " << bit / 8 % 4096 << ", bit " << bit % 8;
  write_at(sample.lmdb.data(), bit / 8, {&sample.bytes[bit / 8], 1});
}

TEST(PageWalker, FindsAChangeOfEveryByteThatItClaims) {
  for (std::uint32_t seed = 20; seed < 22; ++seed) {
    Sample sample(seed);
    const PageClaims claims(sample.bytes);
    const auto chosen = claims.bit_of_each_byte(sample.lmdb.random());
    ASSERT_GT(chosen.size(), 5000U);
    for (const std::size_t bit : chosen) expect_found(sample, bit);
    EXPECT_TRUE(check(sample.lmdb.data()).sound());
    RecordProperty("bytes_" + std::to_string(seed), static_cast<int>(chosen.size()));
  }
}

TEST(PageWalker, FindsEveryBitOfTheMetaPages) {
  Sample sample(30);
  const PageClaims claims(sample.bytes);
  for (const std::size_t bit : claims.bits())
    if (bit < 8U * 2 * 4096) expect_found(sample, bit);
}

TEST(PageWalker, WhatItPassesLmdbSurvives) {
  Sample sample(40);
  auto& random = sample.lmdb.random();
  int passed = 0, signals_elsewhere = 0;
  for (int i = 0; i < 1000; ++i) {
    // Half of the flips anywhere, half where structure is dense: at the beginning of a page.
    std::size_t at = random() % sample.bytes.size();
    if (i % 2 == 0) at = at / 4096 * 4096 + random() % 64;
    const auto damaged =
        static_cast<std::uint8_t>(i % 4 < 2 ? sample.bytes[at] ^ (1U << (random() % 8)) : random());
    write_at(sample.lmdb.data(), at, {&damaged, 1});
    const bool sound = check(sample.lmdb.data()).sound();
    const bool try_it = sound || i % 10 == 0;
    const Fate fate = try_it ? testing::read_all_in_child(sample.lmdb.directory()) : Fate::kRefused;
    if (sound) {
      ++passed;
      EXPECT_EQ(fate, Fate::kRead) << "page " << at / 4096 << ", byte " << at % 4096;
    } else if (fate == Fate::kSignal) {
      ++signals_elsewhere;
    }
    write_at(sample.lmdb.data(), at, {&sample.bytes[at], 1});
  }
  EXPECT_GT(passed, 100);
  RecordProperty("passed", passed);
  RecordProperty("found_and_lmdb_died", signals_elsewhere);
}

TEST(PageWalker, SurvivesAnyBytes) {
  Sample sample(50);
  auto& random = sample.lmdb.random();
  for (int i = 0; i < 600; ++i) {
    Bytes bytes = sample.bytes;
    const std::size_t flips = 1 + random() % 200;
    for (std::size_t k = 0; k < flips; ++k)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    if (i % 2 == 0) {  // whole pages exchanged
      const std::size_t a = random() % (bytes.size() / 4096), b = random() % (bytes.size() / 4096);
      std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(a * 4096),
                       bytes.begin() + static_cast<std::ptrdiff_t>(a * 4096 + 4096),
                       bytes.begin() + static_cast<std::ptrdiff_t>(b * 4096));
    }
    write_at(sample.lmdb.data(), 0, bytes);
    static_cast<void>(check(sample.lmdb.data()).text());
  }
}

TEST(PageWalker, FindsTruncation) {
  Sample sample(60);
  for (std::size_t size = 0; size + 4096 < sample.bytes.size(); size += 1777) {
    std::filesystem::resize_file(sample.lmdb.data(), size);
    const bool sound = check(sample.lmdb.data()).sound();
    // Free pages at the end may be missing: LMDB itself does not always write them.
    if (sound) {
      EXPECT_EQ(testing::read_all_in_child(sample.lmdb.directory()), Fate::kRead) << size;
    }
    if (size < sample.bytes.size() / 2) {
      EXPECT_FALSE(sound) << size;
    }
    std::filesystem::resize_file(sample.lmdb.data(), sample.bytes.size());
    write_at(sample.lmdb.data(), 0, sample.bytes);
  }
}

TEST(PageWalker, FindsAMetaPageOfTheSnapshotBefore) {
  Sample sample(70);
  pages::Meta first, second;
  do {  // until a commit that did not make the file longer, which would show
    sample.lmdb.open();
    sample.lmdb.commit(1);
    sample.lmdb.close();
    sample.bytes = read(sample.lmdb.data());
    first = pages::decode_meta(sample.bytes.data());
    second = pages::decode_meta(sample.bytes.data() + 4096);
  } while (first.last_page != second.last_page);
  const std::size_t older = first.transaction < second.transaction ? 0 : 4096;
  // The older meta page made to look newest: both follow one another, and its tree is whole.
  const std::uint64_t later = (older == 0 ? first : second).transaction + 2;
  Bytes bytes(sizeof later);
  std::memcpy(bytes.data(), &later, sizeof later);
  write_at(sample.lmdb.data(), older + 16 + 128, bytes);
  const PageReport report = check(sample.lmdb.data());
  ASSERT_FALSE(report.sound());
  EXPECT_NE(report.text().find("does not know of the newest transaction"), std::string::npos);
}

TEST(PageWalker, SaysWhatCannotBeRead) {
  const auto missing = check_pages("/nonexistent/data.mdb");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kIo);
  const auto directory = check_pages("/tmp");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace fugo::keystore
