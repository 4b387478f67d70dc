// Whether a token is usable, and when it may be brought back: one attempt at a time, fewer and
// fewer while they fail.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

#include "base/result.h"
#include "hsm/health.h"

namespace fugo::hsm {

// RecoveryState remembers how recoveries ended. Thread-safe.
class RecoveryState {
 public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  RecoveryState(Milliseconds first_pause, Milliseconds longest_pause)
      : first_pause_(first_pause), longest_pause_(longest_pause) {}

  // usable tells whether calls make sense without a recovery.
  [[nodiscard]] bool usable() const { return usable_.load(std::memory_order_acquire); }
  // check_due is the last failure, as an error, while the next attempt is not due.
  [[nodiscard]] Status check_due() const;

  void begin();
  void end_well();
  // end_badly makes the pause until the next attempt longer. `usable`: the token itself came back,
  // but what was tried with it failed again.
  void end_badly(const Error& why, bool usable);
  // act_succeeded ends the pause when an act went well by itself after it.
  void act_succeeded();

  // in_attempt is how long the attempt has been going on; 0 when there is none.
  [[nodiscard]] Milliseconds in_attempt() const;
  void add_to(Health& health) const;

 private:
  const Milliseconds first_pause_;
  const Milliseconds longest_pause_;

  std::atomic<bool> usable_{true};
  std::atomic<bool> failing_{false};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  bool trying_ = false;
  Clock::time_point began_;
  Clock::time_point next_;  // no attempt before this
  Milliseconds pause_{0};   // of the last failure; 0: there was none
  Error last_;
  std::uint64_t tried_ = 0;
  std::uint64_t succeeded_ = 0;
};

}  // namespace fugo::hsm
