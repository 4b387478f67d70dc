#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>

#include "tests/fault/run_with_faults.h"

namespace fugo::testing {
namespace {

constexpr std::uint64_t kSteps = 14;  // of probe.cc: all of its calls but the one write

class Interpose : public ::testing::Test {
 protected:
  Interpose() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-probe-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) directory_ = name;
    plan_.under = directory_;
  }
  ~Interpose() override { std::filesystem::remove_all(directory_); }

  FaultOutcome run(const char* what = "all") {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directory(directory_);
    return run_with_faults({FUGO_PROBE, what, directory_.string()}, plan_);
  }
  static std::uint64_t lines(const std::string& text) {
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
  }

  std::filesystem::path directory_;
  FaultPlan plan_;
};

TEST_F(Interpose, CountsSteps) {
  const FaultOutcome outcome = run();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
  EXPECT_EQ(outcome.steps, kSteps);
  EXPECT_EQ(outcome.failable, 0U);
}

TEST_F(Interpose, CountsWritesWhereAsked) {
  plan_.count_writes = true;
  EXPECT_EQ(run().steps, kSteps + 1);
}

TEST_F(Interpose, CountsOnlyWhatIsUnderThePath) {
  std::string other = (std::filesystem::temp_directory_path() / "fugo-probe-XXXXXX").string();
  ASSERT_NE(::mkdtemp(other.data()), nullptr);
  plan_.under = other;
  EXPECT_EQ(run().steps, 0U);
  std::filesystem::remove(other);
}

TEST_F(Interpose, LeavesOutExceptions) {
  const auto site = directory_;
  std::filesystem::create_directory(site / "tokens");
  plan_.except = {site / "tokens"};
  const FaultOutcome outcome =
      run_with_faults({FUGO_PROBE, "all", (site / "tokens").string()}, plan_);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.steps, 0U);
}

TEST_F(Interpose, KillsBeforeAndAfterEachStep) {
  plan_.count_writes = true;
  for (std::uint64_t step = 1; step <= kSteps + 1; ++step) {
    for (const bool after : {false, true}) {
      plan_.kill_at = step;
      plan_.kill_after = after;
      const FaultOutcome outcome = run();
      EXPECT_EQ(outcome.signal, SIGKILL);
      EXPECT_EQ(outcome.steps, step);
      EXPECT_EQ(lines(outcome.output), step - 1);  // what the probe had said before
      if (step == 1) {
        EXPECT_EQ(std::filesystem::exists(directory_ / "d"), after);
      }
      if (step == 13) {
        EXPECT_EQ(std::filesystem::exists(directory_ / "d/h"), !after);
      }
    }
  }
  plan_.kill_at = kSteps + 2;
  EXPECT_EQ(run().exit_code, 0);
}

TEST_F(Interpose, FailsEachCallThatCan) {
  struct Case {
    int error;
    const char* name;
    std::uint64_t calls;
  };
  for (const Case& each :
       {Case{ENOSPC, "ENOSPC", 9}, Case{EIO, "EIO", 12}, Case{EROFS, "EROFS", 12}}) {
    plan_.fail_errno = each.error;
    plan_.fail_at = 0;
    EXPECT_EQ(run().failable, each.calls) << each.name;
    for (plan_.fail_at = 1; plan_.fail_at <= each.calls; ++plan_.fail_at) {
      const FaultOutcome outcome = run();
      EXPECT_EQ(outcome.exit_code, 1);
      EXPECT_EQ(outcome.failable, plan_.fail_at);
      EXPECT_NE(outcome.output.find(std::string(": ") + each.name), std::string::npos)
          << outcome.output;
    }
  }
}

TEST_F(Interpose, FailsOnceOrForEver) {
  plan_.fail_errno = ENOSPC;
  plan_.fail_at = 1;
  const std::vector<std::string> twice{
      "/bin/sh", "-c", "mkdir " + directory_.string() + "/a; mkdir " + directory_.string() + "/b"};
  const FaultOutcome once = run_with_faults(twice, plan_);
  EXPECT_EQ(once.exit_code, 0) << once.errors;
  EXPECT_FALSE(std::filesystem::exists(directory_ / "a"));
  EXPECT_TRUE(std::filesystem::exists(directory_ / "b"));
  plan_.fail_forever = true;
  std::filesystem::remove(directory_ / "b");
  const FaultOutcome forever = run_with_faults(twice, plan_);
  EXPECT_EQ(forever.exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "b"));
}

TEST_F(Interpose, SeesHowLmdbCommits) {
  plan_.log = directory_.string() + ".log";
  const FaultOutcome outcome = run("commit");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output << outcome.errors;
  std::ifstream file(plan_.log);
  const std::string log{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(plan_.log);
  EXPECT_EQ(lines(log), outcome.steps);
  EXPECT_NE(log.find("data.mdb"), std::string::npos) << log;
  EXPECT_NE(log.find("fdatasync"), std::string::npos) << log;
  plan_.log.clear();
  for (plan_.kill_at = 1; plan_.kill_at <= outcome.steps; ++plan_.kill_at)
    EXPECT_EQ(run("commit").signal, SIGKILL);
}

}  // namespace
}  // namespace fugo::testing
