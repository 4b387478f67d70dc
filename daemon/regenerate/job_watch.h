// Waiting for the open job, before a step of a regeneration that must not meet one.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

// JobWatch is asked again and again while a job is waited for, and gives up when that cannot end by
// itself: it is paused, or a merger of agencies, which waits for the run itself; or nobody has the
// ledger open for writing, or it has not moved for a long time. One wait; one thread.
class JobWatch {
 public:
  struct Options {
    std::filesystem::path ledger;  // its directory
    std::function<void()> wake;    // tells the daemon to look at the ledger; may be empty
    // is told that `job` is waited for; its error ends the wait. May be empty.
    std::function<Status(const keystore::JobRow& job)> tell;
    // gives up a job that an operator cancelled and nobody works on. May be empty.
    std::function<Status(keystore::JobRow job)> give_up = {};
  };
  explicit JobWatch(Options options) : options_(std::move(options)) {}

  // look is kRefused, saying what to do, when it is of no use to wait any longer.
  [[nodiscard]] Status look(const keystore::JobRow& job);

 private:
  using Clock = std::chrono::steady_clock;
  [[nodiscard]] bool somebody_writes();

  const Options options_;
  keystore::JobRow last_;
  Clock::time_point moved_, asked_;
};

}  // namespace fugo::daemon
