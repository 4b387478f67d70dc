#include "daemon/service/breaker.h"

#include <gtest/gtest.h>

#include <set>

namespace fugo::daemon {
namespace {

using namespace std::chrono_literals;

TEST(Breaker, OpensForLongerAndLongerUpToItsBound) {
  Breaker breaker(100ms, 800ms, 7);
  Breaker::Clock::time_point now{};
  EXPECT_TRUE(breaker.may_try(now));
  for (const auto delay : {100ms, 200ms, 400ms, 800ms, 800ms, 800ms}) {
    breaker.failed(now);
    EXPECT_EQ(breaker.state(), BreakerState::kOpen);
    EXPECT_LE(breaker.next_try(), now + delay);
    EXPECT_GE(breaker.next_try(), now + delay / 2);
    EXPECT_FALSE(breaker.may_try(breaker.next_try() - 1ms));
    now = breaker.next_try();
    EXPECT_TRUE(breaker.may_try(now));
    EXPECT_EQ(breaker.state(), BreakerState::kHalfOpen);
  }
  for (int i = 0; i < 100; ++i) breaker.failed(now);  // no overflow
  EXPECT_LE(breaker.next_try(), now + 800ms);
}

TEST(Breaker, ASuccessClosesIt) {
  Breaker breaker(100ms, 800ms, 7);
  breaker.failed({});
  breaker.failed({});
  EXPECT_EQ(breaker.failures(), 2U);
  breaker.succeeded();
  EXPECT_EQ(breaker.state(), BreakerState::kClosed);
  EXPECT_TRUE(breaker.may_try({}));
  breaker.failed({});
  EXPECT_LE(breaker.next_try(), Breaker::Clock::time_point{} + 100ms);
}

TEST(Breaker, LatchedItStaysOpenUntilReset) {
  Breaker breaker(100ms, 800ms, 7);
  breaker.latch();
  EXPECT_FALSE(breaker.may_try(Breaker::Clock::time_point{} + 24h));
  EXPECT_EQ(breaker.state(), BreakerState::kOpen);
  breaker.succeeded();
  EXPECT_FALSE(breaker.may_try({}));
  breaker.reset();
  EXPECT_TRUE(breaker.may_try({}));
}

TEST(Breaker, TwoDaemonsDoNotComeBackTogether) {
  std::set<Breaker::Clock::duration> delays;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Breaker breaker(10s, 10s, seed);
    breaker.failed({});
    delays.insert(breaker.next_try().time_since_epoch());
  }
  EXPECT_GT(delays.size(), 15U);
}

}  // namespace
}  // namespace fugo::daemon
