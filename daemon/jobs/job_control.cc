#include "daemon/jobs/job_control.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "daemon/command/names.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/jobs/merge_job.h"

namespace fugo::daemon {
namespace {

using keystore::JobRow;
using keystore::JobState;

tl::unexpected<Error> stopped(JobStop stop, std::string what, std::string hint) {
  return fail(ErrorCode::kRefused, std::move(what), "ledger", std::move(hint),
              static_cast<std::uint64_t>(stop));
}

// Counts only: the journal does not say who.
nlohmann::json counts_of(const JobRow& job) {
  nlohmann::json counts = {
      {"request", job.id}, {"rows", job.rows}, {"rejected", job.count_rejected}};
  switch (job.kind) {
    case keystore::JobKind::kChange:
      counts.update({{"changed", job.people_new}, {"joined", job.count_existing}});
      break;
    case keystore::JobKind::kDelete:
      counts.update({{"deleted", job.count_existing}});
      break;
    case keystore::JobKind::kMerge: {
      JobReport report;
      fill_report(job, report);
      counts = {{"request", job.id},
                {"rows", job.rows},
                {"new", report.count_new},
                {"existing", report.count_existing},
                {"superseded", report.count_superseded}};
      break;
    }
    case keystore::JobKind::kIssue:
      counts.update({{"new", job.count_new},
                     {"existing", job.count_existing},
                     {"people_new", job.people_new}});
  }
  return counts;
}

void take_orders(const JobRow& stored, JobRow& job) {
  job.paused = stored.paused;
  job.cancelled = stored.cancelled;
  job.approved_by = stored.approved_by;
}

Status finish_merges(engine::Site& site, const JobRow& job) {
  auto done = site.ledger().finish_merges();
  if (done) return {};
  Error error = std::move(done).error();
  error.what = "the answers of request " + job.id +
               " are there, but merging files of the ledger failed: " + error.what;
  error.hint = (error.hint.empty() ? "remove the cause" : error.hint) +
               "; then run the request again to end it, or give it up by fugo jobs cancel " +
               job.id;
  return tl::unexpected(std::move(error));
}

}  // namespace

JobStop stop_of(const Error& error) {
  if (error.code != ErrorCode::kRefused || error.where != "ledger") return JobStop::kNone;
  return error.native <= static_cast<std::uint64_t>(JobStop::kCancelled)
             ? static_cast<JobStop>(error.native)
             : JobStop::kNone;
}

const char* job_kind_name(keystore::JobKind kind) { return kind_name(kind); }

std::filesystem::path one_spelling(const std::filesystem::path& directory) {
  std::error_code error;
  auto path = std::filesystem::canonical(directory, error);
  return error ? directory : path;
}

void move_answers(JobRow& job, const std::filesystem::path& directory) {
  std::error_code ignored;
  std::filesystem::remove_all(temporary_answers_path(job.output_directory, job.id), ignored);
  job.output_directory = directory.string();
}

bool has_records(keystore::JobKind kind) {
  return kind == keystore::JobKind::kChange || kind == keystore::JobKind::kDelete;
}

std::string how_to_go_on(const keystore::JobRow& job) {
  const auto agencies = merger_of(job.id);
  if (!agencies) return "run that request again";
  return "run fugo agency merge --from " + agencies->from + " --to " + agencies->into + " again";
}

Status settle_other_job(engine::Site& site, const JobOptions& options,
                        const keystore::LedgerState& state, const std::string& where) {
  if (state.open_job == 0) return {};
  FUGO_ASSIGN(auto open, site.ledger().job(state.open_job));
  if (open.cancelled && open.state == JobState::kRunning)
    return cancel_job(site, options, open, options.actor);
  return fail(ErrorCode::kRefused, "request " + open.id + " has been started and not finished",
              where, how_to_go_on(open) + " first, or give it up by fugo jobs cancel " + open.id);
}

Status look_at_orders(engine::Site& site, JobRow& job) {
  FUGO_ASSIGN(const auto state, site.ledger().state());
  const bool may_end = job.number != 0 && job.number == state.may_end;
  if (!state.freeze_issue.empty() && !may_end)
    return stopped(JobStop::kFrozen, "issuing is frozen: " + state.freeze_issue,
                   "fugo thaw lets it go on");
  if (job.number == 0) return {};
  FUGO_ASSIGN(const auto stored, site.ledger().job(job.number));
  take_orders(stored, job);
  if (stored.state == JobState::kCancelled || job.cancelled)
    return stopped(JobStop::kCancelled, "request " + job.id + " was cancelled",
                   "what was committed before stays; give a new request an id of its own");
  if (job.paused)
    return stopped(JobStop::kPaused, "request " + job.id + " is paused",
                   "fugo jobs resume " + job.id + " lets it go on");
  return {};
}

Status commit_job(engine::Site& site, JobRow& job,
                  const std::function<Status(keystore::Update&)>& fill) {
  FUGO_ASSIGN(const auto update, site.ledger().begin());
  if (job.number == 0) {
    FUGO_ASSIGN(job.number, update->put_job(job));
  } else {
    FUGO_TRY(update->put_progress(job).map([](auto) {}));
  }
  if (fill) FUGO_TRY(fill(*update));
  return update->commit();
}

AnswersPlace answers_place(const JobOptions& options, const JobRow& job) {
  AnswersPlace place{job.output_directory, job.id};
  if (has_records(job.kind)) place.records = options.records_directory;
  return place;
}

Status destroy_request(const std::filesystem::path& request) {
  if (request.empty()) return {};
  if (::unlink(request.c_str()) != 0 && errno != ENOENT)
    return fail_errno("cannot remove the request", request.string(), errno);
  return sync_directory(request.parent_path());
}

Status end_job(engine::Site& site, const JobOptions& options, JobRow& job) {
  if (job.state == JobState::kAnswering) FUGO_TRY(publish_answers(answers_place(options, job)));
  if (!options.keep_going) FUGO_TRY(finish_merges(site, job));
  FUGO_ASSIGN(const auto ways, ways_of(site.ledger()));
  const auto note = [&](keystore::Update& update) {
    auto details = counts_of(job);
    note_blocks(job, ways, update.state(), details);
    return update.append_journal(options.actor, std::string(job_kind_name(job.kind)) + ".done",
                                 details.dump());
  };
  if (job.state == JobState::kAnswering && job.own_request) {
    job.state = JobState::kAnswered;
    FUGO_TRY(commit_job(site, job, note));
  }
  const bool noted = job.state == JobState::kAnswered;
  if (job.own_request) FUGO_TRY(destroy_request(options.request));
  job.state = JobState::kDone;
  return commit_job(site, job, [&](keystore::Update& update) -> Status {
    return noted ? Status{} : note(update);
  });
}

void fill_report(const JobRow& job, JobReport& report) {
  report.id = job.id;
  report.kind = job.kind;
  report.rows = job.rows;
  report.count_rejected = job.count_rejected;
  report.symbol_version = job.generation;
  switch (job.kind) {
    case keystore::JobKind::kChange:
      report.count_changed = job.people_new;
      report.count_joined = job.count_existing;
      break;
    case keystore::JobKind::kDelete:
      report.count_deleted = job.count_existing;
      break;
    case keystore::JobKind::kMerge:
      report.count_new = job.count_new;
      report.count_superseded = job.count_existing;
      report.count_existing =
          job.rows_done - std::min(job.rows_done, job.count_new + job.count_existing);
      break;
    case keystore::JobKind::kIssue:
      report.count_new = job.count_new;
      report.count_existing = job.count_existing;
      report.people_new = job.people_new;
  }
}

void pin_registry(const engine::Site& site, const keystore::LedgerState& state, JobRow& job) {
  job.registry_version = site.registry_version();
  job.next_agency = state.next_agency;
  job.suspended_agencies.clear();
  job.closed_agencies.clear();
  for (const auto& agency : site.agencies()) {
    if (agency.state == keystore::AgencyState::kSuspended)
      job.suspended_agencies.push_back(agency.number);
    if (agency.state == keystore::AgencyState::kClosed)
      job.closed_agencies.push_back(agency.number);
  }
}

std::vector<keystore::Agency> registry_of(const engine::Site& site, const JobRow& job) {
  std::vector<keystore::Agency> agencies;
  const auto has = [](const std::vector<std::uint64_t>& list, std::uint64_t number) {
    return std::find(list.begin(), list.end(), number) != list.end();
  };
  for (keystore::Agency agency : site.agencies()) {
    if (agency.number >= job.next_agency) continue;
    agency.state = has(job.closed_agencies, agency.number)      ? keystore::AgencyState::kClosed
                   : has(job.suspended_agencies, agency.number) ? keystore::AgencyState::kSuspended
                                                                : keystore::AgencyState::kActive;
    agencies.push_back(std::move(agency));
  }
  return agencies;
}

}  // namespace fugo::daemon
