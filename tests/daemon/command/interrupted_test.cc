// Commands that are killed or run out of disk: nothing half made, and what an open job forbids.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "tests/daemon/site_fixture.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kFugo = FUGO_BINARY_DIR "/daemon/fugo";
std::vector<std::string> init_command(const fs::path& home) {
  return {kFugo, "init", "--dir", (home / "site").string()};
}

testing::FaultPlan plan_under(const fs::path& directory) {
  testing::FaultPlan plan;
  plan.under = directory;
  return plan;
}

// count_steps runs init to its end; both tests choose their points from its numbers.
const testing::FaultOutcome& count_steps() {
  static const testing::FaultOutcome outcome = [] {
    const TemporaryDirectory home;
    auto plan = plan_under(home.path());
    plan.fail_errno = ENOSPC;
    return run_with_faults(init_command(home.path()), plan);
  }();
  return outcome;
}

TEST(Interrupted, InitIsWholeOrNotThere) {
  const auto& whole = count_steps();
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  // In the middle, and around the rename near the end, after which the site has its name.
  bool left_over = false;
  for (const std::uint64_t step : {whole.steps / 2, whole.steps - 1}) {
    const TemporaryDirectory home;
    auto plan = plan_under(home.path());
    plan.kill_at = step;
    const auto killed = run_with_faults(init_command(home.path()), plan);
    ASSERT_EQ(killed.signal, SIGKILL) << killed.errors;
    const auto site = home.path() / "site";
    if (!fs::exists(site)) {
      left_over = true;
      const auto again = run_fugo({"init", "--dir", site.string()});
      EXPECT_EQ(again.exit_code, 0) << "after step " << step << ": " << again.err;
    }
    const auto status = run_fugo({"--config", (site / "fugo.toml").string(), "--json", "status"});
    EXPECT_EQ(status.exit_code, 0) << "after step " << step << ": " << status.err;
    EXPECT_EQ(std::distance(fs::directory_iterator(home.path()), {}), 1);
  }
  EXPECT_TRUE(left_over) << "no kill came before the rename";
}

TEST(Interrupted, InitOnAFullDiskLeavesNothing) {
  const auto& whole = count_steps();
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  for (const std::uint64_t call : {std::uint64_t{1}, whole.failable / 3, whole.failable - 10}) {
    const TemporaryDirectory home;
    auto plan = plan_under(home.path());
    plan.fail_errno = ENOSPC;
    plan.fail_at = call;
    plan.fail_forever = true;
    const auto full = run_with_faults(init_command(home.path()), plan);
    EXPECT_THAT(full.exit_code, ::testing::AnyOf(1, 4)) << full.errors;
    EXPECT_THAT(full.errors, HasSubstr("nothing was made"));
    EXPECT_TRUE(fs::is_empty(home.path())) << "failed at " << plan.fail_at;
  }
}

// OpenJob is a site whose job J-OPEN, of three segments with a row each, was started by alice.
class OpenJob {
 public:
  OpenJob() {
    site.set_config("[ledger]", "[issue]\nsegment_rows = 1\n\n[ledger]");
    write_file(request,
               "#fugo-request,version=1,id=J-OPEN,kind=issue,records=3\n"
               "processing_number,agency_code,resident_code\n"
               "1,131016,24727059608\n2,131016,24846016224\n3,472018,25208017643\n");
  }

  // Kills the command early and late until the journal has the act.
  void kill_after(const std::string& act) const {
    std::vector<std::string> command = {kFugo, "--config", site.config().string()};
    const auto words = issue("alice", "order-1");
    command.insert(command.end(), words.begin(), words.end());
    for (std::uint64_t step = 6; step < 60; step += 3) {
      auto plan = plan_under(site.scratch());
      plan.kill_at = step;
      const auto killed = run_with_faults(command, plan);
      ASSERT_EQ(killed.signal, SIGKILL) << "the job was done before it could be killed";
      const auto entries = journal();
      if (std::any_of(entries.begin(), entries.end(),
                      [&](const auto& entry) { return entry["act"] == act; }))
        return;
    }
    FAIL() << "no kill came behind " << act;
  }

  std::vector<std::string> issue(const std::string& name, const std::string& order) const {
    return {"--json",  "--operator", name,
            "--order", order,        "issue",
            request,   "--out",      (site.scratch() / "answers").string()};
  }

  nlohmann::json journal() const {
    return site.run({"--json", "journal", "show"}).json()["entries"];
  }

  const TestSite site;
  const fs::path request = site.scratch() / "request";
};

TEST(Interrupted, AnOpenJobKeepsTheRegistryAsItIs) {
  const OpenJob open;
  const TestSite& site = open.site;
  open.kill_after("issue.start");
  ASSERT_EQ(site.run({"--json", "status"}).json()["open_job"], "J-OPEN");
  for (const auto& act : {std::vector<std::string>{"agency", "suspend", "131016"},
                          {"agency", "add", "NEW", "--name", "x"},
                          {"agency", "import", (site.scratch() / "again.csv").string()}}) {
    write_file(site.scratch() / "again.csv", kTestAgencies);
    const auto refused = site.run(act);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.err, HasSubstr("J-OPEN"));
  }
  const auto finished = site.run(open.issue("alice", "order-1"));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.json()["resumed"], true);
  EXPECT_EQ(finished.json()["new"], 3);
  EXPECT_EQ(site.run({"agency", "suspend", "131016"}).exit_code, 0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(Interrupted, TheJournalNamesWhoWentOn) {
  const OpenJob open;
  open.kill_after("issue.segment");
  const std::size_t by_alice = open.journal().size();
  const auto finished = open.site.run(open.issue("bob", "order-2"));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const auto entries = open.journal();
  std::vector<std::string> acts;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i]["details"].value("request", "") != "J-OPEN") continue;
    EXPECT_EQ(entries[i]["operator"], i < by_alice ? "alice" : "bob") << entries[i];
    EXPECT_EQ(entries[i]["order"], i < by_alice ? "order-1" : "order-2") << entries[i];
    if (i >= by_alice) acts.push_back(entries[i]["act"]);
  }
  ASSERT_GE(acts.size(), 3U);
  EXPECT_EQ(acts.front(), "issue.resume");
  EXPECT_EQ(entries[by_alice]["details"]["rows_done"], 3 - (acts.size() - 2));
  EXPECT_EQ(std::count(acts.begin(), acts.end(), "issue.segment"), acts.size() - 2);
  EXPECT_EQ(acts.back(), "issue.done");
}

}  // namespace
}  // namespace fugo::test
