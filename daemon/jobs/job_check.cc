// Job: a check tells what a request would find wrong, and applies nothing.
#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "daemon/jobs/job_base.h"
#include "daemon/jobs/job_control.h"

namespace fugo::daemon {

using keystore::JobState;

// The first rejects, for a check: line and reason, nothing of the row.
Status Job::show_rejects() {
  constexpr std::size_t kShown = 100;
  return survey_.rejects.for_each([&](const Reject& reject) -> Status {
    if (report_.first_rejects.size() < kShown)
      report_.first_rejects.emplace_back(reject.line, reject_reason_name(reject.reason));
    return {};
  });
}

// Whether a code is known is what a check answers: it is in the journal, and off the day's quota of
// checks, before the first code is put to the HSM.
Status Job::begin_check() {
  FUGO_TRY(look_at_orders(site_, job_));  // a freeze stops whatever asks the HSM about codes
  FUGO_ASSIGN(const auto update, site_.ledger().begin());
  const std::uint64_t rows = std::min(job_.rows, allowed_.rows);
  if (!known_) {  // else its content is known, and was looked up before
    FUGO_ASSIGN(const auto allowed, check_allowance(options_.quota, update->state(), unix_now()));
    if (std::min(job_.rows, allowed.rows) < rows)
      return fail(ErrorCode::kRefused, "another request took of the day's quota meanwhile",
                  options_.request.string(), "run it again");
    take_checked(update->state(), allowed.day, rows);
  }
  nlohmann::json details = {
      {"request", job_.id}, {"kind", job_kind_name(job_.kind)}, {"rows", job_.rows}};
  name_sender(details);
  FUGO_TRY(update->append_journal(options_.actor, "check.start", details.dump()));
  return update->commit();
}

Status Job::end_check() {
  job_.blocks = meter_.blocks();
  job_.row_quota = allowed_.rows;
  FUGO_ASSIGN(const std::size_t ways, ways_of(site_.ledger()));
  FUGO_ASSIGN(const auto update, site_.ledger().begin());
  keystore::add_growth({}, job_.blocks, update->state().blocks);
  nlohmann::json details = {{"request", job_.id}, {"rows_rejected", job_.count_rejected}};
  note_blocks(job_, ways, update->state(), details);
  FUGO_TRY(update->append_journal(options_.actor, "check.done", details.dump()));
  return update->commit();
}

Result<JobReport> Job::check() {
  std::error_code error;
  const auto temporary_directory = std::filesystem::temp_directory_path(error);
  if (error)
    return fail_errno("there is no directory for temporary files", "$TMPDIR or /tmp",
                      error.value());
  checking_ = true;
  FUGO_TRY(look(temporary_directory));
  describe();
  FUGO_TRY(begin_check());
  job_.segment_rows = options_.segment_rows;
  report_.repeated = known_ && known_->state != JobState::kHeld;
  report_.unfinished =
      known_ && (known_->state == JobState::kRunning || known_->state == JobState::kAnswering);
  const auto found = find_rejects([this](const Reject& reject) {
    ++of_ledger_;
    return survey_.rejects.add(reject);
  });
  if (!found) {
    (void)end_check();  // what was evaluated till then
    return tl::unexpected<Error>(found.error());
  }
  FUGO_TRY(show_rejects());
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  if (state.open_job != 0 && !(known_ && known_->number == state.open_job)) {
    FUGO_ASSIGN(const auto open, site_.ledger().job(state.open_job));
    report_.other_open = open.id;
  }
  job_.count_rejected = survey_.rejects.size();
  if (!report_.repeated)
    for (const Need& need : needs()) {
      report_.held = true;
      report_.hold_reason += (report_.hold_reason.empty() ? "" : ",") + std::string(need.reason);
    }
  FUGO_TRY(end_check());
  return report();
}

}  // namespace fugo::daemon
