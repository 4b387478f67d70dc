// KeepGoing: whether work is to be ended, asked from several threads.
#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "base/result.h"

namespace fugo::daemon {

// KeepGoing asks a function, one thread at a time; what made it say no once is said ever after.
class KeepGoing {
 public:
  // An empty function never ends anything.
  explicit KeepGoing(std::function<Status()> ask = {}) : ask_(std::move(ask)) {}

  [[nodiscard]] Status operator()() const {
    if (!ask_) return {};
    const std::lock_guard lock(mutex_);
    if (said_) said_ = ask_();
    return said_;
  }

 private:
  const std::function<Status()> ask_;
  mutable std::mutex mutex_;
  mutable Status said_;
};

}  // namespace fugo::daemon
