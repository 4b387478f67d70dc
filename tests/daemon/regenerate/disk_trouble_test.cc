// A full, failing or read-only disk at calls of every step of a run: a clear error, and the same
// command goes on when there is room.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/daemon/regenerate/crash_site.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultPlan;

struct Trouble {
  int error;
  const char* says;
};
constexpr Trouble kTroubles[] = {{ENOSPC, "No space left on device"},
                                 {EIO, "Input/output error"},
                                 {EROFS, "Read-only file system"}};

class RunOnABadDisk : public ::testing::TestWithParam<CrashCase> {};

TEST_P(RunOnABadDisk, EndsClearlyAndGoesOn) {
  // Of each kind, evenly; a plan makes keys, which takes long.
  const std::uint64_t tried = GetParam().step == "plan" ? 1 : 4;
  const CrashSite site(GetParam());
  site.reset();
  ASSERT_EQ(site.give({}).exit_code, 0);
  const Left expected = site.left();
  for (const Trouble& trouble : kTroubles) {
    site.reset();
    FaultPlan count;
    count.fail_errno = trouble.error;
    const std::uint64_t calls = site.give(count).failable;
    ASSERT_GT(calls, 0U) << trouble.says;
    for (std::uint64_t i = 0; i < std::min(tried, calls); ++i) {
      FaultPlan plan;
      plan.fail_errno = trouble.error;
      plan.fail_at = 1 + (i + 1) * (calls - 1) / std::min(tried, calls);
      plan.fail_forever = i % 2 == 0;
      SCOPED_TRACE(std::string(trouble.says) + " at " + std::to_string(plan.fail_at));
      site.reset();
      const auto failed = site.give(plan);
      EXPECT_EQ(failed.signal, 0) << failed.errors;
      // What is only tidied up may fail unseen; everything else is said.
      if (failed.exit_code != 0) {
        EXPECT_EQ(failed.exit_code, 1) << failed.errors;
        EXPECT_NE(failed.errors.find(trouble.says), std::string::npos) << failed.errors;
      }
      ASSERT_EQ(site.settle(expected), "");
      ASSERT_EQ(site.left(), expected);
    }
  }
  expect_sound(site.site());
}

INSTANTIATE_TEST_SUITE_P(
    Steps, RunOnABadDisk,
    ::testing::Values(CrashCase{"linkage,record", "run"}, CrashCase{"linkage,record", "commit"},
                      CrashCase{"linkage,record", "finish"}, CrashCase{"agency", "ack"},
                      CrashCase{"linkage,agency", "abort"}, CrashCase{"agency", "plan"}));

}  // namespace
}  // namespace fugo::test
