// The states of regenerations and of symbol versions: which steps they may take.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

constexpr std::array kRunStates = {RunState::kPlanning, RunState::kPlanned,   RunState::kRunning,
                                   RunState::kReady,    RunState::kCommitted, RunState::kFinished,
                                   RunState::kAborted};
constexpr std::array kGenerationStates = {GenerationState::kPending, GenerationState::kActive,
                                          GenerationState::kAccepting, GenerationState::kRetired};

// The way of a run to its end; an abort ends it from each state before the commit.
const std::vector<RunState> kWay = {RunState::kPlanning, RunState::kPlanned,   RunState::kRunning,
                                    RunState::kReady,    RunState::kCommitted, RunState::kFinished};

bool run_may(RunState from, RunState to) {
  if (from == to) return true;
  if (to == RunState::kAborted)
    return std::find(kWay.begin(), kWay.begin() + 4, from) != kWay.begin() + 4;
  const auto at = std::find(kWay.begin(), kWay.end(), from);
  return at != kWay.end() && at + 1 != kWay.end() && *(at + 1) == to;
}

const std::set<std::pair<GenerationState, GenerationState>> kAllowed = {
    {GenerationState::kPending, GenerationState::kActive},
    {GenerationState::kPending, GenerationState::kRetired},
    {GenerationState::kActive, GenerationState::kAccepting},
    {GenerationState::kActive, GenerationState::kRetired},
    {GenerationState::kAccepting, GenerationState::kRetired},
};

class RunStates : public testing::Test {
 protected:
  RunStates() {
    EXPECT_TRUE(place_.create());
    auto opened = place_.open(Access::kAppend);
    EXPECT_TRUE(opened);
    ledger_ = std::move(*opened);
  }

  [[nodiscard]] Result<RunRow> put(const RunRow& row) const {
    FUGO_ASSIGN(const auto update, ledger_->begin());
    FUGO_ASSIGN(auto put, update->put_run(row));
    FUGO_TRY(update->commit());
    return put;
  }
  [[nodiscard]] RunRow must(const RunRow& row) const {
    const auto done = put(row);
    EXPECT_TRUE(done) << done.error().message();
    return done.value_or(row);
  }
  [[nodiscard]] Status put(const GenerationRow& row) const {
    FUGO_ASSIGN(const auto update, ledger_->begin());
    FUGO_TRY(update->put_generation(row));
    return update->commit();
  }

  // A new run that has come to a state by its way.
  [[nodiscard]] RunRow run_in(RunState state) const {
    RunRow run;
    run.what = kRunAgency;
    run.to = 2;
    run.state = RunState::kPlanning;
    run = must(run);
    if (state == RunState::kAborted) {
      run.state = state;
      return must(run);
    }
    for (const RunState next : kWay) {
      run.state = next;
      run = must(run);
      if (next == state) break;
    }
    return run;
  }
  // Ends what is open, so that another run can begin.
  void end_open() const {
    const auto state = *ledger_->state();
    if (state.open_run == 0) return;
    auto run = ledger_->runs()->back();
    run.state = run.state == RunState::kCommitted ? RunState::kFinished : RunState::kAborted;
    ASSERT_OK(put(run));
  }

  LedgerPlace place_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(RunStates, ARunTakesTheStepsOfItsWayAndNoOther) {
  for (const RunState from : kRunStates)
    for (const RunState to : kRunStates) {
      const RunRow before = run_in(from);
      RunRow after = before;
      after.state = to;
      after.people_made = 7;
      const auto done = put(after);
      SCOPED_TRACE(std::to_string(static_cast<int>(from)) + " to " +
                   std::to_string(static_cast<int>(to)));
      ASSERT_EQ(done.has_value(), run_may(from, to));
      const auto runs = *ledger_->runs();
      EXPECT_EQ(runs.back(), done ? after : before);
      if (!done) {
        EXPECT_EQ(done.error().code, ErrorCode::kRefused);
        EXPECT_NE(done.error().message().find(before.id), std::string::npos);
      }
      end_open();
    }
}

TEST_F(RunStates, ARunThatIsNotThereIsAMistake) {
  RunRow run;
  run.what = kRunAgency;
  run.to = 2;
  run.number = 3;
  run.id = "R+0003";
  EXPECT_EQ(put(run).error().code, ErrorCode::kInternal);
}

TEST_F(RunStates, ASecondUnfinishedRunIsRefusedWithTheNameOfTheFirst) {
  const RunRow first = run_in(RunState::kReady);
  RunRow other;
  other.what = kRunAgency;
  other.to = 2;
  const auto second = put(other);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
  EXPECT_NE(second.error().message().find(first.id + " is unfinished"), std::string::npos);
}

TEST_F(RunStates, ASymbolVersionTakesTheStepsThatAreWrittenDownAndNoOther) {
  Generation number = 1;
  for (const GenerationState from : kGenerationStates)
    for (const GenerationState to : kGenerationStates) {
      GenerationRow row;
      row.number = row.linkage_generation = ++number;
      row.state = from;
      ASSERT_OK(put(row));
      row.state = to;
      const bool allowed = from == to || kAllowed.contains({from, to});
      SCOPED_TRACE(std::to_string(static_cast<int>(from)) + " to " +
                   std::to_string(static_cast<int>(to)));
      const auto done = put(row);
      ASSERT_EQ(done.has_value(), allowed);
      EXPECT_EQ(ledger_->generations()->back().state, allowed ? to : from);
      if (!done) {
        EXPECT_EQ(done.error().code, ErrorCode::kRefused);
      }
    }
}

TEST_F(RunStates, FilesOfAVersionInUseCannotBeDropped) {
  GenerationRow second;
  second.number = 2;  // with the first one's linkage symbols
  second.state = GenerationState::kPending;
  ASSERT_OK(put(second));
  const auto erase = [&](Generation generation) {
    auto update = *ledger_->begin();
    return update->erase_files(generation);
  };
  EXPECT_EQ(erase(1).error().code, ErrorCode::kRefused);
  EXPECT_TRUE(erase(2));
  GenerationRow first;
  first.state = GenerationState::kRetired;
  ASSERT_OK(put(first));
  EXPECT_TRUE(erase(1));
  second.state = GenerationState::kActive;
  ASSERT_OK(put(second));
  EXPECT_EQ(erase(1).error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::keystore
