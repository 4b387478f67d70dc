// Patience: how much longer a call may wait for others.
#pragma once

#include <algorithm>
#include <chrono>

namespace fugo::engine {

// Patience is what is left of the time that a call, or a piece of a large one, may wait for other
// calls, all its waits together. Work of its own takes nothing of it. One thread at a time.
class Patience {
 public:
  using Duration = std::chrono::nanoseconds;
  explicit Patience(Duration most) : left_(most) {}

  [[nodiscard]] Duration left() const { return left_; }
  // wait runs `waiting`, which is told how long it may take, and gives what that gives.
  template <typename Waiting>
  auto wait(const Waiting& waiting) {
    const auto began = std::chrono::steady_clock::now();
    auto ended = waiting(left_);
    left_ -= std::min<Duration>(left_, std::chrono::steady_clock::now() - began);
    return ended;
  }

 private:
  Duration left_;
};

}  // namespace fugo::engine
