// kill -9 at random moments over batches of all kinds.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/daemon/service/torture.h"

namespace fugo::test {
namespace {

TEST(Kills, NothingIsLostAndNothingHappensTwice) {
  TortureOptions options;
  options.kills = 50;
  const auto report = torture(options);
  std::cout << report.text(options);
  EXPECT_EQ(report.fault, "");
  EXPECT_EQ(report.kills, options.kills);
}

}  // namespace
}  // namespace fugo::test
