#include "keystore/environment.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

const std::filesystem::path& data_of(const LedgerPlace& place) {
  static thread_local std::filesystem::path path;
  return path = place.directory / "data.mdb";
}

void put(const std::shared_ptr<Environment>& environment, std::string_view key,
         std::string_view value) {
  auto transaction = WriteTransaction::begin(environment);
  ASSERT_OK(transaction);
  ASSERT_OK((*transaction)->put(as_bytes(key), as_bytes(value)));
  ASSERT_OK((*transaction)->commit());
}

TEST(Environment, IsOneForEachProcess) {
  const LedgerPlace place;
  auto first = Environment::open(place.directory, OpenMode::kCreate);
  ASSERT_OK(first);
  const auto second = Environment::open(place.directory / ".", OpenMode::kRead);
  ASSERT_OK(second);
  EXPECT_EQ(first->get(), second->get());
}

TEST(Environment, IsNotMadeWritableBesideAReader) {
  const LedgerPlace place;
  ASSERT_OK(Environment::open(place.directory, OpenMode::kCreate));
  const auto reader = Environment::open(place.directory, OpenMode::kRead);
  ASSERT_OK(reader);
  const auto writer = Environment::open(place.directory, OpenMode::kWrite);
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::kRefused);
}

TEST(Environment, OpensAndClosesFromManyThreads) {
  const LedgerPlace place;
  ASSERT_OK(Environment::open(place.directory, OpenMode::kCreate));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(Environment::open(place.directory, OpenMode::kRead).has_value());
    });
  for (auto& thread : threads) thread.join();
}

TEST(Environment, ReadsKeysInOrderBehindAPrefix) {
  const LedgerPlace place;
  const auto environment = *Environment::open(place.directory, OpenMode::kCreate);
  for (const char* key : {"b2", "a1", "b1", "c1", "b3"}) put(environment, key, key);
  const auto transaction = ReadTransaction::begin(environment);
  std::string seen;
  const auto visit = [&](ByteView key, ByteView value) -> Result<bool> {
    EXPECT_EQ(as_text(key), as_text(value));
    seen += as_text(key);
    return true;
  };
  ASSERT_OK((*transaction)->scan(as_bytes("b"), {}, visit));
  ASSERT_OK((*transaction)->scan(as_bytes("b"), as_bytes("b2"), visit));
  ASSERT_OK((*transaction)->scan({}, {}, visit));
  EXPECT_EQ(seen, "b1b2b3b2b3a1b1b2b3c1");
  EXPECT_FALSE((*transaction)->get(as_bytes("b"))->has_value());
}

TEST(Environment, AReaderKeepsWhatItSaw) {
  const LedgerPlace place;
  const auto environment = *Environment::open(place.directory, OpenMode::kCreate);
  put(environment, "a", "1");
  const auto transaction = ReadTransaction::begin(environment);
  put(environment, "a", "2");
  EXPECT_EQ(as_text((*transaction)->get(as_bytes("a"))->value()), "1");
  const auto later = ReadTransaction::begin(environment);
  EXPECT_EQ(as_text((*later)->get(as_bytes("a"))->value()), "2");
}

// LMDB shows a commit in its meta page before readers are given it.
TEST(Environment, WhoReadsAfterTheLastTransactionSeesIt) {
  constexpr std::uint64_t kCommits = 200;
  const LedgerPlace place;
  const auto environment = Environment::open(place.directory, OpenMode::kCreate);
  ASSERT_OK(environment);
  put(*environment, "count", "0");
  const std::uint64_t first = (*environment)->last_transaction();
  std::thread writer([&] {
    for (std::uint64_t i = 1; i <= kCommits; ++i) put(*environment, "count", std::to_string(i));
  });
  std::uint64_t seen = 0;
  while (seen < kCommits) {
    const std::uint64_t promised = (*environment)->last_transaction() - first;
    const auto transaction = ReadTransaction::begin(*environment);
    if (!transaction) break;
    const auto value = (*transaction)->get(as_bytes("count"));
    if (!value || !*value) break;
    seen = std::stoull(std::string(as_text(**value)));
    EXPECT_GE(seen, promised);
  }
  writer.join();
  EXPECT_EQ(seen, kCommits);
  EXPECT_EQ((*environment)->last_transaction(), first + kCommits);
}

TEST(Environment, FindsAFileThatWasCutOff) {
  const LedgerPlace place;
  {
    const auto environment = *Environment::open(place.directory, OpenMode::kCreate);
    put(environment, "a", std::string(100'000, 'x'));
  }
  ASSERT_OK(check_file_length(data_of(place)));
  const auto whole = std::filesystem::file_size(data_of(place));
  for (const std::uintmax_t length :
       {whole - 1, std::uintmax_t{20 * 4096}, std::uintmax_t{8192}, std::uintmax_t{4096},
        std::uintmax_t{10}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(data_of(place), length);
    const auto opened = Environment::open(place.directory, OpenMode::kRead);
    ASSERT_FALSE(opened) << length;
    EXPECT_EQ(opened.error().code, ErrorCode::kDamaged) << length;
  }
}

// The last pages of a transaction may be taken and given back, and are then not written.
TEST(Environment, PagesGivenBackAreNotTakenForACutOffFile) {
  const LedgerPlace place;
  for (int round = 0; round < 20; ++round) {
    const auto environment =
        *Environment::open(place.directory, round == 0 ? OpenMode::kCreate : OpenMode::kWrite);
    auto transaction = WriteTransaction::begin(environment);
    ASSERT_OK(transaction);
    for (int i = 0; i < 30; ++i) {
      const std::string key = "k" + std::to_string(i);
      const std::string value(static_cast<std::size_t>((i * 7919 + round * 104729) % 60'000), 'x');
      ASSERT_OK((*transaction)->put(as_bytes(key), as_bytes(value)));
    }
    for (int i = 5; i < 30; ++i) {
      const std::string key = "k" + std::to_string(i);
      ASSERT_OK((*transaction)->erase(as_bytes(key)));
    }
    ASSERT_OK((*transaction)->commit());
    ASSERT_OK(check_file_length(data_of(place)));
  }
}

TEST(Environment, WhatIsNoDatabaseIsDamaged) {
  const LedgerPlace place;
  std::ofstream(data_of(place)) << std::string(16384, 'x');
  EXPECT_EQ(Environment::open(place.directory, OpenMode::kRead).error().code, ErrorCode::kDamaged);
}

TEST(Environment, OneThreadDoesNotWaitForItself) {
  const LedgerPlace place;
  const auto environment = *Environment::open(place.directory, OpenMode::kCreate);
  const auto first = WriteTransaction::begin(environment);
  ASSERT_OK(first);
  EXPECT_EQ(WriteTransaction::begin(environment).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace fugo::keystore
