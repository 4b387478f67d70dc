// Copies of the journal that every act goes to: what they have, and what happens when they cannot.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace fs = std::filesystem;

class LiveCopy : public ::testing::Test {
 protected:
  LiveCopy() {
    for (const char* name : {"one", "two"}) fs::create_directory(path(name));
    site_.set_config("[ledger]", "[journal]\ncopies = [\"" + path("one") + "\", \"" + path("two") +
                                     "\"]\n\n[ledger]");
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (site_.scratch() / name).string();
  }
  [[nodiscard]] std::string copy(const std::string& name) const {
    return read_file(site_.scratch() / name / "journal.jsonl");
  }
  [[nodiscard]] CommandResult act(const std::string& code) const {
    return site_.run({"agency", "add", code, "--name", "A"});
  }
  [[nodiscard]] std::uint64_t entries() const {
    return site_.run({"--json", "journal", "show"}).json()["entries"].size();
  }
  // whole is the journal as an export has it.
  [[nodiscard]] std::string whole() const {
    fs::remove(path("export"));
    EXPECT_EQ(site_.run({"journal", "export", "--out", path("export")}).exit_code, 0);
    return read_file(path("export"));
  }
  [[nodiscard]] FaultOutcome act_with(FaultPlan plan, const std::string& code) const {
    plan.under = path("two");
    plan.count_writes = true;
    return fugo::testing::run_with_faults(
        {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", site_.config().string(),
         "agency", "add", code, "--name", "A"},
        plan);
  }
  TestSite site_;
};

TEST_F(LiveCopy, EveryActIsInEachCopyFromTheFirstEntryOn) {
  EXPECT_EQ(run_kind(site_, "I1", "issue", request_text("I1", {{"1", "131016", resident_code(1)}}))
                .exit_code,
            0);
  EXPECT_EQ(copy("one"), whole());
  const auto before = copy("one");
  ASSERT_EQ(act("X1").exit_code, 0);
  EXPECT_EQ(copy("one"), whole());
  EXPECT_EQ(copy("two"), whole());
  EXPECT_THAT(copy("one"), StartsWith(before));
  EXPECT_THAT(copy("one"), Not(HasSubstr(resident_code(1))));
  const auto verified = site_.run({"--json", "journal", "verify"});
  ASSERT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.json()["copies"].size(), 2U);
  EXPECT_EQ(verified.json()["copies"][1]["entries"], entries());
  EXPECT_EQ(site_.run({"journal", "verify", "--export", path("one/journal.jsonl")}).exit_code, 0);
}

TEST_F(LiveCopy, AnActIsRefusedWhereACopyCannotBeKeptAndAFreezeIsNot) {
  ASSERT_EQ(act("X1").exit_code, 0);
  const auto before = entries();
  fs::rename(path("two"), path("away"));
  const auto refused = [&] {
    const auto result = act("X2");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr("a copy of the journal cannot be kept"));
    EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
    EXPECT_EQ(entries(), before);
  };
  refused();  // the folder is away,
  write_file(path("two"), "");
  refused();  // or a file is in its place,
  fs::remove(path("two"));
  fs::create_directories(path("two") + "/journal.jsonl");
  refused();  // or a folder in the copy's,
  fs::remove(path("two") + "/journal.jsonl");
  ASSERT_EQ(::mkfifo((path("two") + "/journal.jsonl").c_str(), 0600), 0);
  refused();  // or a pipe,
  fs::remove(path("two") + "/journal.jsonl");
  fs::create_symlink(path("elsewhere"), path("two") + "/journal.jsonl");
  refused();  // or a way to another file.
  EXPECT_FALSE(fs::exists(path("elsewhere")));
  EXPECT_EQ(site_.run({"journal", "verify"}).exit_code, 1);
  const auto frozen = site_.run({"freeze", "issue", "--reason", "test"});
  EXPECT_EQ(frozen.exit_code, 1) << frozen.err;
  EXPECT_THAT(frozen.err, HasSubstr("what was asked for was done"));
  EXPECT_EQ(entries(), before + 1);
  fs::remove_all(path("two"));
  fs::rename(path("away"), path("two"));
  ASSERT_EQ(site_.run({"thaw"}).exit_code, 0);
  EXPECT_EQ(copy("two"), whole());
  EXPECT_EQ(copy("one"), whole());
}

TEST_F(LiveCopy, ADiskThatIsFullOrFailsStopsTheActOrTheNextOne) {
  ASSERT_EQ(act("X0").exit_code, 0);
  FaultPlan count;
  count.fail_errno = EIO;
  const auto failable = act_with(count, "X1").failable;
  ASSERT_GE(failable, 3U);  // room, write, sync
  int refused = 0, behind = 0;
  for (std::uint64_t at = 1; at <= failable; ++at) {
    for (const int error : {EIO, ENOSPC}) {
      const auto where = "call " + std::to_string(at);
      const auto before = whole();
      FaultPlan plan;
      plan.fail_at = at;
      plan.fail_errno = error;
      const auto code = std::string(error == EIO ? "E" : "N") + std::to_string(at);
      const auto failed = act_with(plan, code);
      if (failed.exit_code == 0) continue;  // there are fewer calls of this kind
      ASSERT_EQ(failed.exit_code, 1) << where;
      const bool done = failed.errors.find("what was asked for was done") != std::string::npos;
      EXPECT_EQ(whole() != before, done) << where << failed.errors;
      ++(done ? behind : refused);
      if (!done) {
        EXPECT_THAT(failed.errors, HasSubstr("nothing was applied")) << where;
      }
      EXPECT_EQ(copy("one"), whole()) << where;
      ASSERT_EQ(act("F" + code).exit_code, 0) << where;
      EXPECT_EQ(copy("two"), whole()) << where;
    }
  }
  EXPECT_GE(refused, 2);
  EXPECT_GE(behind, 2);
}

TEST_F(LiveCopy, KilledAtEachStepTheNextActMakesItWhole) {
  ASSERT_EQ(act("X0").exit_code, 0);
  const auto steps = act_with({}, "X1").steps;
  ASSERT_GE(steps, 3U);
  int without = 0, with = 0;
  for (std::uint64_t step = 1; step <= steps; ++step) {
    for (const bool after : {false, true}) {
      const auto before = entries();
      FaultPlan plan;
      plan.kill_at = step;
      plan.kill_after = after;
      const auto code = (after ? "A" : "B") + std::to_string(step);
      ASSERT_EQ(act_with(plan, code).signal, SIGKILL) << step;
      ++(entries() == before ? without : with);
      const auto left = copy("two");
      ASSERT_EQ(act("F" + code).exit_code, 0) << step;
      EXPECT_EQ(copy("two"), whole()) << step;
      EXPECT_THAT(copy("two"), StartsWith(left)) << "what was written was taken back";
      EXPECT_EQ(copy("one"), whole()) << step;
    }
  }
  EXPECT_GE(without, 1);
  EXPECT_GE(with, 2);
}

TEST_F(LiveCopy, APieceOfALineIsGoneOnWith) {
  ASSERT_EQ(act("X1").exit_code, 0);
  const auto full = copy("two");
  for (const std::size_t less : {std::size_t{1}, std::size_t{40}, full.size() - 3}) {
    write_file(path("two/journal.jsonl"), full.substr(0, full.size() - less));
    ASSERT_EQ(site_.run({"journal", "copy", path("two")}).exit_code, 0) << less;
    EXPECT_EQ(copy("two"), whole()) << less;
  }
  write_file(path("two/journal.jsonl"), full + "{\"sequence\":999");
  const auto other = act("X2");
  EXPECT_EQ(other.exit_code, 5);
  EXPECT_THAT(other.err, HasSubstr("a piece of what is not entry"));
}

TEST_F(LiveCopy, ALedgerThatWasPutBackIsFoundByTheNextAct) {
  ASSERT_EQ(act("X1").exit_code, 0);
  fs::copy(site_.directory() / "ledger", path("old"), fs::copy_options::recursive);
  ASSERT_EQ(act("X2").exit_code, 0);
  fs::remove_all(site_.directory() / "ledger");
  fs::copy(path("old"), site_.directory() / "ledger", fs::copy_options::recursive);
  const auto found = act("X3");
  EXPECT_EQ(found.exit_code, 5);
  EXPECT_THAT(found.err, HasSubstr("is not in this ledger's journal"));
  EXPECT_THAT(found.err, HasSubstr("fugo reconcile"));
  EXPECT_EQ(site_.run({"journal", "verify"}).exit_code, 5);
  EXPECT_EQ(site_.run({"journal", "copy", path("one")}).exit_code, 5);
  const auto lost = site_.run({"--json", "reconcile", path("one")});
  EXPECT_EQ(lost.json()["entries"], 1) << lost.out;
  fs::rename(path("one/journal.jsonl"), path("kept-one"));
  EXPECT_EQ(act("X3").exit_code, 5) << "the other copy knows it too";
  fs::rename(path("two/journal.jsonl"), path("kept-two"));
  ASSERT_EQ(act("X3").exit_code, 0);
  EXPECT_EQ(copy("one"), whole());
  EXPECT_THAT(whole(), Not(HasSubstr("\"X2\"")));
}

// Put back, and gone on beyond where the copy ends before anybody looked.
TEST_F(LiveCopy, ALedgerThatWentOnElsewhereIsFound) {
  ASSERT_EQ(act("X1").exit_code, 0);
  fs::copy(site_.directory() / "ledger", path("old"), fs::copy_options::recursive);
  ASSERT_EQ(act("X2").exit_code, 0);
  fs::remove_all(site_.directory() / "ledger");
  fs::rename(path("old"), site_.directory() / "ledger");
  auto text = read_file(site_.config());
  const auto at = text.find("[journal]");
  text.erase(at, text.find("[ledger]") - at);
  const auto plain = (site_.directory() / "plain.toml").string();
  write_file(plain, text);
  for (const char* code : {"Y1", "Y2", "Y3"})
    ASSERT_EQ(run_fugo({"--config", plain, "agency", "add", code, "--name", "A"}).exit_code, 0);
  const auto found = act("Y4");
  EXPECT_EQ(found.exit_code, 5);
  EXPECT_THAT(found.err, HasSubstr("is not in this ledger's journal"));
}

TEST_F(LiveCopy, ALineMayBeLongAndNoLineIsNone) {
  fs::create_directory(path("ships"));
  ASSERT_EQ(site_.run({"ship", path("ships"), "--final"}).exit_code, 0);
  ASSERT_EQ(site_.run({"takeover", "--reason", std::string(40'000, 'x')}).exit_code, 0);
  ASSERT_EQ(act("X1").exit_code, 0);
  ASSERT_EQ(site_.run({"ship", path("ships"), "--final"}).exit_code, 0);
  ASSERT_EQ(site_.run({"takeover", "--reason", std::string(40'000, 'y')}).exit_code, 0);
  const auto verified = site_.run({"journal", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(copy("two"), whole());
  fs::remove(path("two/journal.jsonl"));
  write_file(path("two/journal.jsonl"), "");
  fs::resize_file(path("two/journal.jsonl"), 200U << 20U);
  const auto none = act("X2");
  EXPECT_EQ(none.exit_code, 5);
  EXPECT_THAT(none.err, HasSubstr("is no copy of a journal"));
}

// Whoever can read a copy can hold it: that ends in an error, and a freeze does not wait for it.
TEST_F(LiveCopy, ACopyThatSomebodyHoldsIsNotWaitedForInVain) {
  ASSERT_EQ(act("X1").exit_code, 0);
  const int holder = ::open((path("two") + "/journal.jsonl").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(holder, LOCK_EX), 0);
  const auto before = entries();
  EXPECT_EQ(site_.run({"freeze", "issue", "--reason", "test"}).exit_code, 1);
  EXPECT_EQ(entries(), before + 1);
  const auto refused = site_.run({"thaw"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("another process holds it"));
  ::close(holder);
  EXPECT_EQ(site_.run({"thaw"}).exit_code, 0);
  EXPECT_EQ(copy("two"), whole());
}

TEST_F(LiveCopy, OneFileByTwoNamesIsToldAndSoIsAnEmptyLine) {
  ASSERT_EQ(act("X1").exit_code, 0);
  fs::remove_all(path("two"));
  fs::create_directory_symlink(path("one"), path("two"));
  const auto twice = act("X2");
  EXPECT_NE(twice.exit_code, 0);
  EXPECT_THAT(twice.err, HasSubstr("is the same file as"));
  fs::remove(path("two"));
  fs::create_directory(path("two"));
  write_file(path("two") + "/journal.jsonl", "\n");
  const auto empty = act("X3");
  EXPECT_EQ(empty.exit_code, 5) << empty.err;
  EXPECT_THAT(empty.err, HasSubstr("journal.jsonl"));
}

TEST_F(LiveCopy, VerifyTellsTheRestWhereOneCannotBeRead) {
  ASSERT_EQ(act("X1").exit_code, 0);
  fs::rename(path("one"), path("away"));
  const auto unread = site_.run({"--json", "journal", "verify"});
  EXPECT_EQ(unread.exit_code, 1) << unread.err;
  const auto copies = unread.json()["copies"];
  ASSERT_EQ(copies.size(), 2U) << unread.out;
  EXPECT_THAT(copies[0]["error"].get<std::string>(), HasSubstr(path("one")));
  EXPECT_EQ(copies[1]["entries"], entries());
  EXPECT_THAT(site_.run({"journal", "verify"}).out, HasSubstr("NOT COMPARED"));
  // A parting is worse, before it or after it.
  const auto full = copy("two");
  const auto begin = full.rfind('\n', full.size() - 2) + 1;
  write_file(path("two/journal.jsonl"), full.substr(begin) + full.substr(begin));
  EXPECT_EQ(site_.run({"journal", "verify"}).exit_code, 5);
  write_file(path("two/journal.jsonl"), full);
  fs::copy(site_.directory() / "ledger", path("old"), fs::copy_options::recursive);
  fs::rename(path("away"), path("one"));
  ASSERT_EQ(act("X2").exit_code, 0);
  fs::remove_all(site_.directory() / "ledger");
  fs::rename(path("old"), site_.directory() / "ledger");
  fs::rename(path("two"), path("away"));
  const auto parted = site_.run({"--json", "journal", "verify"});
  EXPECT_EQ(parted.exit_code, 5) << parted.out;
  EXPECT_EQ(parted.json()["partings"].size(), 1U);
  EXPECT_EQ(parted.json()["copies"].size(), 1U);
}

TEST_F(LiveCopy, TwoLedgersDoNotShareACopy) {
  ASSERT_EQ(act("X1").exit_code, 0);
  const TestSite other(std::vector<std::string>{});
  other.set_config("[ledger]", "[journal]\ncopies = [\"" + path("one") + "\"]\n\n[ledger]");
  EXPECT_EQ(other.run({"freeze", "link", "--reason", "r"}).exit_code, 1);
  EXPECT_EQ(other.run({"thaw"}).exit_code, 5);
  EXPECT_EQ(copy("one"), whole());
}

TEST_F(LiveCopy, ARestoredSiteDoesNotWriteToThem) {
  ASSERT_EQ(site_.run({"backup", path("backup")}).exit_code, 0);
  const auto before = copy("one");
  ASSERT_EQ(site_.run({"restore", path("backup"), "--dir", path("restored")}).exit_code, 0);
  EXPECT_EQ(run_fugo({"--config", path("restored/fugo.toml"), "agency", "add", "X1", "--name", "A"})
                .exit_code,
            0);
  EXPECT_EQ(copy("one"), before);
  EXPECT_EQ(act("X2").exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
