// Job: what is held until somebody approves it, and what has to be known for that.
#include <algorithm>
#include <utility>

#include "daemon/jobs/job_base.h"
#include "daemon/roles.h"

namespace fugo::daemon {

using keystore::JobState;

// The least number of rejects that is more than the limit.
std::uint64_t Job::rejects_to_be_held() const {
  const std::uint64_t part = survey_.rows * options_.reject_limit_percent / 100;
  return std::max(options_.reject_limit_rows, part) + 1;
}

bool Job::too_many_rejects() const { return rejects_foreseen() >= rejects_to_be_held(); }

// A request is held before anything of it is applied, so what only the ledger can tell has to be
// found now: not where the rows cannot be enough, or those that the file tells are.
Status Job::foresee() {
  describe();
  const std::uint64_t limit = rejects_to_be_held();
  if (survey_.rows < limit || too_many_rejects()) return {};
  FUGO_ASSIGN(const bool worth_it, may_find_rejects(limit - rejects_of_file_));
  if (!worth_it) return {};
  FUGO_TRY(find_rejects([this](const Reject& reject) -> Status {
    ++of_ledger_;
    ++foreseen_[static_cast<std::size_t>(reject.reason)];
    return {};
  }));
  job_.count_existing = 0;  // a deletion counts here whom it would delete: nobody is yet
  looked_ = true;
  return {};
}

std::vector<Need> Job::needs() const {
  if (!too_many_rejects()) return {};
  return {{"rejects", options_.accept_rejects,
           std::to_string(rejects_foreseen()) + " of " + std::to_string(survey_.rows) +
               " rows would be rejected, which is more than the limit",
           "see fugo check, or run it again with --accept-rejects"}};
}

// False: the request waits for an approval now.
Result<bool> Job::approved() {
  const auto all = needs();
  std::string reasons;
  const Need* missing = nullptr;
  // What was approved was no more rejects than were foreseen then.
  const bool same = known_ && rejects_foreseen() <= known_->count_rejected;
  const std::string before =
      same && !known_->approved_by.empty() ? "," + known_->hold_reason + "," : "";
  for (const Need& need : all) {
    reasons += (reasons.empty() ? "" : ",") + std::string(need.reason);
    const bool given =
        need.given || before.find("," + std::string(need.reason) + ",") != std::string::npos;
    if (!given && missing == nullptr) missing = &need;
  }
  job_.hold_reason = reasons;
  if (missing == nullptr) return true;
  if (!options_.hold) {
    FUGO_TRY(note_look(reasons));
    return fail(ErrorCode::kRefused, missing->what, options_.request.string(), missing->hint);
  }
  FUGO_TRY(hold(reasons));
  return false;
}

// A refusal for what the ledger knows tells how many codes are known: it is in the journal, metered
// and off the day's quota before it is told.
Status Job::note_look(const std::string& reasons) {
  if (!looked_) return {};
  job_.blocks = meter_.blocks();
  job_.row_quota = allowed_.rows;
  FUGO_ASSIGN(const std::size_t ways, ways_of(site_.ledger()));
  FUGO_ASSIGN(const auto update, site_.ledger().begin());
  FUGO_TRY(take_quota(update->state()));
  keystore::add_growth(known_ ? known_->blocks : keystore::KeyBlocks(), job_.blocks,
                       update->state().blocks);
  nlohmann::json details = {{"request", job_.id},
                            {"rows", job_.rows},
                            {"rows_rejected", rejects_foreseen()},
                            {"reason", reasons}};
  name_sender(details);
  note_blocks(job_, ways, update->state(), details);
  // What was evaluated before is told by the entry that ends the request.
  keystore::KeyBlocks growth;
  keystore::add_growth(known_ ? known_->blocks : keystore::KeyBlocks(), job_.blocks, growth);
  details["blocks"] = blocks_document(growth);
  FUGO_TRY(update->append_journal(options_.actor, std::string(job_kind_name(job_.kind)) + ".look",
                                  details.dump()));
  return update->commit();
}

// Whoever dropped the file must not approve it where custodians are configured: its owner is noted,
// whom a rename does not change. That the name is still that of the file which was read is asked
// afterwards.
Status Job::name_dropper(nlohmann::json& details) const {
  if (!options_.own_request) return {};
  if (const auto dropper = account_of_file(options_.request)) details["dropped_by"] = *dropper;
  return request_->check_unchanged();
}

Status Job::hold(const std::string& reasons) {
  report_.held = true;
  report_.hold_reason = reasons;
  if (known_ && known_->hold_reason == reasons && known_->approved_by.empty()) return {};
  meter_.again(survey_.rows);  // all of it is looked at anew when it was approved
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  pin(state);
  job_.state = JobState::kHeld;
  job_.count_rejected = rejects_foreseen();
  FUGO_ASSIGN(const auto update, site_.ledger().begin());
  FUGO_TRY(take_quota(update->state()));
  job_.approved_by.clear();  // what was approved was less
  FUGO_ASSIGN(job_.number, update->put_job(job_));
  nlohmann::json details = {{"request", job_.id}, {"rows", job_.rows}, {"reason", reasons}};
  name_sender(details);
  FUGO_TRY(name_dropper(details));
  FUGO_TRY(update->append_journal(options_.actor, std::string(job_kind_name(job_.kind)) + ".held",
                                  details.dump()));
  return update->commit();
}

}  // namespace fugo::daemon
