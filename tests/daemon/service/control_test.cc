// Orders to a daemon in the middle of a job: pause, cancel, freeze, stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130"};

std::string request(const std::string& id, std::uint64_t first = 0, std::size_t residents = 20) {
  return request_text(id, trial_rows(first, residents, kAgencies));
}

nlohmann::json job(const TestSite& site, const std::string& id) {
  const auto listed = site.run({"--json", "jobs", "list", "--all"}).json();
  for (const auto& row : listed["jobs"])
    if (row["id"] == id) return row;
  return {};
}

bool is_empty(const TestSite& site, const std::string& name) {
  return entries(folder(site, name)).empty();
}

// A site whose jobs take long: many segments of few rows.
void make_slow(const TestSite& site) {
  site.set_config("[ledger]", "[issue]\nsegment_rows = 4\n\n[ledger]");
}
constexpr std::size_t kManyResidents = 120;

bool has_begun(const TestSite& site, const std::string& id) {
  const auto row = job(site, id);
  return !row.is_null() && row["rows_done"] > 0;
}

TEST(Control, PausesResumesAndCancels) {
  const TestSite site;
  make_slow(site);
  RunningDaemon daemon(site);
  drop(site, "a", request("SLOW", 0, kManyResidents));
  ASSERT_TRUE(wait_for([&] { return has_begun(site, "SLOW"); })) << daemon.log();
  ASSERT_EQ(site.run({"jobs", "pause", "SLOW"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return daemon.log().find("waits by order") != std::string::npos; }));
  const auto paused = job(site, "SLOW");
  EXPECT_EQ(paused["paused"], true);
  EXPECT_LT(paused["rows_done"], paused["rows"]);
  EXPECT_THAT(entries(folder(site, "work")), ElementsAre("a"));
  ASSERT_EQ(site.run({"jobs", "resume", "SLOW"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site, "SLOW"); })) << daemon.log();
  drop(site, "b", request("GIVEN-UP", 1000, kManyResidents));
  ASSERT_TRUE(wait_for([&] { return has_begun(site, "GIVEN-UP"); })) << daemon.log();
  ASSERT_EQ(site.run({"jobs", "cancel", "GIVEN-UP"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return refused(site, "GIVEN-UP"); })) << daemon.log();
  EXPECT_EQ(job(site, "GIVEN-UP")["state"], "cancelled");
  drop(site, "c", request("AFTER", 2000));
  ASSERT_TRUE(wait_for([&] { return answered(site, "AFTER"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(Control, FreezesAndThaws) {
  const TestSite site;
  make_slow(site);
  RunningDaemon daemon(site);
  drop(site, "a", request("SLOW", 0, kManyResidents));
  ASSERT_TRUE(wait_for([&] { return has_begun(site, "SLOW"); })) << daemon.log();
  ASSERT_EQ(site.run({"freeze", "issue", "--reason", "something is odd"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return daemon.log().find("waits by order") != std::string::npos; }));
  EXPECT_THAT(daemon.log(), HasSubstr("something is odd"));
  EXPECT_FALSE(answered(site, "SLOW"));
  ASSERT_EQ(site.run({"thaw"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site, "SLOW"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(is_empty(site, "refused"));
}

TEST(Control, StopsInTheMiddleOfAFileAndGoesOn) {
  const TestSite site;
  make_slow(site);
  {
    RunningDaemon daemon(site);
    drop(site, "a", request("SLOW", 0, kManyResidents));
    ASSERT_TRUE(wait_for([&] { return has_begun(site, "SLOW"); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
    EXPECT_FALSE(answered(site, "SLOW"));
    EXPECT_THAT(entries(folder(site, "work")), ElementsAre("a"));
    EXPECT_TRUE(is_empty(site, "refused"));
  }
  RunningDaemon daemon(site);
  ASSERT_TRUE(wait_for([&] { return answered(site, "SLOW"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Control, AJobThatACommandBeganIsNotWorkedOnByAnother) {
  const TestSite site;
  make_slow(site);
  write_file(site.scratch() / "r", request("BEGUN", 0, kManyResidents));
  {
    // A command that is stopped half way: here, a daemon whose request file somebody took away.
    RunningDaemon daemon(site);
    drop(site, "a", read_file(site.scratch() / "r"));
    ASSERT_TRUE(wait_for([&] { return has_begun(site, "BEGUN"); })) << daemon.log();
    daemon.kill_now();
  }
  fs::remove(folder(site, "work") / "a");
  RunningDaemon daemon(site);
  drop(site, "b", request("OTHER", 2000, 5));
  ASSERT_TRUE(wait_for([&] {
    return daemon.log().find("its request file is not there") != std::string::npos;
  })) << daemon.log();
  EXPECT_THAT(entries(folder(site, "inbox")), ElementsAre("b"));
  drop(site, "z", read_file(site.scratch() / "r"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "BEGUN") && answered(site, "OTHER"); }))
      << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(is_empty(site, "refused"));
}

}  // namespace
}  // namespace fugo::test
