// Keeping calls of a module apart from its re-initialisation.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include "base/result.h"

namespace fugo::hsm {

// CallGate lets any number of users pass, or one at a time close it behind them. Both wait no
// longer than they say, since a call may hang for ever. Thread-safe. One thread holds one Pass at
// a time: with two it would wait for itself while somebody closes the gate.
class CallGate : public std::enable_shared_from_this<CallGate> {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Pass is the right to make calls, while it is alive.
  class Pass {
   public:
    Pass() = default;
    explicit Pass(std::shared_ptr<CallGate> gate) : gate_(std::move(gate)) {}
    ~Pass() { reset(); }
    Pass(Pass&& other) noexcept : gate_(std::move(other.gate_)) {}
    Pass& operator=(Pass&& other) noexcept {
      if (this != &other) {
        reset();
        gate_ = std::move(other.gate_);
      }
      return *this;
    }
    void reset() {
      if (auto gate = std::exchange(gate_, nullptr)) gate->leave();
    }

   private:
    std::shared_ptr<CallGate> gate_;
  };

  // enter waits while the gate is closed; kHsm after `limit`.
  [[nodiscard]] Result<Pass> enter(Milliseconds limit);
  // close lets nobody in any more and waits until all have left; kHsm, and open again, when some
  // are inside after `limit`. After success: open().
  [[nodiscard]] Status close(Milliseconds limit);
  void open();

 private:
  void leave();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t inside_ = 0;  // guarded by mutex_
  bool closed_ = false;     // guarded by mutex_
};

}  // namespace fugo::hsm
