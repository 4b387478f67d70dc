#include "engine/regenerate/issuing_hold.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "keystore/clock.h"

namespace fugo::engine {
namespace {

using keystore::RunRow;
using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "regeneration";

std::string hold_reason(const RunRow& run, const std::string& step) {
  return "regeneration " + run.id + " is being " + step;
}

// Freezes issuing, unless it is frozen, and lets the open job go on; nothing when there is a job.
Result<std::optional<HeldIssuing>> try_hold(keystore::Ledger& ledger, const RunRow& run,
                                            const std::string& step, const keystore::Actor& actor) {
  FUGO_ASSIGN(auto update, ledger.begin());
  keystore::LedgerState& state = update->state();
  std::optional<HeldIssuing> held;
  if (state.open_job == 0)
    held = HeldIssuing{state.next_person, state.next_segment, state.deleted_people};
  if (!state.freeze_issue.empty() && state.may_end == state.open_job) return held;
  // What is held for, and the thaw after it, is refused by a clock that ran backwards; a freeze is
  // not.
  FUGO_TRY(keystore::check_clock(state.journal_time));
  if (state.freeze_issue.empty()) state.freeze_issue = hold_reason(run, step);
  state.may_end = state.open_job;
  Json details{{"what", "issue"}, {"reason", state.freeze_issue}};
  if (!held) {
    FUGO_ASSIGN(const auto job, ledger.job(state.open_job));
    details["may_end"] = job.id;
  }
  FUGO_TRY(update->append_journal(actor, "freeze", details.dump()));
  FUGO_TRY(update->commit());
  return held;
}

Status wait_for_job(const keystore::Ledger& ledger, const WatchJob& watch) {
  constexpr auto kLookAgain = std::chrono::milliseconds(100);
  for (;;) {
    FUGO_ASSIGN(const auto state, ledger.state());
    if (state.open_job == 0) return {};
    FUGO_ASSIGN(const auto job, ledger.job(state.open_job));
    FUGO_TRY(watch(job));
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace

Result<HeldIssuing> hold_issuing(keystore::Ledger& ledger, const RunRow& run,
                                 const std::string& step, const keystore::Actor& actor,
                                 const WatchJob& watch) {
  for (;;) {
    FUGO_ASSIGN(const auto held, try_hold(ledger, run, step, actor));
    if (held) return *held;
    FUGO_TRY(wait_for_job(ledger, watch));
  }
}

Status release_issuing(keystore::Ledger& ledger, const RunRow& run, const keystore::Actor& actor) {
  FUGO_ASSIGN(auto update, ledger.begin());
  const std::string before = update->state().freeze_issue;
  thaw_for(run, update->state());
  if (update->state().freeze_issue == before) return {};
  FUGO_TRY(update->append_journal(actor, "thaw", Json{{"what", "issue"}}.dump()));
  return update->commit();
}

void thaw_for(const RunRow& run, keystore::LedgerState& state) {
  if (!state.freeze_issue.starts_with("regeneration " + run.id + " is being ")) return;
  state.freeze_issue.clear();
  state.may_end = 0;
}

Status check_held(const keystore::LedgerState& state, const HeldIssuing& held) {
  if (state.open_job == 0 && state.next_person == held.next_person &&
      state.next_segment == held.next_segment && state.deleted_people == held.deleted_people)
    return {};
  return fail(ErrorCode::kStale, "the ledger was added to meanwhile", kWhere, "it is tried again");
}

}  // namespace fugo::engine
