#include "daemon/service/queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "daemon/service/folders.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using keystore::JobKind;

QueuedFile file(const std::string& name, std::optional<JobKind> kind, Place place = Place::kInbox,
                bool ready = true) {
  QueuedFile made;
  made.name = name;
  made.kind = kind;
  made.place = place;
  made.ready = ready;
  return made;
}

std::string next(const std::vector<QueuedFile>& files) {
  const auto chosen = next_file(files);
  return chosen ? files[*chosen].name : "none";
}

TEST(Queue, FilesGoByName) {
  EXPECT_EQ(next({}), "none");
  EXPECT_EQ(next({file("b", JobKind::kIssue), file("a", JobKind::kIssue)}), "a");
  EXPECT_EQ(next({file("b", JobKind::kIssue), file("a", JobKind::kChange)}), "a");
  EXPECT_EQ(next({file("b", JobKind::kChange), file("a", JobKind::kIssue)}), "a");
  EXPECT_EQ(next({file("b", std::nullopt), file("a", JobKind::kDelete)}), "a");
}

TEST(Queue, NoIssueOvertakesAChangeThatWaits) {
  const auto held = file("b", JobKind::kChange, Place::kHeld, false);
  EXPECT_EQ(next({held, file("c", JobKind::kIssue)}), "none");
  EXPECT_EQ(next({held, file("a", JobKind::kIssue)}), "a");
  EXPECT_EQ(next({held, file("c", JobKind::kChange)}), "none");
  EXPECT_EQ(next({held, file("c", JobKind::kDelete)}), "c");
  EXPECT_EQ(next({held, file("c", std::nullopt)}), "c");
  EXPECT_EQ(next({file("b", JobKind::kChange, Place::kWork, false), file("c", JobKind::kIssue)}),
            "none");
}

TEST(Queue, AHeldIssueHoldsNobodyUp) {
  EXPECT_EQ(next({file("a", JobKind::kIssue, Place::kHeld, false), file("b", JobKind::kIssue)}),
            "b");
}

TEST(Queue, AnEncryptedFileMayBeAChangeUntilItsKindIsKnown) {
  auto sealed = file("b", std::nullopt);
  sealed.encrypted = true;
  EXPECT_EQ(next({sealed, file("c", JobKind::kIssue)}), "b");
  sealed.ready = false;
  EXPECT_EQ(next({sealed, file("c", JobKind::kIssue)}), "none");
  EXPECT_EQ(next({sealed, file("c", JobKind::kDelete)}), "c");
  EXPECT_EQ(next({sealed, file("a", JobKind::kChange)}), "a");
  sealed.kind = JobKind::kIssue;
  EXPECT_EQ(next({sealed, file("c", JobKind::kIssue)}), "c");
  sealed.ready = true;
  sealed.kind = std::nullopt;
  EXPECT_EQ(next({sealed, file("a", JobKind::kChange, Place::kHeld, false)}), "none");
}

TEST(Queue, OfTwoWithOneNameTheOlderGoesFirst) {
  const std::vector<QueuedFile> files = {file("a", JobKind::kIssue, Place::kInbox),
                                         file("a", JobKind::kIssue, Place::kWork)};
  EXPECT_EQ(next_file(files), 1U);
}

constexpr const char* kHead = "#fugo-request,version=1,id=J1,kind=change,records=0\n";

TEST(Peeker, ReadsKindAndIdAndLeavesWhatIsNoFile) {
  const fugo::test::TemporaryDirectory home;
  const auto& inbox = home.path();
  fugo::test::write_file(inbox / "good", kHead);
  fugo::test::write_file(inbox / "bad", "nothing");
  fugo::test::write_file(inbox / "empty", "");
  fugo::test::write_file(inbox / ".hidden", kHead);
  fugo::test::write_file(inbox / "\xff\xfe", kHead);
  fs::create_directory(inbox / "folder");
  fs::create_symlink("good", inbox / "link");
  ASSERT_EQ(::mkfifo((inbox / "pipe").c_str(), 0600), 0);
  Peeker peeker;
  for (int round = 0; round < 2; ++round) {
    const auto files = peeker.inbox(inbox);
    ASSERT_TRUE(files) << files.error().message();
    ASSERT_EQ(files->size(), 4U);
    for (const auto& seen : *files) {
      const bool known = seen.name == "good" || seen.name == "\xff\xfe";
      EXPECT_EQ(seen.kind.has_value(), known) << seen.name;
      EXPECT_EQ(seen.id, known ? "J1" : "") << seen.name;
    }
  }
}

TEST(Peeker, TakesTheIdOfAnEncryptedFileFromItsName) {
  const fugo::test::TemporaryDirectory home;
  const std::string sealed("\x30\x82\x10\x00 and more", 13);
  for (const char* name : {"J1.p7m", "J1.csv", "J 1.p7m", ".p7m.p7m"})
    fugo::test::write_file(home.path() / name, sealed);
  // The first digit of a processing number is the same byte.
  fugo::test::write_file(home.path() / "J2.p7m", "0000000000000001,131016,24727059608\n");
  Peeker peeker;
  const auto files = peeker.inbox(home.path());
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 4U);
  for (const auto& seen : *files) {
    EXPECT_EQ(seen.encrypted, seen.name != "J2.p7m") << seen.name;
    EXPECT_EQ(seen.id, seen.name == "J1.p7m" ? "J1" : "") << seen.name;
    EXPECT_FALSE(seen.kind) << seen.name;
  }
}

TEST(Peeker, NoticesThatAFileBecameAnother) {
  const fugo::test::TemporaryDirectory home;
  Peeker peeker;
  fugo::test::write_file(home.path() / "f", "wrong");
  EXPECT_TRUE(peeker.inbox(home.path())->front().id.empty());
  fugo::test::write_file(home.path() / "f", kHead);
  EXPECT_EQ(peeker.inbox(home.path())->front().id, "J1");
}

TEST(Peeker, LeavesAFileThatIsBeingWritten) {
  const fugo::test::TemporaryDirectory home;
  fugo::test::write_file(home.path() / "f", kHead);
  const int fd = ::open((home.path() / "f").c_str(), O_WRONLY);
  Peeker peeker;
  EXPECT_TRUE(peeker.inbox(home.path())->empty());
  ::close(fd);
  EXPECT_EQ(peeker.inbox(home.path())->size(), 1U);
}

TEST(Folders, SafeNames) {
  EXPECT_EQ(safe_name("request-1.csv"), "request-1.csv");
  EXPECT_EQ(safe_name(".hidden"), "_hidden");
  EXPECT_EQ(safe_name("a/b\n\xe3\x81\x82"), "a_b____");
  EXPECT_EQ(safe_name(""), "_");
  EXPECT_EQ(safe_name(std::string(255, 'x')).size(), 64U);
}

}  // namespace
}  // namespace fugo::daemon
