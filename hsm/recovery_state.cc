#include "hsm/recovery_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "hsm/ck_names.h"

namespace fugo::hsm {
namespace {

RecoveryState::Milliseconds until(RecoveryState::Clock::time_point moment) {
  const auto left =
      std::chrono::ceil<RecoveryState::Milliseconds>(moment - RecoveryState::Clock::now());
  return std::max(left, RecoveryState::Milliseconds{0});
}

}  // namespace

Status RecoveryState::check_due() const {
  const std::lock_guard lock(mutex_);
  const Milliseconds left = until(next_);
  if (pause_.count() == 0 || left.count() == 0) return {};
  Error error = last_;
  error.hint += fmt::format("{}fugo tries again by itself, in {} ms at the earliest",
                            error.hint.empty() ? "" : "; ", left.count());
  return tl::unexpected<Error>(std::move(error));
}

void RecoveryState::begin() {
  const std::lock_guard lock(mutex_);
  trying_ = true;
  began_ = Clock::now();
  ++tried_;
}

void RecoveryState::end_well() {
  const std::lock_guard lock(mutex_);
  trying_ = false;
  ++succeeded_;
  usable_.store(true, std::memory_order_release);
}

void RecoveryState::end_badly(const Error& why, bool usable) {
  const std::lock_guard lock(mutex_);
  trying_ = false;
  last_ = why;
  pause_ = std::clamp(2 * pause_, first_pause_, longest_pause_);
  next_ = Clock::now() + pause_;
  usable_.store(usable, std::memory_order_release);
  failing_.store(true, std::memory_order_release);
}

void RecoveryState::act_succeeded() {
  if (!failing_.load(std::memory_order_acquire)) [[likely]]
    return;
  const std::lock_guard lock(mutex_);
  if (until(next_).count() != 0) return;
  pause_ = Milliseconds{0};
  failing_.store(false, std::memory_order_release);
}

RecoveryState::Milliseconds RecoveryState::in_attempt() const {
  const std::lock_guard lock(mutex_);
  if (!trying_) return Milliseconds{0};
  return std::chrono::duration_cast<Milliseconds>(Clock::now() - began_);
}

void RecoveryState::add_to(Health& health) const {
  const std::lock_guard lock(mutex_);
  health.recoveries_tried = tried_;
  health.recoveries_succeeded = succeeded_;
  if (pause_.count() != 0) {
    health.state = refuses_pin(last_.native) ? TokenState::kLatched : TokenState::kFailed;
    health.last_error = last_.message();
    health.next_try = until(next_);
  }
  if (trying_) health.state = TokenState::kRecovering;
}

}  // namespace fugo::hsm
