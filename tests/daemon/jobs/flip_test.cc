// One changed byte anywhere in the ledger: `fugo verify` ends with 5 and says where, or nothing
// that a reader can be given has changed. It never dies by a signal.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <sstream>

#include "daemon/site_verify.h"
#include "keystore/bulk_format.h"
#include "tests/daemon/jobs/full_ledger.h"
#include "tests/keystore/page_claims.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kProcesses = 2;
const std::string kDatabase = "data.mdb";

// FUGO_FLIPS makes the test longer: that many times as many places.
std::size_t times() {
  const char* text = std::getenv("FUGO_FLIPS");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// Other places each time; FUGO_FLIP_SEED takes those of a run again.
std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* text = std::getenv("FUGO_FLIP_SEED");
    return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
  }();
  return value;
}

// Flip is one changed byte of one file of the ledger's directory.
struct Flip {
  std::string file;
  std::uint64_t offset = 0;
  std::uint8_t mask = 1;
};

std::uint8_t one_bit(std::mt19937_64& random) {
  return static_cast<std::uint8_t>(1U << random() % 8);
}

std::string named(const Flip& flip) {
  return flip.file + " at " + std::to_string(flip.offset) + ", mask " + std::to_string(flip.mask) +
         " (seed " + std::to_string(seed()) + ")";
}

void apply(const fs::path& ledger, const Flip& flip) {
  const UniqueFd fd(::open((ledger / flip.file).c_str(), O_RDWR | O_CLOEXEC));
  const auto offset = static_cast<off_t>(flip.offset);
  std::uint8_t byte = 0;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, offset), 1) << named(flip);
  byte ^= flip.mask;
  EXPECT_EQ(::pwrite(fd.get(), &byte, 1, offset), 1) << named(flip);
}

// The database is kept longer than it is used, as a hole: the part up to the last byte not zero.
std::uint64_t used_bytes(const fs::path& path) {
  const std::string content = read_file(path);
  return (content.find_last_not_of('\0') / kPage + 1) * kPage;
}

// Every finding names a place: of a bulk file its name, of the database a table, a page or a file.
bool names_place(const Error& finding, const Flip& flip) {
  if (finding.code != ErrorCode::kDamaged) return false;
  if (flip.file != kDatabase) return finding.where.find(flip.file.substr(5)) != std::string::npos;
  for (const char* word :
       {"data.mdb", "data/", "table", "page", "ledger", "journal", "counts", "header"})
    if (finding.where.find(word) != std::string::npos) return true;
  return false;
}

struct Figures {
  std::uint64_t flips = 0, found = 0;
};

// FlippedCopy is a copy of the ledger with one changed byte after the other, in a process of its
// own.
class FlippedCopy {
 public:
  FlippedCopy(const FullLedger& full, const fs::path& directory)
      : settings_(full.settings()), data_key_(full.data_key()) {
    fs::copy(settings_.ledger_directory, directory, fs::copy_options::recursive);
    settings_.ledger_directory = directory;
    content_ = content();
  }

  // found verifies with the change, and puts it back. `what` takes what is not as it must be.
  bool found(const Flip& flip, std::ostream& what) {
    apply(settings_.ledger_directory, flip);
    const auto verified = daemon::verify_ledger(settings_, data_key_, [](auto&&...) {});
    const bool damaged = verified && !verified->findings.empty();
    if (!verified)
      what << named(flip) << ": " << verified.error().message() << "\n";
    else if (damaged && !names_place(verified->findings.front(), flip))
      what << named(flip) << ": " << verified->findings.front().message() << "\n";
    else if (!damaged && content() != content_)
      what << named(flip) << " changed something and was not found\n";
    apply(settings_.ledger_directory, flip);
    return damaged;
  }
  [[nodiscard]] bool readable() const { return content_.substr(0, 5) != "error"; }

 private:
  std::string content() const {
    const auto ledger =
        keystore::Ledger::open(settings_.ledger_directory, keystore::Access::kRead, data_key_);
    if (!ledger) return "error: " + ledger.error().message();
    const auto all = content_of(**ledger);
    return all ? *all : "error: " + all.error().message();
  }

  daemon::Settings settings_;
  SecretBytes<32> data_key_;
  std::string content_;
};

class FlipTest : public testing::Test {
 protected:
  static const FullLedger& full() {
    static const FullLedger ledger;
    return ledger;
  }
  static fs::path ledger() { return full().settings().ledger_directory; }

  // A process's part of the flips; its exit code says whether all went as it must.
  static void run_part(const std::vector<Flip>& flips, std::size_t part, const fs::path& scratch) {
    const auto name = std::to_string(part);
    std::ostringstream what;
    Figures figures;
    FlippedCopy copy(full(), scratch / name);
    if (!copy.readable()) what << "the copy cannot be read\n";
    for (std::size_t i = part; i < flips.size(); i += kProcesses) {
      figures.found += copy.found(flips[i], what) ? 1 : 0;
      ++figures.flips;
    }
    write_file(scratch / (name + ".what"), what.str());
    write_file(scratch / (name + ".figures"),
               std::to_string(figures.flips) + " " + std::to_string(figures.found));
  }

  // verify_each verifies with each change, in several processes.
  static Figures verify_each(const std::vector<Flip>& flips) {
    const TemporaryDirectory scratch;
    std::vector<pid_t> children;
    for (std::size_t part = 0; part < kProcesses; ++part) {
      const pid_t child = ::fork();
      if (child == 0) {
        run_part(flips, part, scratch.path());
        ::_exit(testing::Test::HasFailure() ? 1 : 0);
      }
      children.push_back(child);
    }
    Figures all;
    for (std::size_t part = 0; part < kProcesses; ++part) {
      int status = 0;
      EXPECT_EQ(::waitpid(children[part], &status, 0), children[part]);
      EXPECT_EQ(status, 0) << "a process that verifies was ended, or failed";
      const auto name = (scratch.path() / std::to_string(part)).string();
      EXPECT_EQ(read_file(name + ".what"), "");
      std::istringstream figures(read_file(name + ".figures"));
      Figures of_part;
      figures >> of_part.flips >> of_part.found;
      all.flips += of_part.flips;
      all.found += of_part.found;
    }
    EXPECT_EQ(all.flips, flips.size());
    return all;
  }

  // The used part of the database.
  static std::vector<std::uint8_t> database() {
    const auto path = ledger() / kDatabase;
    const std::string content = read_file(path).substr(0, used_bytes(path));
    return {content.begin(), content.end()};
  }

  static std::vector<Flip> places_of_bulk_files() {
    std::mt19937_64 random(seed());
    std::vector<Flip> flips;
    for (const auto& entry : fs::directory_iterator(ledger() / "data")) {
      const auto name = "data/" + entry.path().filename().string();
      std::set<std::uint64_t> places;
      for (std::uint64_t block = 0; block < entry.file_size(); block += keystore::kBlockBytes)
        for (const std::uint64_t at :
             {std::size_t{0}, keystore::kPlainBytes - 1, keystore::kPlainBytes,
              keystore::kBlockBytes - 1, random() % keystore::kPlainBytes})
          places.insert(block + at);
      for (std::size_t i = 0; i < 40 * times(); ++i) places.insert(random() % entry.file_size());
      for (const auto at : places) flips.push_back({name, at, one_bit(random)});
    }
    return flips;
  }

  // Bytes of the database that no reader is given, and that LMDB does not look at.
  static std::vector<std::size_t> unused(const std::vector<std::uint8_t>& bytes,
                                         const keystore::testing::PageClaims& claims) {
    std::vector<bool> used(bytes.size());
    for (const std::size_t bit : claims.bits()) used[bit / 8] = true;
    for (const std::size_t at : claims.keys()) used[at] = true;
    for (const std::size_t at : claims.others()) used[at] = true;
    for (const auto& value : claims.values())
      for (std::size_t i = 0; i < value.size; ++i) used[value.offset + i] = true;
    std::vector<std::size_t> rest;
    for (std::size_t at = 0; at < used.size(); ++at)
      if (!used[at]) rest.push_back(at);
    return rest;
  }

  // expect_exit runs the command with the change.
  static void expect_exit(const Flip& flip, int code) {
    apply(ledger(), flip);
    const auto verified = full().site().run({"verify"});
    apply(ledger(), flip);
    EXPECT_EQ(verified.exit_code, code) << named(flip) << verified.out << verified.err;
    if (code != 0) {
      EXPECT_THAT(verified.out, testing::StartsWith("DAMAGED ")) << named(flip);
      EXPECT_THAT(verified.out, testing::HasSubstr("\nplaces that are damaged: ")) << named(flip);
    }
  }

  // tell prints the figures, and keeps them in the report of the tests.
  static void tell(const std::string& what, std::size_t flips, std::size_t found) {
    std::cout << what << ": " << flips << " changed, " << found << " found (seed " << seed()
              << ")\n";
    RecordProperty("changed", static_cast<int>(flips));
    RecordProperty("found", static_cast<int>(found));
  }
};

// Of bulk files every byte is shown to what verifies one file, and a spread to all of it: both ends
// of each block, of its text and of its tag, all of the last data block of a file of each kind, and
// of its fences.
TEST_F(FlipTest, EveryByteOfBulkFilesIsFound) {
  const auto opened = keystore::Ledger::open(ledger(), keystore::Access::kRead, full().data_key());
  ASSERT_TRUE(opened) << opened.error().message();
  const auto snapshot = (*opened)->snapshot().value();
  const keystore::BulkPlace place{ledger() / "data", (*opened)->header().ledger_id};
  std::mt19937_64 random(seed());
  std::set<keystore::FileKind> kinds;
  std::size_t flips = 0, staged = 0;
  for (const auto& row : snapshot->files()) {
    const auto name = "data/" + keystore::bulk_file_name(row.number);
    kinds.insert(row.kind);
    staged += row.number >= keystore::kFirstStagedFile ? 1 : 0;
    ASSERT_TRUE(keystore::check_file(place, row)) << name;
    for (std::uint64_t at = 0; at < row.bytes; ++at, ++flips) {
      const Flip flip{name, at, one_bit(random)};
      apply(ledger(), flip);
      const auto checked = keystore::check_file(place, row);
      apply(ledger(), flip);
      ASSERT_FALSE(checked) << named(flip);
      ASSERT_TRUE(names_place(checked.error(), flip)) << checked.error().message();
    }
  }
  EXPECT_EQ(kinds.size(), 3U);
  EXPECT_GE(staged, 2U);
  tell("bytes of bulk files", flips, flips);
}

TEST_F(FlipTest, BulkFilesEveryChangeIsFound) {
  const auto flips = places_of_bulk_files();
  const Figures figures = verify_each(flips);
  EXPECT_EQ(figures.found, flips.size());
  tell("places of bulk files", figures.flips, figures.found);
}

TEST_F(FlipTest, WhatLmdbBuildsUponAndEveryRowIsFound) {
  const auto bytes = database();
  const keystore::testing::PageClaims claims(bytes);
  std::mt19937_64 random(seed());
  std::vector<Flip> flips;
  for (const std::size_t bit : claims.bit_of_each_byte(random))
    flips.push_back({kDatabase, bit / 8, static_cast<std::uint8_t>(1U << bit % 8)});
  for (const std::size_t at : claims.keys()) {  // the lowest bit: the order may stay
    flips.push_back({kDatabase, at, 1});
    flips.push_back({kDatabase, at, one_bit(random)});
  }
  for (const auto& value : claims.values()) {
    std::set<std::size_t> places = {0, value.size - 1};
    for (std::size_t i = 0; i < 3 * times(); ++i) places.insert(random() % value.size);
    for (const auto at : places) flips.push_back({kDatabase, value.offset + at, one_bit(random)});
  }
  const Figures figures = verify_each(flips);
  EXPECT_EQ(figures.found, flips.size());
  EXPECT_GT(figures.flips, 2000U);
  tell("places of structure, keys and values", figures.flips, figures.found);
}

TEST_F(FlipTest, WhatElseLmdbReadsIsFoundOrChangesNothing) {
  const auto bytes = database();
  const keystore::testing::PageClaims claims(bytes);
  std::mt19937_64 random(seed());
  std::vector<Flip> flips;
  for (const std::size_t at : claims.others()) flips.push_back({kDatabase, at, one_bit(random)});
  const auto rest = unused(bytes, claims);
  for (std::size_t i = 0; i < 400 * times(); ++i)
    flips.push_back({kDatabase, rest[random() % rest.size()], one_bit(random)});
  const Figures figures = verify_each(flips);
  tell("places of the rest", figures.flips, figures.found);
}

// That nothing of the rest is used is shown by changing all of it at once.
TEST_F(FlipTest, TheRestOfTheDatabaseCanBeAnything) {
  const auto bytes = database();
  const auto rest = unused(bytes, keystore::testing::PageClaims(bytes));
  std::mt19937_64 random(seed());
  for (int pattern = 0; pattern < 4; ++pattern) {
    const TemporaryDirectory scratch;
    std::ostringstream what;
    FlippedCopy copy(full(), scratch.path() / "copy");
    auto changed = bytes;
    for (const std::size_t at : rest) changed[at] = static_cast<std::uint8_t>(random());
    write_file(scratch.path() / "copy" / kDatabase, {changed.begin(), changed.end()});
    EXPECT_FALSE(copy.found({kDatabase, rest.front(), 1}, what));
    EXPECT_EQ(what.str(), "");
  }
  tell("bytes changed at once", rest.size(), 0);
}

// The same through the command, and what commands show where it finds nothing.
TEST_F(FlipTest, TheCommandSaysSo) {
  const auto bytes = database();
  const keystore::testing::PageClaims claims(bytes);
  std::mt19937_64 random(seed());
  std::vector<Flip> flips;
  const auto bulk = places_of_bulk_files();
  for (int i = 0; i < 6; ++i) {
    flips.push_back(bulk[random() % bulk.size()]);
    const std::size_t bit = claims.bits()[random() % claims.bits().size()];
    flips.push_back({kDatabase, bit / 8, static_cast<std::uint8_t>(1U << bit % 8)});
    const auto& value = claims.values()[random() % claims.values().size()];
    flips.push_back({kDatabase, value.offset + random() % value.size, one_bit(random)});
  }
  for (const Flip& flip : flips) expect_exit(flip, 5);

  // Linking is journaled, so the database is put back each time.
  const auto rest = unused(bytes, claims);
  const std::string whole = read_file(ledger() / kDatabase);
  const auto shown = [&] {
    auto text = full().shown();
    text += full().links();
    write_file(ledger() / kDatabase, whole);
    return text;
  };
  const auto before = shown();
  for (int i = 0; i < 2; ++i) {
    const Flip flip{kDatabase, rest[random() % rest.size()], one_bit(random)};
    expect_exit(flip, 0);
    apply(ledger(), flip);
    const auto now = shown();
    const auto apart = std::mismatch(now.begin(), now.end(), before.begin(), before.end()).first;
    const auto at = static_cast<std::size_t>(apart - now.begin());
    EXPECT_TRUE(now == before) << named(flip) << "\n" << now.substr(at < 200 ? 0 : at - 200, 300);
  }
}

TEST_F(FlipTest, ATruncatedCatalogueIsDamageAndNotACrash) {
  const auto path = ledger() / kDatabase;
  const std::string whole = read_file(path);
  const std::uint64_t size = used_bytes(path);
  for (const std::uint64_t keep : {size - kPage, size / 2, kPage, std::uint64_t{100}}) {
    fs::resize_file(path, keep);
    for (const std::string command : {"verify", "status", "digest"}) {
      const auto result = full().site().run({command});
      EXPECT_EQ(result.exit_code, 5) << command << " of " << keep << ": " << result.err;
    }
    write_file(path, whole);
  }
}

}  // namespace
}  // namespace fugo::test
