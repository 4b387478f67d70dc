// When to try again what failed: longer and longer, never all at once, and not at all after a
// wrong PIN.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "daemon/seeing/service_status.h"

namespace fugo::daemon {

// Breaker is closed while all is well. A failure opens it for a delay that doubles with each
// further failure, from `first` up to `most`, less a random part of up to a half, so that many
// daemons do not come back to one device at one time. After the delay it is half open: one try is
// made, whose success closes it. Latched, it stays open until reset. One thread.
class Breaker {
 public:
  using Clock = std::chrono::steady_clock;
  Breaker(std::chrono::milliseconds first, std::chrono::milliseconds most, std::uint64_t seed)
      : first_(first), most_(most), random_(seed) {}

  // may_try tells whether work may be tried at `now`; a delay that is over makes it half open.
  [[nodiscard]] bool may_try(Clock::time_point now);
  void failed(Clock::time_point now);
  void succeeded();
  void latch() { latched_ = true; }
  void reset();

  [[nodiscard]] BreakerState state() const { return latched_ ? BreakerState::kOpen : state_; }
  [[nodiscard]] bool latched() const { return latched_; }
  [[nodiscard]] Clock::time_point next_try() const { return next_try_; }
  [[nodiscard]] unsigned failures() const { return failures_; }  // since it was last closed

 private:
  const std::chrono::milliseconds first_, most_;
  std::mt19937_64 random_;
  BreakerState state_ = BreakerState::kClosed;
  bool latched_ = false;
  unsigned failures_ = 0;
  Clock::time_point next_try_;
};

}  // namespace fugo::daemon
