// kill -9 at each durable step of a backup and of a restoration, and full disks.
#include "tests/daemon/backup/backup_site.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;

class BackupCrash : public ::testing::Test {
 protected:
  FaultOutcome run(FaultPlan plan, const std::vector<std::string>& arguments) const {
    plan.under = site_.site().scratch();
    plan.except = {site_.site().directory() / "tokens"};
    std::vector<std::string> command = {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config",
                                        site_.site().config().string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return fugo::testing::run_with_faults(command, plan);
  }
  FaultOutcome back_up(const FaultPlan& plan) const {
    return run(plan, {"backup", site_.backup().string()});
  }
  FaultOutcome restore(const FaultPlan& plan) const {
    return run(plan, {"restore", site_.backup().string(), "--dir", site_.restored().string()});
  }
  // only_whole: the target is there and good, or is not there; then it is made by another run.
  void expect_backup_or_none(const std::string& where) const {
    if (!std::filesystem::exists(site_.backup())) {
      const auto again = back_up({});
      ASSERT_EQ(again.exit_code, 0) << where << ": " << again.errors;
    }
    const auto done = site_.restore();
    ASSERT_EQ(done.exit_code, 0) << where << ": " << done.err;
    EXPECT_EQ(site_.run_restored({"digest"}).out, site_.site().run({"digest"}).out) << where;
    std::filesystem::remove_all(site_.backup());
    std::filesystem::remove_all(site_.restored());
  }
  void expect_site_or_none(const std::string& where) const {
    if (!std::filesystem::exists(site_.restored())) {
      const auto again = restore({});
      ASSERT_EQ(again.exit_code, 0) << where << ": " << again.errors;
    }
    EXPECT_EQ(site_.run_restored({"verify"}).exit_code, 0) << where;
    EXPECT_EQ(site_.run_restored({"digest"}).out, site_.site().run({"digest"}).out) << where;
    std::filesystem::remove_all(site_.restored());
  }
  // The step may be of the process that verifying forks: what has it then ends by itself.
  static bool was_killed(const FaultOutcome& outcome) {
    return outcome.signal == SIGKILL || outcome.errors.find("signal 9") != std::string::npos;
  }
  BackupSite site_;
};

TEST_F(BackupCrash, ABackupKilledAtEachStepIsWholeOrNotThere) {
  const auto undisturbed = back_up({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  ASSERT_GT(undisturbed.steps, 25U);
  std::filesystem::remove_all(site_.backup());
  for (std::uint64_t step = 1; step <= undisturbed.steps; ++step) {
    FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = step % 2 == 1;
    const auto killed = back_up(plan);
    // LMDB writes a page more or less from one backup to the next: the last steps may not be there.
    const bool over = killed.exit_code == 0 && step + 5 > undisturbed.steps;
    ASSERT_TRUE(was_killed(killed) || over)
        << step << " of " << undisturbed.steps << ": " << killed.exit_code << killed.errors;
    expect_backup_or_none("step " + std::to_string(step));
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(site_.site().run({"verify"}).exit_code, 0);
}

TEST_F(BackupCrash, ARestorationKilledAtEachStepIsWholeOrNotThere) {
  ASSERT_EQ(site_.make_backup().exit_code, 0);
  const auto undisturbed = restore({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  ASSERT_GT(undisturbed.steps, 15U);
  std::filesystem::remove_all(site_.restored());
  for (std::uint64_t step = 1; step <= undisturbed.steps; ++step) {
    FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = step % 2 == 1;
    const auto killed = restore(plan);
    ASSERT_TRUE(was_killed(killed)) << killed.errors;
    expect_site_or_none("step " + std::to_string(step));
    if (HasFatalFailure()) return;
  }
}

TEST_F(BackupCrash, AFullDiskIsSaidAndLeavesNothing) {
  FaultPlan count;
  count.fail_errno = ENOSPC;
  const auto failable = back_up(count).failable;
  ASSERT_GT(failable, 15U);
  std::filesystem::remove_all(site_.backup());
  for (std::uint64_t at = 1; at <= failable; at += 1 + failable / 12) {
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_errno = ENOSPC;
    plan.fail_forever = true;
    const auto failed = back_up(plan);
    ASSERT_EQ(failed.signal, 0) << "call " << at;
    if (failed.exit_code == 0) continue;
    EXPECT_THAT(failed.errors, ::testing::HasSubstr("No space left on device")) << "call " << at;
    EXPECT_FALSE(std::filesystem::exists(site_.backup())) << "call " << at;
    expect_backup_or_none("call " + std::to_string(at));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace fugo::test
