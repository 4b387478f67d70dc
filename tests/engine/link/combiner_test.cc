// Combiner: who goes at once, who gathers, and what becomes of those who wait in vain.
#include "engine/link/combiner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace fugo::engine {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60'000};  // longer than any test
constexpr milliseconds kShort{20};

LinkAsk ask_for(std::uint64_t number) {
  LinkAsk ask;
  store_be(ask.symbol.bytes.data(), number);
  return ask;
}

// The work of these tests: the answer is the question, marked.
void echo(std::span<LinkAsk> asks) {
  for (LinkAsk& ask : asks) {
    ask.status = LinkStatus::kOk;
    ask.id = static_cast<keystore::PersonId>(load_be<std::uint64_t>(ask.symbol.bytes.data()));
    ask.linked = ask.symbol;
    ask.record = ask.symbol;
  }
}
bool echoed(const LinkAsk& ask, std::uint64_t number) {
  return ask.status == LinkStatus::kOk && ask.id == number && ask.linked == ask_for(number).symbol;
}
bool given_up(const LinkAsk& ask) {
  return ask.status == LinkStatus::kUnavailable && ask.id == keystore::kNoPerson &&
         ask.linked == Block{} && ask.record == Block{};
}

void run(Combiner& combiner, std::span<LinkAsk> asks, milliseconds most = kLong) {
  Patience patience(most);
  combiner.run(asks, patience);
}

// Gate holds those who come until it is opened.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_for(unsigned many) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return came_ >= many; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned came_ = 0;
  bool open_ = false;
};

// calls() counts a caller just before it is put into a batch; this is long enough for that.
void wait_for_calls(const Combiner& combiner, std::uint64_t calls) {
  while (combiner.calls() < calls) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(50));
}

TEST(Combiner, ASingleCallerGoesAtOnceAlone) {
  const auto caller = std::this_thread::get_id();
  bool own = true;
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        own = own && std::this_thread::get_id() == caller && asks.size() == 3;
        echo(asks);
      },
      1, 100, milliseconds(0));
  for (std::uint64_t i = 1; i <= 100; ++i) {
    std::vector<LinkAsk> asks = {ask_for(i), ask_for(i + 1), ask_for(i + 2)};
    run(combiner, asks, milliseconds(0));
    for (std::uint64_t item = 0; item < 3; ++item) ASSERT_TRUE(echoed(asks[item], i + item));
    ASSERT_EQ(combiner.calls(), i);
    ASSERT_EQ(combiner.runs(), i);
  }
  EXPECT_TRUE(own);
}

TEST(Combiner, ThreadsGetTheirOwnAnswers) {
  constexpr unsigned kThreads = 12, kSlots = 2;
  constexpr std::size_t kMost = 40;
  std::atomic<unsigned> running{0};
  std::atomic<bool> wrong{false};
  std::atomic<std::size_t> largest{0};
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        if (++running > kSlots || asks.size() > kMost) wrong = true;
        if (asks.size() > largest) largest = asks.size();
        std::this_thread::yield();
        echo(asks);
        --running;
      },
      kSlots, kMost, kLong);
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (std::uint64_t round = 0; round < 3000; ++round) {
        std::vector<LinkAsk> asks;
        for (std::uint64_t item = 0; item < 1 + (round + thread) % 9; ++item)
          asks.push_back(ask_for(thread << 20U | round << 4U | item));
        run(combiner, asks);
        for (std::uint64_t item = 0; item < asks.size(); ++item)
          if (!echoed(asks[item], thread << 20U | round << 4U | item)) wrong = true;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(combiner.calls(), kThreads * 3000U);
  EXPECT_LT(combiner.runs(), combiner.calls());  // some went together
  EXPECT_GT(largest, 9U);
}

TEST(Combiner, WhoComesMeanwhileGoesTogetherAndABatchClosesWhenItIsFull) {
  Gate gate;
  std::mutex mutex;
  std::vector<std::size_t> sizes;
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        {
          const std::lock_guard lock(mutex);
          sizes.push_back(asks.size());
          if (sizes.size() > 1) return echo(asks);
        }
        gate.pass();
        echo(asks);
      },
      1, 6, kLong);
  std::vector<std::vector<LinkAsk>> asks(8);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < asks.size(); ++i) {
    asks[i] = {ask_for(2 * i), ask_for(2 * i + 1)};
    threads.emplace_back([&, i] { run(combiner, asks[i]); });
    if (i == 0) gate.wait_for(1);
    wait_for_calls(combiner, i + 1);
  }
  gate.open();
  for (auto& thread : threads) thread.join();
  for (std::uint64_t i = 0; i < asks.size(); ++i) {
    EXPECT_TRUE(echoed(asks[i][0], 2 * i));
    EXPECT_TRUE(echoed(asks[i][1], 2 * i + 1));
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 6, 6, 2}));
  EXPECT_EQ(combiner.runs(), 4U);
}

TEST(Combiner, ABatchWhoseTurnNeverComesGivesUp) {
  Gate gate;
  std::atomic<unsigned> runs{0};
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        if (++runs == 1) gate.pass();
        echo(asks);
      },
      1, 100, kShort);
  std::vector<LinkAsk> first = {ask_for(1)};
  std::thread hanging([&] { run(combiner, first); });
  gate.wait_for(1);
  std::vector<std::vector<LinkAsk>> asks(6);
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < asks.size(); ++i) {
    asks[i] = {ask_for(i), ask_for(i)};
    // As if they had been answered before: nothing of that may stay.
    echo(asks[i]);
    threads.emplace_back([&, i] { run(combiner, asks[i], kShort); });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& pair : asks)
    for (const LinkAsk& ask : pair) EXPECT_TRUE(given_up(ask));
  EXPECT_EQ(runs, 1U);
  gate.open();
  hanging.join();
  EXPECT_TRUE(echoed(first[0], 1));
  // The slot is free again, and nobody waits for it.
  std::vector<LinkAsk> later = {ask_for(9)};
  run(combiner, later);
  EXPECT_TRUE(echoed(later[0], 9));
}

// A batch is in a call that hangs; its callers go, and what comes out of the call afterwards is not
// written where their answers were.
TEST(Combiner, WhoGaveUpIsNotWrittenTo) {
  Gate first, second;
  std::atomic<unsigned> runs{0};
  std::vector<LinkAsk> one = {ask_for(1)}, two = {ask_for(2)}, three = {ask_for(3)};
  {
    Combiner combiner(
        [&](std::span<LinkAsk> asks, Patience&) {
          const unsigned run = ++runs;
          if (run == 1) first.pass();
          if (run == 2) second.pass();
          echo(asks);
        },
        1, 100, milliseconds(400));
    std::thread running([&] { run(combiner, one); });
    first.wait_for(1);
    std::thread waiting([&] { run(combiner, two, milliseconds(400)); });
    wait_for_calls(combiner, 2);
    std::thread with_it([&] { run(combiner, three, milliseconds(400)); });
    wait_for_calls(combiner, 3);
    first.open();
    running.join();
    second.wait_for(1);  // both are in the second run
    waiting.join();
    with_it.join();
    EXPECT_TRUE(given_up(two[0]));
    EXPECT_TRUE(given_up(three[0]));
    second.open();
  }
  EXPECT_EQ(runs, 2U);
  EXPECT_TRUE(echoed(one[0], 1));
  EXPECT_TRUE(given_up(two[0]));
  EXPECT_TRUE(given_up(three[0]));
}

// Callers who give up at any moment, beside others who come and go: nobody is written to after its
// call (which AddressSanitizer sees), and every answer is the caller's own or none.
TEST(Combiner, GivingUpIsSafeAtAnyMoment) {
  std::atomic<std::uint64_t> runs{0}, answered{0};
  std::atomic<bool> wrong{false};
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        if (++runs % 3 == 0) std::this_thread::sleep_for(milliseconds(5));
        echo(asks);
      },
      1, 16, milliseconds(1));
  std::vector<std::thread> threads;
  for (std::uint64_t thread = 0; thread < 10; ++thread)
    threads.emplace_back([&, thread] {
      for (std::uint64_t round = 0; round < 300; ++round) {
        const std::uint64_t number = thread << 20U | round;
        std::vector<LinkAsk> asks = {ask_for(number), ask_for(number)};
        run(combiner, asks, milliseconds(1));
        for (const LinkAsk& ask : asks) {
          if (!given_up(ask) && !echoed(ask, number)) wrong = true;
          if (echoed(ask, number)) ++answered;
        }
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_GT(answered, 0U);
  EXPECT_LT(answered, 2U * 10 * 300);  // and some did give up
}

// What has its answer already keeps it: it took nothing of a quota, and gives nothing back.
TEST(Combiner, GivingUpLeavesAloneWhatWasSettledBefore) {
  Gate gate;
  Combiner combiner([&](std::span<LinkAsk> asks, Patience&) { gate.pass(), echo(asks); }, 1, 100,
                    kShort);
  std::vector<LinkAsk> first = {ask_for(1)};
  std::thread hanging([&] { run(combiner, first); });
  gate.wait_for(1);
  std::vector<LinkAsk> asks(3, ask_for(2));
  asks[0].status = LinkStatus::kBadSymbol;
  asks[1].status = LinkStatus::kQuotaExceeded;
  run(combiner, asks, kShort);
  EXPECT_EQ(asks[0].status, LinkStatus::kBadSymbol);
  EXPECT_EQ(asks[1].status, LinkStatus::kQuotaExceeded);
  EXPECT_TRUE(given_up(asks[2]));
  gate.open();
  hanging.join();
}

TEST(Combiner, WhatItsWorkThrowsEndsThoseAsksAlone) {
  Gate gate;
  std::atomic<unsigned> runs{0};
  Combiner combiner(
      [&](std::span<LinkAsk> asks, Patience&) {
        const unsigned run = ++runs;
        if (run == 2) gate.pass();
        if (run <= 3) throw std::bad_alloc();
        echo(asks);
      },
      1, 2, kLong);
  std::vector<LinkAsk> first = {ask_for(1)}, second = {ask_for(2)};
  EXPECT_THROW(run(combiner, first), std::bad_alloc);
  std::thread hanging([&] { EXPECT_THROW(run(combiner, second), std::bad_alloc); });
  gate.wait_for(1);
  std::vector<std::vector<LinkAsk>> asks(4);  // two batches: one throws
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < asks.size(); ++i) {
    asks[i] = {ask_for(i)};
    threads.emplace_back([&, i] { run(combiner, asks[i]); });
    wait_for_calls(combiner, i + 3);
  }
  gate.open();
  hanging.join();
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(given_up(asks[0][0]) && given_up(asks[1][0]));
  EXPECT_TRUE(echoed(asks[2][0], 2) && echoed(asks[3][0], 3));
  // The slot is free: nobody has to wait.
  run(combiner, first, milliseconds(0));
  EXPECT_TRUE(echoed(first[0], 1));
}

}  // namespace
}  // namespace fugo::engine
