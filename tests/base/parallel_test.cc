#include "base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace fugo {
namespace {

TEST(ParallelRanges, EveryItemOnce) {
  std::vector<std::atomic<int>> seen(10007);
  const auto done = parallel_ranges(
      seen.size(), 64, 4, [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
        EXPECT_LT(worker, 4U);
        for (std::size_t i = first; i < last; ++i) ++seen[i];
        return {};
      });
  ASSERT_TRUE(done);
  for (const auto& count : seen) ASSERT_EQ(count, 1);
}

TEST(ParallelRanges, FirstErrorIsReturnedAndStopsTheRest) {
  std::atomic<int> calls{0};
  const auto done =
      parallel_ranges(1000, 1, 2, [&](std::size_t first, std::size_t, std::size_t) -> Status {
        ++calls;
        if (first == 3) return fail(ErrorCode::kIo, "broken");
        return {};
      });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "broken");
  EXPECT_LT(calls, 1000);
}

TEST(ParallelRanges, NothingToDo) {
  EXPECT_TRUE(parallel_ranges(0, 1, 2, [](auto, auto, auto) -> Status { return {}; }));
}

}  // namespace
}  // namespace fugo
