#include "base/parallel.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <stdexcept>
#include <system_error>
#include <thread>
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

// On any thread, beside others that are at work.
TEST(ParallelRanges, WhatATaskThrowsIsAnError) {
  for (const std::size_t thrower : {0U, 1U, 2U}) {
    std::atomic<std::size_t> ready{0};
    const auto done =
        parallel_ranges(1000, 1, 3, [&](std::size_t, std::size_t, std::size_t worker) -> Status {
          for (++ready; ready < 3;) std::this_thread::yield();
          if (worker == thrower) throw std::runtime_error("of a library below");
          return {};
        });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kInternal);
  }
  const auto done =
      parallel_ranges(10, 1, 3, [](auto, auto, auto) -> Status { throw std::bad_alloc(); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kIo);
}

// No stack of this size can be had, so no thread can be made: as at a limit of processes.
TEST(ParallelRanges, WithoutThreadsTheCallingOneDoesAll) {
  pthread_attr_t normal, impossible;
  ASSERT_EQ(::pthread_getattr_default_np(&normal), 0);
  ASSERT_EQ(::pthread_attr_init(&impossible), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&impossible, std::size_t{1} << 52U), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&impossible), 0);
  EXPECT_THROW(std::thread([] {}), std::system_error);
  std::vector<int> seen(1000);
  const auto done = parallel_ranges(
      seen.size(), 7, 4, [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
        EXPECT_EQ(worker, 0U);
        for (std::size_t i = first; i < last; ++i) ++seen[i];
        return {};
      });
  ::pthread_setattr_default_np(&normal);
  EXPECT_TRUE(done);
  for (const int count : seen) ASSERT_EQ(count, 1);
}

TEST(ParallelRanges, NothingToDo) {
  EXPECT_TRUE(parallel_ranges(0, 1, 2, [](auto, auto, auto) -> Status { return {}; }));
}

}  // namespace
}  // namespace fugo
