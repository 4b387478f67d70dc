// Every cell of the table: where a file lies, and what the ledger says of its job.
#include "daemon/service/placement.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace fugo::daemon {
namespace {

using keystore::JobRow;
using keystore::JobState;

JobRow row(JobState state, bool paused = false, bool cancelled = false,
           const std::string& approved_by = {}) {
  JobRow job;
  job.state = state;
  job.paused = paused;
  job.cancelled = cancelled;
  job.approved_by = approved_by;
  return job;
}

TEST(Placement, SituationsOfAllRows) {
  EXPECT_EQ(situation_of(std::nullopt), Situation::kNoJob);
  EXPECT_EQ(situation_of(row(JobState::kRunning)), Situation::kRunning);
  EXPECT_EQ(situation_of(row(JobState::kRunning, true)), Situation::kPaused);
  EXPECT_EQ(situation_of(row(JobState::kRunning, false, true)), Situation::kCancelling);
  EXPECT_EQ(situation_of(row(JobState::kRunning, true, true)), Situation::kCancelling);
  EXPECT_EQ(situation_of(row(JobState::kAnswering)), Situation::kAnswering);
  EXPECT_EQ(situation_of(row(JobState::kAnswering, true)), Situation::kPaused);
  EXPECT_EQ(situation_of(row(JobState::kAnswered)), Situation::kAnswered);
  EXPECT_EQ(situation_of(row(JobState::kAnswered, true)), Situation::kAnswered);
  EXPECT_EQ(situation_of(row(JobState::kDone)), Situation::kDone);
  EXPECT_EQ(situation_of(row(JobState::kRefused)), Situation::kRefused);
  EXPECT_EQ(situation_of(row(JobState::kHeld)), Situation::kHeld);
  EXPECT_EQ(situation_of(row(JobState::kHeld, true, false, "chief")), Situation::kHeld);
  EXPECT_EQ(situation_of(row(JobState::kHeld, false, false, "chief")), Situation::kApproved);
  EXPECT_EQ(situation_of(row(JobState::kCancelled)), Situation::kCancelled);
}

TEST(Placement, EveryCell) {
  using enum Step;
  struct Expected {
    Situation situation;
    Step inbox, work, held, nowhere;
  };
  const std::vector<Expected> table = {
      {Situation::kNoJob, kRun, kRun, kRun, kNothing},
      {Situation::kRunning, kRun, kRun, kRun, kWait},
      {Situation::kPaused, kWait, kWait, kWait, kWait},
      {Situation::kCancelling, kGiveUp, kGiveUp, kGiveUp, kGiveUp},
      {Situation::kAnswering, kRun, kRun, kRun, kFinish},
      {Situation::kAnswered, kWait, kFinish, kFinish, kFinish},
      {Situation::kDone, kRun, kRun, kRun, kNothing},
      {Situation::kRefused, kRefuse, kRefuse, kRefuse, kNothing},
      {Situation::kHeld, kRun, kHold, kWait, kNothing},
      {Situation::kApproved, kRun, kRun, kRun, kNothing},
      {Situation::kCancelled, kRefuse, kRefuse, kRefuse, kNothing},
  };
  ASSERT_EQ(table.size(), static_cast<std::size_t>(Situation::kCancelled) + 1);
  for (const Expected& row : table) {
    const auto number = static_cast<int>(row.situation);
    EXPECT_EQ(step_for(Place::kInbox, row.situation), row.inbox) << number;
    EXPECT_EQ(step_for(Place::kWork, row.situation), row.work) << number;
    EXPECT_EQ(step_for(Place::kHeld, row.situation), row.held) << number;
    EXPECT_EQ(step_for(Place::kNowhere, row.situation), row.nowhere) << number;
  }
}

}  // namespace
}  // namespace fugo::daemon
