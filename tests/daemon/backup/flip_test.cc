// One changed byte of a backup, in process: every one of the small files, and of the large ones all
// of their beginning and end, both sides of each block's edge, and many others.
#include <fstream>
#include <random>
#include <set>

#include "daemon/backup/backup.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "daemon/statement.h"
#include "hsm/token.h"
#include "keystore/copy.h"
#include "tests/daemon/backup/backup_site.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlock = 1024, kEnds = 64;  // of bulk files; of each file, all of its ends
constexpr std::uint64_t kSmall = 4096;
constexpr std::size_t kRandom = 80;  // of each large file

void change_byte(const fs::path& path, std::uint64_t at, char mask) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ mask));
  ASSERT_TRUE(file.good());
}

std::set<std::uint64_t> places(std::uint64_t size, std::mt19937_64& random) {
  std::set<std::uint64_t> all;
  const auto take = [&](std::uint64_t at) {
    if (at < size) all.insert(at);
  };
  for (std::uint64_t i = 0; i < (size <= kSmall ? size : kEnds); ++i) {
    take(i);
    take(size - 1 - i);
  }
  for (std::uint64_t at = kBlock; at < size; at += kBlock) {
    take(at - 1);
    take(at);
  }
  for (std::size_t i = 0; i < kRandom; ++i) take(random() % size);
  return all;
}

class BackupFlip : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(site_.make_backup().exit_code, 0);
    auto settings = daemon::load_settings(site_.site().config());
    ASSERT_TRUE(settings);
    settings_ = std::move(*settings);
  }
  void TearDown() override { hsm::finalize_all(); }

  // restores tells whether the backup is taken; whatever comes of it, nothing may be left of one
  // that is not.
  bool restores() {
    const auto done = daemon::restore_backup(settings_, site_.backup(), site_.restored(),
                                             {"tester", ""}, [](auto&&...) {});
    if (done) return true;
    EXPECT_EQ(done.error().code, ErrorCode::kDamaged) << done.error().message();
    EXPECT_FALSE(fs::exists(site_.restored()));
    EXPECT_FALSE(fs::exists(site_.restored().parent_path() / ".restored.tmp"));
    return false;
  }

  BackupSite site_;
  daemon::Settings settings_;
};

// A restoration copies every file and compares each with the inventory before it looks into any. So
// a flip is shown to that, and now and then to a whole restoration.
TEST_F(BackupFlip, TheLedgersFiles) {
  std::mt19937_64 random(7);
  const auto inventory_file = site_.backup() / daemon::kInventoryFile;
  const auto inventory = daemon::parse_inventory(read_file(inventory_file), inventory_file);
  ASSERT_TRUE(inventory);
  const TemporaryDirectory to;
  fs::create_directory(to.path() / "data");
  std::size_t flips = 0;
  for (const auto& file : inventory->files) {
    const auto path = site_.backup() / "ledger" / file.name;
    const auto sound = [&] {
      const auto copied =
          keystore::copy_files(site_.backup() / "ledger", to.path(), {file.name}, {});
      return copied && copied->front() == file;
    };
    ASSERT_TRUE(sound()) << path;
    for (const auto at : places(fs::file_size(path), random)) {
      const char mask = static_cast<char>(1U << random() % 8);
      change_byte(path, at, mask);
      EXPECT_FALSE(sound()) << path << " at " << at;
      if (flips++ % 100 == 0) {
        EXPECT_FALSE(restores()) << path << " at " << at;
      }
      change_byte(path, at, mask);
    }
  }
  EXPECT_GE(inventory->files.size(), 4U);
  EXPECT_GE(flips, 500U);
  EXPECT_TRUE(restores());
}

// The signature is the last thing that a restoration looks at, after the whole site was verified.
// So each byte is shown to what looks at it, and some to a whole restoration.
TEST_F(BackupFlip, EachByteOfWhatIsSigned) {
  std::vector<keystore::KeyRow> keys;
  {
    const auto open =
        daemon::open_ledger(settings_, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    ASSERT_TRUE(open) << open.error().message();
    auto rows = open->ledger->key_rows();
    ASSERT_TRUE(rows);
    keys = std::move(*rows);
  }
  hsm::finalize_all();
  const auto inventory = site_.backup() / daemon::kInventoryFile;
  const auto sound = [&] {
    return daemon::read_statement(keys, inventory, daemon::kMostInventoryBytes).has_value();
  };
  ASSERT_TRUE(sound());
  std::size_t flips = 0;
  for (const char* ending : {"", ".sig", ".pem"}) {
    const auto file = inventory.string() + ending;
    const auto size = fs::file_size(file);
    for (std::uint64_t at = 0; at < size; ++at)
      for (const char mask : {'\x01', '\x20', '\x80'}) {
        change_byte(file, at, mask);
        EXPECT_FALSE(sound()) << file << " at " << at;
        if (flips++ % 1000 == 0) {
          EXPECT_FALSE(restores()) << file << " at " << at;
        }
        change_byte(file, at, mask);
      }
  }
  EXPECT_GE(flips, 3000U);
  EXPECT_TRUE(restores());
}

// What is well signed is compared with what is there all the same.
TEST_F(BackupFlip, WhatWasSignedWronglyIsNotRestored) {
  using Json = nlohmann::ordered_json;
  const auto file = site_.backup() / daemon::kInventoryFile;
  const auto sound = Json::parse(read_file(file));
  const auto sign = [&](const Json& document) {
    {
      const auto open =
          daemon::open_ledger(settings_, hsm::TokenRole::kIssuing, keystore::Access::kRead);
      ASSERT_TRUE(open) << open.error().message();
      const auto rows = open->ledger->key_rows();
      ASSERT_TRUE(rows);
      const auto key = daemon::signing_key(*rows);
      ASSERT_TRUE(key);
      ASSERT_TRUE(daemon::write_statement(*open->token, *key, document, file));
    }
    hsm::finalize_all();
  };
  for (const auto& [name, value] : {std::pair<const char*, Json>{"people", 1000},
                                    {"issuances", 1000},
                                    {"commits", 1000},
                                    {"journal_entries", 1000},
                                    {"journal_head", std::string(64, '0')},
                                    {"digest", sound["digest_without_times"]},
                                    {"digest_without_times", sound["digest"]},
                                    {"environment", "production"},
                                    {"ledger", std::string(32, '0')},
                                    {"fugo_backup", 2}}) {
    auto document = sound;
    document[name] = value;
    sign(document);
    EXPECT_FALSE(restores()) << name;
  }
  auto document = sound;
  document["files"].push_back(document["files"].back());
  sign(document);
  EXPECT_FALSE(restores()) << "one file twice";
  document = sound;
  document["files"].erase(0);
  ASSERT_EQ(sound["files"][0]["name"], "data.mdb");
  sign(document);
  EXPECT_FALSE(restores()) << "without its rows";
  sign(sound);
  EXPECT_TRUE(restores());
}

}  // namespace
}  // namespace fugo::test
