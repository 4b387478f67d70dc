// What is to be done with a request file, by where it lies and what the ledger says of its job.
// The table is told in docs/exactly-once.md.
#pragma once

#include <cstdint>
#include <optional>

#include "keystore/types.h"

namespace fugo::daemon {

// Place is the folder in which a request file lies.
enum class Place : std::uint8_t { kInbox = 0, kWork = 1, kHeld = 2, kNowhere = 3 };

// Situation is a job's row as far as it matters here: its state, and what the commands ordered.
enum class Situation : std::uint8_t {
  kNoJob = 0,
  kRunning = 1,
  kPaused = 2,      // running or answering, and paused
  kCancelling = 3,  // running, and to be given up
  kAnswering = 4,
  kAnswered = 5,
  kDone = 6,
  kRefused = 7,
  kHeld = 8,  // not approved, or approved and paused
  kApproved = 9,
  kCancelled = 10,
};
[[nodiscard]] Situation situation_of(const std::optional<keystore::JobRow>& job);

// Step is what the daemon does.
enum class Step : std::uint8_t {
  kNothing,
  kWait,    // somebody or something else has to act first
  kRun,     // into work/, and run the job
  kHold,    // into held/
  kFinish,  // destroy the request, then state done
  kGiveUp,  // state cancelled; the file, if there is one, is refused next
  kRefuse,  // a reason into refused/, destroy the request
};

// step_for is the table.
[[nodiscard]] Step step_for(Place place, Situation situation);

}  // namespace fugo::daemon
