#include "daemon/progress.h"

#include <gtest/gtest.h>

namespace fugo::daemon {
namespace {

TEST(Progress, NumbersAreGrouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(123456), "123,456");
  EXPECT_EQ(grouped(1234567890), "1,234,567,890");
}

TEST(Progress, ALineTellsPartRateAndRemainingTime) {
  EXPECT_EQ(progress_line("issuing", 0, 500, 1000, 10.0),
            "issuing [###############               ]  50 % 500/1,000 50/s 10 s left");
}

TEST(Progress, RateCountsFromWhereTheClockStarted) {
  EXPECT_EQ(progress_line("issuing", 400, 500, 1000, 1.0),
            "issuing [###############               ]  50 % 500/1,000 100/s 5 s left");
}

TEST(Progress, LongTimesAreMinutes) {
  EXPECT_NE(progress_line("x", 0, 1, 1001, 1.0).find("16 min 40 s left"), std::string::npos);
}

TEST(Progress, AnUnknownTotalGivesOnlyTheCount) {
  EXPECT_EQ(progress_line("reading", 0, 5000, 0, 1.0), "reading 5,000");
}

TEST(Progress, MoreThanAllIsAll) {
  EXPECT_EQ(progress_line("x", 0, 12, 10, 0), "x [##############################] 100 % 10/10");
}

}  // namespace
}  // namespace fugo::daemon
