// kill -9 at each durable step of every command of a run, then the same command again: as if
// nothing had happened.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/daemon/regenerate/crash_site.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultPlan;

class RegenerateCrash : public ::testing::TestWithParam<CrashCase> {};

TEST_P(RegenerateCrash, KilledAtEachDurableStepItGoesOn) {
  const CrashSite crash(GetParam());
  crash.reset();
  const auto undisturbed = crash.give({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  const Left expected = crash.left();
  ASSERT_GT(undisturbed.steps, 3U);
  std::uint64_t killed = 0;
  for (std::uint64_t at = 1; at <= undisturbed.steps + 1; ++at) {
    crash.reset();
    FaultPlan plan;
    plan.kill_at = at;
    plan.kill_after = at % 2 == 0;
    killed += crash.give(plan).signal == SIGKILL ? 1 : 0;
    ASSERT_EQ(crash.settle(expected), "") << "step " << at;
    ASSERT_EQ(crash.left(), expected) << "step " << at;
    ASSERT_EQ(crash.litter(), "") << "step " << at;
    if (at % 8 == 0 || at > undisturbed.steps) {
      expect_sound(crash.site());
    }
  }
  EXPECT_GE(killed, undisturbed.steps * 8 / 10);
}

INSTANTIATE_TEST_SUITE_P(
    Steps, RegenerateCrash,
    ::testing::Values(CrashCase{"agency", "plan"}, CrashCase{"linkage,record", "run"},
                      CrashCase{"linkage,record", "commit"}, CrashCase{"linkage,record", "finish"},
                      CrashCase{"linkage,agency", "abort"}, CrashCase{"agency", "run"},
                      CrashCase{"agency", "commit --reject-old"}, CrashCase{"agency", "ack"},
                      CrashCase{"agency", "finish"}, CrashCase{"rebase", "run"},
                      CrashCase{"rebase", "finish"}));

}  // namespace
}  // namespace fugo::test
