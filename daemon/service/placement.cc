#include "daemon/service/placement.h"

#include <array>
#include <cstddef>

namespace fugo::daemon {
namespace {

using keystore::JobState;

using enum Step;
using Row = std::array<Step, 4>;  // by Place

// By Situation. "Run" is the safe word: run_job compares the content with what the ledger knows,
// goes on where it stopped, and answers again what was answered.
constexpr std::array<Row, 11> kSteps = {{
    //           inbox  work     held     nowhere
    /* no job */ {kRun, kRun, kRun, kNothing},
    /* running */ {kRun, kRun, kRun, kWait},
    /* paused */ {kWait, kWait, kWait, kWait},
    /* cancelling */ {kGiveUp, kGiveUp, kGiveUp, kGiveUp},
    /* answering */ {kRun, kRun, kRun, kFinish},
    /* answered */ {kWait, kFinish, kFinish, kFinish},
    /* done */ {kRun, kRun, kRun, kNothing},
    /* refused */ {kRefuse, kRefuse, kRefuse, kNothing},
    /* held */ {kRun, kHold, kWait, kNothing},
    /* approved */ {kRun, kRun, kRun, kNothing},
    /* cancelled */ {kRefuse, kRefuse, kRefuse, kNothing},
}};

}  // namespace

Situation situation_of(const std::optional<keystore::JobRow>& job) {
  if (!job) return Situation::kNoJob;
  switch (job->state) {
    case JobState::kRunning:
      if (job->cancelled) return Situation::kCancelling;
      return job->paused ? Situation::kPaused : Situation::kRunning;
    case JobState::kAnswering:
      return job->paused ? Situation::kPaused : Situation::kAnswering;
    case JobState::kAnswered:
      return Situation::kAnswered;
    case JobState::kDone:
      return Situation::kDone;
    case JobState::kRefused:
      return Situation::kRefused;
    case JobState::kHeld:
      return job->approved_by.empty() || job->paused ? Situation::kHeld : Situation::kApproved;
    case JobState::kCancelled:
      return Situation::kCancelled;
  }
  return Situation::kNoJob;
}

Step step_for(Place place, Situation situation) {
  return kSteps[static_cast<std::size_t>(situation)][static_cast<std::size_t>(place)];
}

}  // namespace fugo::daemon
