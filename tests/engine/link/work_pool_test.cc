// WorkPool: who waits for a turn, in which order, and who gives up.
#include "engine/link/work_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

namespace fugo::engine {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kCapacity = 16;
constexpr milliseconds kLong{60'000};  // longer than any test

Result<WorkPool::Lease> take(WorkPool& pool, milliseconds most = kLong) {
  return pool.take(Patience(most));
}

TEST(WorkPool, LendsNoMoreThanItHasAndTakesThemBack) {
  WorkPool pool(kCapacity, 2);
  for (int round = 0; round < 3; ++round) {
    const auto one = take(pool, milliseconds(0)), two = take(pool, milliseconds(0));
    ASSERT_TRUE(one && two);
    const auto none = take(pool, milliseconds(1));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::kIo);
  }
}

// A holder that throws gives back too.
TEST(WorkPool, ALeaseGoesBackWhateverHappens) {
  WorkPool pool(kCapacity, 1);
  try {
    const auto lease = take(pool);
    throw 1;
  } catch (int) {
  }
  EXPECT_TRUE(take(pool, milliseconds(0)));
}

TEST(WorkPool, TurnsComeInTheOrderInWhichTheyWereAskedFor) {
  constexpr int kWaiting = 6;
  WorkPool pool(kCapacity, 1);
  std::optional first(take(pool));
  std::vector<int> order;  // guarded by the one lease
  std::vector<std::thread> threads;
  for (int i = 0; i < kWaiting; ++i) {
    threads.emplace_back([&, i] {
      const auto lease = take(pool);
      if (lease) order.push_back(i);
    });
    std::this_thread::sleep_for(milliseconds(50));  // long enough to be in the queue
  }
  first.reset();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

// Each wait for a turn takes many times as long as the patience: it goes on, so nobody gives up.
TEST(WorkPool, AQueueThatMovesIsWaitedFor) {
  constexpr unsigned kWaiting = 20;
  WorkPool pool(kCapacity, 1);
  std::atomic<unsigned> served{0};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kWaiting; ++i)
    threads.emplace_back([&] {
      const auto lease = take(pool, milliseconds(500));
      if (!lease) return;
      ++served;
      std::this_thread::sleep_for(milliseconds(60));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(served, kWaiting);
}

TEST(WorkPool, WhoGivesUpIsInNobodysWay) {
  WorkPool pool(kCapacity, 1);
  std::optional first(take(pool));
  std::thread patient([&] { EXPECT_TRUE(take(pool)); });
  std::thread in_between([&] { EXPECT_FALSE(take(pool, milliseconds(100))); });
  in_between.join();
  first.reset();
  patient.join();
  EXPECT_TRUE(take(pool, milliseconds(0)));
}

}  // namespace
}  // namespace fugo::engine
