// What a crash may leave in the folders is brought to an end at the next start, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::size_t refusals(const TestSite& site) {
  std::size_t count = 0;
  const auto journal = site.run({"--json", "journal", "show"}).json();
  for (const auto& entry : journal["entries"])
    if (entry["act"] == "request.refuse") ++count;
  return count;
}

TEST(Restart, ARefusalIsFinishedAndJournaledOnce) {
  const TestSite site;
  const auto bad = folder(site, "refused") / "BAD";
  {
    RunningDaemon daemon(site);
    drop(site, "bad", "#fugo-request,version=1,id=BAD,kind=issue,records=9\n");
    ASSERT_TRUE(wait_for([&] { return refused(site, "BAD"); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  ASSERT_EQ(refusals(site), 1U);
  const auto reason = read_file(bad / "reason.txt");
  struct Left {
    const char* what;
    bool request, new_reason, reason;
    std::size_t journaled;  // entries afterwards
    bool refused;
  };
  const auto other = [&](std::string text) {
    const auto at = text.find("mark: ") + 6;
    return text.replace(at, 16, "0123456789abcdef");
  };
  for (const Left& left : {Left{"journaled, reason not renamed", true, true, false, 1, true},
                           Left{"journaled, request not destroyed", true, false, true, 1, true},
                           Left{"only the new reason", false, true, false, 1, false}}) {
    fs::remove_all(bad);
    fs::create_directory(bad);
    if (left.request) write_file(bad / ".request", "data");
    if (left.new_reason) write_file(bad / ".reason", reason);
    if (left.reason) write_file(bad / "reason.txt", reason);
    RunningDaemon daemon(site);
    EXPECT_EQ(daemon.stop(), 0);
    EXPECT_EQ(refused(site, "BAD"), left.refused) << left.what;
    EXPECT_EQ(fs::exists(bad), left.refused) << left.what;
    EXPECT_EQ(refusals(site), left.journaled) << left.what;
  }
  // Not journaled yet: another mark.
  fs::create_directory(bad);
  write_file(bad / ".request", "data");
  write_file(bad / ".reason", other(reason));
  RunningDaemon daemon(site);
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(refused(site, "BAD"));
  EXPECT_EQ(refusals(site), 2U);
}

TEST(Restart, AnotherFileWithTheIdOfAHeldOneIsRefusedNotLost) {
  const TestSite site;
  const auto deletion = [](const char* code) {
    return std::string("#fugo-request,version=1,id=D,kind=delete,records=1\n") +
           "resident_code,reason\n" + code + ",clerical_error\n";
  };
  {
    RunningDaemon daemon(site);
    drop(site, "first", deletion("24727059608"));
    ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site, "held") / "D/first"); }))
        << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  // As a stop between taking a file and its first look leaves them.
  write_file(folder(site, "work") / "other", deletion("24846016224"));
  write_file(folder(site, "work") / "same", deletion("24727059608"));
  RunningDaemon daemon(site);
  EXPECT_TRUE(wait_for([&] { return refused(site, "D"); })) << daemon.log();
  EXPECT_TRUE(wait_for([&] { return entries(folder(site, "work")).empty(); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_THAT(read_file(folder(site, "refused") / "D/reason.txt"),
              HasSubstr("used before with other content"));
  EXPECT_EQ(entries(folder(site, "held") / "D"), std::vector<std::string>{"first"});
}

// set_state makes the ledger's row of a job say what a crash might have left.
void set_state(const TestSite& site, const std::string& id, keystore::JobState state) {
  const auto settings = daemon::load_settings(site.config()).value();
  const auto open =
      daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
  auto row = open->ledger().find_job(id).value().value();
  row.state = state;
  const auto update = open->ledger().begin().value();
  ASSERT_TRUE(update->put_job(row));
  ASSERT_TRUE(update->commit());
}

TEST(Restart, AnotherFileWithTheIdOfAnAnsweredOneIsRefusedNotDestroyed) {
  const TestSite site;
  const auto request = request_text("I", trial_rows(0, 4, {"131016", "472018"}));
  const auto other = request_text("I", trial_rows(50, 4, {"131016", "472018"}));
  {
    RunningDaemon daemon(site);
    drop(site, "first", request);
    ASSERT_TRUE(wait_for([&] { return answered(site, "I"); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  for (const char* state_of_start : {"one file", "two files"}) {
    set_state(site, "I", keystore::JobState::kAnswered);
    fs::remove_all(folder(site, "refused") / "I");
    write_file(folder(site, "work") / "b-other", other);
    if (state_of_start == std::string("two files"))
      write_file(folder(site, "work") / "a-same", request);
    RunningDaemon daemon(site);
    EXPECT_TRUE(wait_for([&] { return refused(site, "I"); })) << daemon.log();
    EXPECT_TRUE(wait_for([&] { return entries(folder(site, "work")).empty(); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
    EXPECT_THAT(read_file(folder(site, "refused") / "I/reason.txt"),
                HasSubstr("used before with other content"))
        << state_of_start;
    const auto jobs = site.run({"--json", "jobs", "list", "--all"}).json()["jobs"];
    EXPECT_EQ(jobs.back()["state"], "done");
  }
}

TEST(Restart, FilesThatWereMovedByHandFindTheirPlace) {
  const TestSite site;
  site.set_config("[ledger]", "[issue]\nreject_limit_rows = 0\n\n[ledger]");
  auto rows = trial_rows(0, 4, {"131016", "472018"});
  const auto plain = request_text("PLAIN", rows);
  for (std::size_t i = 1; i < rows.size(); ++i) rows[i].agency = "NOSUCH";
  const auto held = request_text("HELD", rows);
  {
    RunningDaemon daemon(site);
    drop(site, "held", held);
    ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site, "held") / "HELD/held"); }))
        << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  fs::rename(folder(site, "held") / "HELD/held", folder(site, "work") / "held");
  fs::create_directory(folder(site, "held") / "PLAIN");
  write_file(folder(site, "held") / "PLAIN/plain", plain);
  RunningDaemon daemon(site);
  ASSERT_TRUE(wait_for([&] {
    return answered(site, "PLAIN") && fs::exists(folder(site, "held") / "HELD/held");
  })) << daemon.log();
  ASSERT_TRUE(wait_for([&] { return entries(folder(site, "work")).empty(); }));
  EXPECT_EQ(entries(folder(site, "held")).size(), 1U);
  // The same request again, while it is held: there is one of it afterwards.
  drop(site, "held-again", held);
  ASSERT_TRUE(wait_for([&] {
    return entries(folder(site, "inbox")).empty() && entries(folder(site, "work")).empty();
  })) << daemon.log();
  EXPECT_EQ(entries(folder(site, "held") / "HELD").size(), 1U);
  EXPECT_EQ(site.run({"jobs", "cancel", "HELD"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return refused(site, "HELD"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
