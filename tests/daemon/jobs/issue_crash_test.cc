// kill -9 at each durable step of an issue and of the merges beside it, then run again.
#include <gtest/gtest.h>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;

// CrashSite is a site with one job done and a second request, in seven segments, to be disturbed.
class CrashSite {
 public:
  CrashSite() : config_(site_.config()) {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 40\n\n[ledger]");
    const std::vector<std::string> agencies = {"131016", "472018", "131130"};
    write_file(site_.scratch() / "old.csv", request_text("old", trial_rows(0, 30, agencies, 3)));
    EXPECT_EQ(site_
                  .run({"issue", (site_.scratch() / "old.csv").string(), "--out",
                        (site_.scratch() / "out").string()})
                  .exit_code,
              0);
    write_file(site_.scratch() / "R.csv", request_text("R", trial_rows(15, 100, agencies, 4)));
    ledger_ = site_.directory() / "ledger";
    std::filesystem::copy(ledger_, site_.scratch() / "before",
                          std::filesystem::copy_options::recursive);
  }

  // Puts everything back to before the request.
  void reset() const {
    std::filesystem::remove_all(ledger_);
    std::filesystem::copy(site_.scratch() / "before", ledger_,
                          std::filesystem::copy_options::recursive);
    std::filesystem::remove_all(out());
    std::filesystem::create_directory(out());
  }

  FaultOutcome run(FaultPlan plan) const {
    plan.under = site_.scratch();
    plan.except = {site_.directory() / "tokens"};
    return run_with_faults(
        {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", config_.string(), "issue",
         (site_.scratch() / "R.csv").string(), "--out", out().string()},
        plan);
  }

  std::string digest() const { return site_.run({"digest", "--without-times"}).out; }
  std::filesystem::path out() const { return site_.scratch() / "out"; }
  std::map<std::string, std::string> answers() const { return csv_files(out() / "R"); }
  const TestSite& site() const { return site_; }

 private:
  TestSite site_;
  std::filesystem::path config_;
  std::filesystem::path ledger_;
};

struct Expected {
  std::map<std::string, std::string> answers;
  std::string digest;
  std::uint64_t steps = 0;
};

Expected undisturbed(const CrashSite& crash) {
  crash.reset();
  const auto outcome = crash.run({});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
  return {crash.answers(), crash.digest(), outcome.steps};
}

TEST(IssueCrash, KilledAtEachDurableStepItGoesOnAndAnswersTheSame) {
  const CrashSite crash;
  const Expected expected = undisturbed(crash);
  ASSERT_EQ(expected.answers.size(), 4U);  // three agencies and rejects.csv
  ASSERT_GT(expected.steps, 60U);
  std::uint64_t killed = 0;
  for (std::uint64_t step = 1; step <= expected.steps + 1; ++step) {
    crash.reset();
    FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = step % 2 == 0;
    const auto outcome = crash.run(plan);
    killed += outcome.signal == SIGKILL ? 1 : 0;
    const auto resumed = crash.run({});
    ASSERT_EQ(resumed.exit_code, 0) << "step " << step << ": " << resumed.errors;
    ASSERT_EQ(crash.answers(), expected.answers) << "step " << step;
    ASSERT_EQ(crash.digest(), expected.digest) << "step " << step;
    ASSERT_EQ(std::distance(std::filesystem::directory_iterator(crash.out()), {}), 1)
        << "step " << step << ": something is left beside the answers";
    if (step % 10 == 0) {
      const auto verified = crash.site().run({"verify"});
      ASSERT_EQ(verified.exit_code, 0) << "step " << step << ": " << verified.err;
    }
  }
  EXPECT_GE(killed, expected.steps * 8 / 10);  // merges beside it make some runs shorter
}

TEST(IssueCrash, AFullDiskIsSaidAndNothingIsHalfDone) {
  const CrashSite crash;
  const Expected expected = undisturbed(crash);
  FaultPlan count;
  count.fail_errno = ENOSPC;
  crash.reset();
  const std::uint64_t failable = crash.run(count).failable;
  ASSERT_GT(failable, 50U);
  for (std::uint64_t at = 1; at <= failable; at += 1 + failable / 60) {
    crash.reset();
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_errno = ENOSPC;
    plan.fail_forever = true;
    const auto failed = crash.run(plan);
    ASSERT_EQ(failed.signal, 0) << "call " << at;
    if (failed.exit_code != 0) {
      ASSERT_EQ(failed.exit_code, 1) << "call " << at << ": " << failed.errors;
      ASSERT_NE(failed.errors.find("No space left on device"), std::string::npos)
          << "call " << at << ": " << failed.errors;
      // Answers are there whole (the disk was full for a merge or the last commit) or not at all.
      if (std::filesystem::exists(crash.out() / "R")) {
        ASSERT_EQ(crash.answers(), expected.answers) << "call " << at;
      }
    }
    const auto resumed = crash.run({});
    ASSERT_EQ(resumed.exit_code, 0) << "call " << at << ": " << resumed.errors;
    ASSERT_EQ(crash.answers(), expected.answers) << "call " << at;
    ASSERT_EQ(crash.digest(), expected.digest) << "call " << at;
  }
}

}  // namespace
}  // namespace fugo::test
