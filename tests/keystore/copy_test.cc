// Copies of a ledger that is being written to, merged, and deleted from meanwhile.
#include "keystore/copy.h"

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "tests/keystore/ledger_deletion.h"

namespace fugo::keystore {
namespace {

// CopyPlace is a directory for a copy, removed at the end.
class CopyPlace {
 public:
  CopyPlace() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-copy-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~CopyPlace() { std::filesystem::remove_all(path); }
  CopyPlace(const CopyPlace&) = delete;
  CopyPlace& operator=(const CopyPlace&) = delete;
  std::filesystem::path path;
};

void begin_job(Ledger& ledger) {
  const auto update = ledger.begin();
  ASSERT_OK(update);
  ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
  ASSERT_OK((*update)->put_job(make_job("J1")));
  ASSERT_OK((*update)->commit());
}

std::set<std::string> names_in(const std::filesystem::path& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file())
      names.insert(std::filesystem::relative(entry.path(), directory).string());
  return names;
}

// expect_copy opens a copy, which must hold exactly the files that it says, and all people.
void expect_copy(const CopyPlace& place, const LedgerCopy& copy, const SecretBytes<32>& key) {
  std::set<std::string> said;
  for (const CopiedFile& file : copy.files) {
    said.insert(file.name);
    EXPECT_EQ(std::filesystem::file_size(place.path / file.name), file.bytes);
    EXPECT_EQ(std::filesystem::status(place.path / file.name).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  EXPECT_EQ(names_in(place.path), said);
  const auto ledger = Ledger::open(place.path, Access::kRead, key);
  ASSERT_OK(ledger);
  EXPECT_EQ((*ledger)->state().value(), copy.state);
  expect_whole(**ledger);
}

TEST(Copy, HoldsOneCommitWholeWhileSegmentsAreMadeAndMerged) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kWrite);
  ASSERT_OK(ledger);
  begin_job(**ledger);
  SegmentMaker maker(3);
  ASSERT_OK(maker.commit(**ledger, 500));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      for (int i = 0; i < 4; ++i) ASSERT_OK(maker.commit(**ledger, 20));
      ASSERT_OK((*ledger)->finish_merges());  // inputs are unlinked
    }
  });
  std::set<std::uint64_t> commits;
  for (int i = 0; i < 25 && !::testing::Test::HasFailure(); ++i) {
    const CopyPlace to;
    const auto copy = copy_ledger(**ledger, to.path);
    EXPECT_TRUE(copy.has_value()) << copy.error().message();
    if (!copy) break;
    expect_copy(to, *copy, place.key);
    commits.insert(copy->state.commits);
  }
  stop = true;
  writer.join();
  EXPECT_GT(commits.size(), 3U) << "the writer stood still";
}

TEST(Copy, FilesThatAreMergedAwayWhileTheyAreCopiedAreInItAllTheSame) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kWrite);
  ASSERT_OK(ledger);
  begin_job(**ledger);
  SegmentMaker maker(4);
  for (int i = 0; i < 3; ++i) ASSERT_OK(maker.commit(**ledger, 100));
  const CopyPlace to;
  // The rows are read when it tells of its first file: then all of these go away.
  bool merged = false;
  const auto copy = copy_ledger(**ledger, to.path, [&](std::uint64_t, std::uint64_t) {
    if (std::exchange(merged, true)) return;
    for (int i = 0; i < 8; ++i) ASSERT_OK(maker.commit(**ledger, 100));
    ASSERT_OK((*ledger)->finish_merges());
  });
  ASSERT_OK(copy);
  ASSERT_TRUE(merged);
  expect_copy(to, *copy, place.key);
}

TEST(Copy, AMissingFileOfTheLedgerIsDamage) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kWrite);
  ASSERT_OK(ledger);
  begin_job(**ledger);
  SegmentMaker maker(5);
  ASSERT_OK(maker.commit(**ledger, 10));
  for (const auto& entry : std::filesystem::directory_iterator(place.directory / "data"))
    std::filesystem::remove(entry.path());
  const CopyPlace to;
  const auto copy = copy_ledger(**ledger, to.path);
  ASSERT_FALSE(copy);
  EXPECT_EQ(copy.error().code, ErrorCode::kDamaged);
  EXPECT_NE(copy.error().message().find(".fugo"), std::string::npos);
}

}  // namespace
}  // namespace fugo::keystore
