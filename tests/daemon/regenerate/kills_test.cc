// kill -9 at random durable steps of the commands of a run.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/daemon/regenerate/run_torture.h"

namespace fugo::test {
namespace {

TEST(RunKills, NothingIsLostAndNothingHappensTwice) {
  RunTortureOptions options;
  options.kills = 24;
  options.cases = 4;
  const auto report = torture_runs(options);
  std::cout << report.text(options);
  EXPECT_EQ(report.fault, "");
  EXPECT_EQ(report.kills, options.kills);
}

}  // namespace
}  // namespace fugo::test
