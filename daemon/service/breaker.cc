#include "daemon/service/breaker.h"

#include <algorithm>

namespace fugo::daemon {

bool Breaker::may_try(Clock::time_point now) {
  if (latched_) return false;
  if (state_ == BreakerState::kOpen && now >= next_try_) state_ = BreakerState::kHalfOpen;
  return state_ != BreakerState::kOpen;
}

void Breaker::failed(Clock::time_point now) {
  constexpr unsigned kMostDoublings = 20;  // beyond every setting, and far from an overflow
  const auto doubled = first_ * (std::int64_t{1} << std::min(failures_, kMostDoublings));
  const auto delay = std::min<std::chrono::milliseconds>(doubled, most_);
  std::uniform_int_distribution<std::int64_t> part(0, delay.count() / 2);
  next_try_ = now + delay - std::chrono::milliseconds(part(random_));
  ++failures_;
  state_ = BreakerState::kOpen;
}

void Breaker::succeeded() {
  state_ = BreakerState::kClosed;
  failures_ = 0;
}

void Breaker::reset() {
  succeeded();
  latched_ = false;
}

}  // namespace fugo::daemon
