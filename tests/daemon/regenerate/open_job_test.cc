// A job that is open when a run is to be committed: it is let to its end, and nothing else begins.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

constexpr std::size_t kKnown = 10;

std::string request(const std::string& id, std::uint64_t first, std::size_t residents) {
  return request_text(id, trial_rows(first, residents, kHolders));
}

// Long enough that a command comes in the middle, where nothing waits for a disk too.
constexpr std::size_t kLong = 800;

// A site whose jobs take long, with a run that is ready.
class OpenJob : public ::testing::Test {
 protected:
  void SetUp() override {
    (void)issue_everybody(site_, kKnown, kHolders);
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 4\n\n[ledger]");
    run_ = plan_run(site_, "linkage");
    ASSERT_EQ(step(site_, "run", run_).exit_code, 0);
  }

  // Drops a long request, and one behind it; issuing is frozen in the middle of the first.
  void freeze_in_the_middle(RunningDaemon& daemon) {
    drop(site_, "a", request("LONG", 0, kLong));
    drop(site_, "b", request("NEXT", 2000, 3));
    ASSERT_TRUE(wait_for([&] { return rows_done("LONG") > 0; })) << daemon.log();
    ASSERT_EQ(site_.run({"freeze", "issue", "--reason", "incident"}).exit_code, 0);
    ASSERT_TRUE(wait_for([&] { return daemon.log().find("waits by order") != std::string::npos; }));
    ASSERT_EQ(open_job(), "LONG");
  }

  [[nodiscard]] std::uint64_t rows_done(const std::string& id) const {
    const auto listed = site_.run({"--json", "jobs", "list", "--all"}).json();
    for (const auto& row : listed["jobs"])
      if (row["id"] == id) return row["rows_done"];
    return 0;
  }
  [[nodiscard]] nlohmann::json open_job() const {
    return site_.run({"--json", "status"}).json()["open_job"];
  }
  [[nodiscard]] std::string frozen() const {
    return site_.run({"--json", "status"}).json()["frozen"]["issue"];
  }

  TestSite site_;
  std::string run_;
};

TEST_F(OpenJob, IsLetToItsEndByTheCommitAndNothingElseBegins) {
  RunningDaemon daemon(site_);
  freeze_in_the_middle(daemon);
  const auto committed = step(site_, "commit", run_);
  ASSERT_EQ(committed.exit_code, 0) << committed.err << daemon.log();
  EXPECT_TRUE(answered(site_, "LONG"));
  EXPECT_EQ(frozen(), "incident");  // the operators' own freeze stays
  EXPECT_EQ(rows_done("NEXT"), 0U);
  EXPECT_FALSE(answered(site_, "NEXT"));
  // Everybody whom the job was about has moved.
  for (const auto& [agency, answers] : read_answers(folder(site_, "outbox") / "LONG")) {
    const Mapping mapping = read_mapping(site_, run_, agency);
    for (const auto& [number, answer] : answers) EXPECT_EQ(mapping.count(answer.symbol), 1U);
  }
  ASSERT_EQ(site_.run({"thaw"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site_, "NEXT"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  expect_sound(site_);
}

TEST_F(OpenJob, ThatNobodyWorksOnMayStillEndUnderTheFreeze) {
  {
    RunningDaemon daemon(site_);
    freeze_in_the_middle(daemon);
    daemon.kill_now();
  }
  const auto refused = step(site_, "commit", run_);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("nobody works on it"), std::string::npos) << refused.err;
  EXPECT_EQ(frozen(), "incident");
  RunningDaemon daemon(site_);
  ASSERT_TRUE(wait_for([&] { return answered(site_, "LONG"); })) << daemon.log();
  const auto committed = step(site_, "commit", run_);
  ASSERT_EQ(committed.exit_code, 0) << committed.err;
  EXPECT_FALSE(answered(site_, "NEXT"));
  EXPECT_EQ(daemon.stop(), 0);
  expect_sound(site_);
}

TEST_F(OpenJob, ThatIsLostIsGivenUpByTheCommitWhenItWasCancelled) {
  {
    RunningDaemon daemon(site_);
    freeze_in_the_middle(daemon);
    daemon.kill_now();
  }
  EXPECT_EQ(step(site_, "commit", run_).exit_code, 1);
  ASSERT_EQ(site_.run({"jobs", "cancel", "LONG"}).exit_code, 0);
  const auto committed = step(site_, "commit", run_);
  ASSERT_EQ(committed.exit_code, 0) << committed.err;
  EXPECT_EQ(open_job(), nullptr);
  EXPECT_EQ(frozen(), "incident");
  expect_sound(site_);
}

TEST_F(OpenJob, ThatIsPausedIsNotWaitedFor) {
  RunningDaemon daemon(site_);
  drop(site_, "a", request("LONG", 0, kLong));
  ASSERT_TRUE(wait_for([&] { return rows_done("LONG") > 0; })) << daemon.log();
  ASSERT_EQ(site_.run({"jobs", "pause", "LONG"}).exit_code, 0);
  const auto refused = step(site_, "commit", run_);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("paused"), std::string::npos) << refused.err;
  EXPECT_EQ(frozen(), "");
  ASSERT_EQ(site_.run({"jobs", "resume", "LONG"}).exit_code, 0);
  const auto committed = step(site_, "commit", run_);
  ASSERT_EQ(committed.exit_code, 0) << committed.err;
  EXPECT_TRUE(answered(site_, "LONG"));
  EXPECT_EQ(daemon.stop(), 0);
  expect_sound(site_);
}

TEST_F(OpenJob, StopsAgainWhenOperatorsFreezeAnew) {
  RunningDaemon daemon(site_);
  freeze_in_the_middle(daemon);
  daemon.kill_now();
  EXPECT_EQ(step(site_, "commit", run_).exit_code, 1);  // it may end now
  ASSERT_EQ(site_.run({"freeze", "issue", "--reason", "another"}).exit_code, 0);
  RunningDaemon again(site_);
  ASSERT_TRUE(wait_for([&] {
    return again.log().find("frozen") != std::string::npos ||
           again.notices().find("frozen") != std::string::npos;
  }));
  EXPECT_EQ(open_job(), "LONG");
  ASSERT_EQ(site_.run({"thaw"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site_, "NEXT"); })) << again.log();
  EXPECT_EQ(again.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
