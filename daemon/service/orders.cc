#include "daemon/service/orders.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "daemon/jobs/block_meter.h"
#include "daemon/utf8.h"

namespace fugo::daemon {
namespace {

using keystore::JobRow;
using keystore::JobState;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxReasonBytes = 256;
constexpr int kAttempts = 100;  // against other writers that commit in between

Status check_reason(const std::string& reason) {
  if (reason.size() <= kMaxReasonBytes && is_presentable(reason)) return {};
  return fail(ErrorCode::kUsage, "must be at most 256 bytes of UTF-8 without control characters",
              "--reason");
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

tl::unexpected<Error> wrong_state(const JobRow& job, const std::string& what,
                                  const std::string& hint) {
  return fail(ErrorCode::kRefused, "job " + job.id + " " + what, {}, hint);
}

bool unfinished(const JobRow& job) {
  return job.state == JobState::kRunning || job.state == JobState::kAnswering ||
         job.state == JobState::kHeld;
}

// Given is what comes with an order.
struct Given {
  const keystore::Ledger& ledger;
  const keystore::Actor& actor;
  const OrderPlace& place;
};

// details_of_hold finds what the journal says of the request that is held: the last time counts.
Result<Json> details_of_hold(const keystore::Ledger& ledger, const std::string& id) {
  constexpr std::uint64_t kPiece = 1000;
  FUGO_ASSIGN(const auto state, ledger.state());
  for (std::uint64_t end = state.journal_entries; end > 0;) {
    const std::uint64_t first = end - std::min(end, kPiece);
    FUGO_ASSIGN(const auto entries, ledger.journal(first, end - first));
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (!entry->act.ends_with(".held")) continue;
      auto details = Json::parse(entry->details, nullptr, /*allow_exceptions=*/false);
      if (details.is_object() && details.value("request", "") == id) return details;
    }
    end = first;
  }
  return Json::object();
}

// Two people see every request that is held: who dropped or signed it, and who approves it. Who
// logged in counts, and whom he acts as: "suzuki/fugo" is both.
Status check_another(const JobRow& job, const Given& given) {
  if (!given.place.by_another) return {};
  FUGO_ASSIGN(const auto details, details_of_hold(given.ledger, job.id));
  const std::string noted = details.value("dropped_by", "");
  if (noted.empty() && given.place.held_owner.empty())
    return wrong_state(job, "cannot be approved: nobody knows who dropped it",
                       "refuse it, and let it be dropped again under a new id");
  const std::string account = given.actor.account;
  const auto slash = account.find('/');
  for (const auto& mine : {account.substr(0, slash), account.substr(slash + 1)})
    for (const auto& theirs : {noted, given.place.held_owner, details.value("sender", "")})
      if (!theirs.empty() && mine == theirs)
        return wrong_state(job, "was dropped or signed by " + theirs + ", who must not approve it",
                           "custodians are configured: somebody else has to, from an own account");
  return {};
}

// Each applies an order to a row; false: nothing to change.
Result<bool> approve(JobRow& job, const Given& given) {
  if (job.state != JobState::kHeld)
    return wrong_state(job, "is not held", "fugo jobs list shows what is");
  if (!job.approved_by.empty()) return false;
  FUGO_TRY(check_another(job, given));
  job.approved_by = given.actor.operator_name;
  return true;
}

Result<bool> refuse(JobRow& job, const Given&) {
  if (job.state == JobState::kRefused) return false;
  if (job.state != JobState::kHeld)
    return wrong_state(job, "is not held", "what has begun can be given up with fugo jobs cancel");
  job.state = JobState::kRefused;
  return true;
}

Result<bool> pause(JobRow& job, const Given&) {
  if (!unfinished(job)) return wrong_state(job, "is over", "fugo jobs list shows what is not");
  return !std::exchange(job.paused, true);
}

Result<bool> resume(JobRow& job, const Given&) {
  if (!unfinished(job)) return wrong_state(job, "is over", "fugo jobs list shows what is not");
  return std::exchange(job.paused, false);
}

Result<bool> cancel(JobRow& job, const Given& given) {
  if (job.state == JobState::kCancelled) return false;
  if (job.state == JobState::kHeld) {
    job.state = JobState::kCancelled;
    return true;
  }
  if (job.state != JobState::kRunning)
    return wrong_state(job, "has been applied as a whole", "it cannot be given up any more");
  if (job.kind == keystore::JobKind::kChange && job.rows_done > 0 && given.place.has_request)
    return wrong_state(job, "has changed people already, and its request is there",
                       "let it come to its end (fugo jobs resume)");
  job.paused = false;  // or nobody would take the step at which it is given up
  return !std::exchange(job.cancelled, true);
}

struct OrderRow {
  Result<bool> (*apply)(JobRow&, const Given&);
  const char* act;
};
// By JobOrder.
constexpr std::array<OrderRow, 5> kOrders = {{{approve, "job.approve"},
                                              {refuse, "job.refuse"},
                                              {pause, "job.pause"},
                                              {resume, "job.resume"},
                                              {cancel, "job.cancel"}}};

// begin_unchanged begins a transaction in which nothing was committed since `commits`; nothing
// when something was.
Result<std::unique_ptr<keystore::Update>> begin_unchanged(keystore::Ledger& ledger,
                                                          std::uint64_t commits) {
  FUGO_ASSIGN(auto update, ledger.begin());
  if (update->state().commits != commits) update.reset();
  return update;
}

Result<bool> set_frozen(keystore::Ledger& ledger, Freezable what, const std::string& reason,
                        const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto update, ledger.begin());
  auto& state = update->state();
  auto& stands = what == Freezable::kIssue ? state.freeze_issue : state.freeze_link;
  if (stands == reason) return false;
  stands = reason;
  if (what == Freezable::kIssue) state.may_end = 0;
  const char* name = what == Freezable::kIssue ? "issue" : "link";
  Json details = {{"what", name}};
  if (!reason.empty()) details["reason"] = reason;
  FUGO_TRY(update->append_journal(actor, reason.empty() ? "thaw" : "freeze", dump(details)));
  FUGO_TRY(update->commit());
  return true;
}

}  // namespace

Result<bool> order_job(keystore::Ledger& ledger, const std::string& id, JobOrder order,
                       const std::string& reason, const keystore::Actor& actor,
                       const OrderPlace& place) {
  FUGO_TRY(check_reason(reason));
  const OrderRow& row = kOrders[static_cast<std::size_t>(order)];
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    FUGO_ASSIGN(const auto state, ledger.state());
    FUGO_ASSIGN(auto job, ledger.find_job(id));
    if (!job)
      return fail(ErrorCode::kRefused, "there is no job " + id, {},
                  "a file that still waits in the inbox can be taken out of it");
    const bool held = job->state == JobState::kHeld;
    FUGO_ASSIGN(const bool changes, row.apply(*job, {ledger, actor, place}));
    if (!changes) return false;
    // The row must be the latest, or progress that was committed meanwhile would be undone.
    FUGO_ASSIGN(const auto update, begin_unchanged(ledger, state.commits));
    if (!update) continue;
    FUGO_TRY(update->put_job(*job).map([](auto) {}));
    Json details = {{"request", id}};
    if (!job->hold_reason.empty()) details["held_for"] = job->hold_reason;
    if (!reason.empty()) details["reason"] = reason;
    // No other entry tells what was evaluated for a request that ends while it is held.
    if (held && job->state != JobState::kHeld) details["blocks"] = blocks_document(job->blocks);
    FUGO_TRY(update->append_journal(actor, row.act, dump(details)));
    FUGO_TRY(update->commit());
    return true;
  }
  return fail(ErrorCode::kRefused, "the ledger keeps being changed by others", {}, "try it again");
}

Result<bool> freeze(keystore::Ledger& ledger, Freezable what, const std::string& reason,
                    const keystore::Actor& actor) {
  FUGO_TRY(check_reason(reason));
  if (reason.empty()) return fail(ErrorCode::kUsage, "must not be empty", "--reason");
  return set_frozen(ledger, what, reason, actor);
}

Result<bool> thaw(keystore::Ledger& ledger, Freezable what, const keystore::Actor& actor) {
  return set_frozen(ledger, what, {}, actor);
}

}  // namespace fugo::daemon
