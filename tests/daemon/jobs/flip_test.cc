// One changed byte anywhere in the ledger: `fugo verify` ends with 5 and says where, or nothing
// that a reader can be given has changed. It never dies by a signal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

// FUGO_FLIPS makes the test longer: changed bytes in each file.
std::size_t flips_in_each_file() {
  const char* text = std::getenv("FUGO_FLIPS");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

void change_byte(const std::filesystem::path& path, std::uint64_t offset, char mask) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ mask));
  ASSERT_TRUE(file.good());
}

// The database is kept longer than it is used, as a hole: the part up to the last byte not zero.
std::uint64_t used_bytes(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  return (content.find_last_not_of('\0') / 4096 + 1) * 4096;
}

class FlipTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> agencies = {"131016", "472018", "131130"};
    for (const std::string id : {"one", "two", "three"}) {
      const auto path = site_.scratch() / (id + ".csv");
      write_file(path, request_text(id, trial_rows(id.size() * 40, 60, agencies)));
      const auto result =
          site_.run({"issue", path.string(), "--out", (site_.scratch() / "out").string()});
      ASSERT_EQ(result.exit_code, 0) << result.err;
    }
    content_ = content();
    ASSERT_EQ(site_.run({"verify"}).exit_code, 0);
  }

  // All that commands show of the ledger.
  std::string content() const {
    return site_.run({"digest"}).out + site_.run({"agency", "list"}).out +
           site_.run({"--json", "journal", "show"}).out + site_.run({"--json", "stats"}).out;
  }

  // Every finding names a place: of a bulk file its name, of the database a table, a page or a
  // file.
  static void expect_place(const std::string& out, const std::filesystem::path& path,
                           const std::string& where) {
    EXPECT_THAT(out, StartsWith("DAMAGED ")) << where;
    EXPECT_THAT(out, HasSubstr("\nplaces that are damaged: ")) << where;
    if (path.filename() != "data.mdb") {
      EXPECT_THAT(out, HasSubstr(path.filename().string())) << where;
    }
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("DAMAGED ")) continue;
      EXPECT_THAT(line, ContainsRegex("^DAMAGED [^:]*(data[./]|table|page|ledger|journal|counts)"))
          << where;
    }
  }

  // Changes one byte, verifies, puts it back. True when the change was found.
  bool found(const std::filesystem::path& path, std::uint64_t offset, char mask) {
    change_byte(path, offset, mask);
    const auto verified = site_.run({"verify"});
    const std::string where = path.filename().string() + " at " + std::to_string(offset);
    EXPECT_TRUE(verified.exit_code == 5 || verified.exit_code == 0)
        << where << ": exit " << verified.exit_code << "\n"
        << verified.err;
    if (verified.exit_code == 5)
      expect_place(verified.out, path, where);
    else
      EXPECT_EQ(content(), content_) << where << " changed something and was not found";
    change_byte(path, offset, mask);
    return verified.exit_code == 5;
  }

  TestSite site_;
  std::string content_;
};

TEST_F(FlipTest, BulkFilesEveryChangeIsFound) {
  std::mt19937_64 random(1);
  for (const auto& entry :
       std::filesystem::directory_iterator(site_.directory() / "ledger" / "data")) {
    const std::uint64_t size = entry.file_size();
    ASSERT_GT(size, 0U);
    const std::size_t count = std::max<std::size_t>(8, flips_in_each_file());
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t offset = i == 0 ? 0 : i == 1 ? size - 1 : random() % size;
      ASSERT_TRUE(found(entry.path(), offset, static_cast<char>(1U << random() % 8)))
          << entry.path() << " at " << offset;
    }
  }
}

TEST_F(FlipTest, LmdbChangesAreFoundOrChangeNothing) {
  std::mt19937_64 random(2);
  const auto path = site_.directory() / "ledger" / "data.mdb";
  const std::uint64_t size = used_bytes(path);
  const std::size_t count = std::max<std::size_t>(120, flips_in_each_file());
  std::size_t found_count = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // Every second one in a page's header, its offsets or a meta page, where the structure is.
    std::uint64_t offset = random() % size;
    if (i % 2 == 0) offset = offset / 4096 * 4096 + random() % 48;
    if (i % 8 == 0) offset = random() % 2 * 4096 + random() % 152;
    found_count += found(path, offset, static_cast<char>(1U << random() % 8)) ? 1 : 0;
    if (HasFailure()) return;
  }
  EXPECT_GT(found_count, count / 4);
}

TEST_F(FlipTest, ATruncatedCatalogueIsDamageAndNotACrash) {
  const auto path = site_.directory() / "ledger" / "data.mdb";
  const std::uint64_t size = used_bytes(path);
  for (const std::uint64_t keep :
       {size - 4096, size / 2, std::uint64_t{4096}, std::uint64_t{100}}) {
    const std::string whole = read_file(path);
    std::filesystem::resize_file(path, keep);
    for (const std::string command : {"verify", "status", "digest"}) {
      const auto result = site_.run({command});
      EXPECT_EQ(result.exit_code, 5) << command << " of " << keep << ": " << result.err;
    }
    write_file(path, whole);
  }
}

}  // namespace
}  // namespace fugo::test
