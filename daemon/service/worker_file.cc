// Worker: which file is next, what is done with it, and what the status board is told.
#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/text.h"
#include "daemon/command/job_output.h"
#include "daemon/jobs/job_control.h"
#include "daemon/seeing/log.h"
#include "daemon/seeing/shown_text.h"
#include "daemon/service/folders.h"
#include "daemon/service/worker.h"

namespace fugo::daemon {

namespace fs = std::filesystem;

JobOptions Worker::options_for(const fs::path& request) {
  JobOptions options = job_options(settings_);
  options.request = request;
  options.output_directory = settings_.daemon.outbox;
  options.records_directory = settings_.daemon.records;
  options.actor = actor_;
  options.hold = true;
  options.own_request = true;
  options.progress = [this](const char* stage, std::uint64_t done, std::uint64_t total) {
    beat();
    board_.job_progress(stage, done, total);
  };
  options.segment_committed = [this](double seconds) {
    metrics_.segment_committed(board_.copy().job.value_or(RunningJob{}).kind, seconds);
  };
  options.keep_going = [this]() -> Status {
    beat();
    if (!stopping_) return {};
    return fail(ErrorCode::kRefused, "the daemon is being stopped", "fugod",
                "it goes on when it is started again");
  };
  return options;
}

// Does what files in work/ and held/ need besides being run; true when one was moved.
Result<bool> Worker::put_in_place(std::vector<QueuedFile>& files) {
  for (QueuedFile& file : files) {
    if (file.place == Place::kInbox) continue;
    FUGO_ASSIGN(const Step step, step_of(file));
    file.ready = step == Step::kRun;
    switch (step) {
      case Step::kHold:
        // Beside a file that is held already, only run_job can tell whether this is the same one.
        if (file.ready = holds_file(settings_.daemon, file.id); file.ready) break;
        FUGO_TRY(hold_file(settings_.daemon, file.path, file.id));
        return true;
      case Step::kFinish:
        FUGO_TRY(finish_job(*site_, options_for(file.path), file.id).map([](auto&&) {}));
        return true;
      case Step::kGiveUp:
        FUGO_TRY(give_up(file.id));
        return true;
      case Step::kRefuse:
        FUGO_TRY(refuse_ordered(file));
        return true;
      default:
        break;
    }
  }
  return false;
}

// The next file that may run: none of others while a job is open, none at all while issuing is
// frozen, unless the open job may end.
Result<std::optional<QueuedFile>> Worker::choose(std::vector<QueuedFile>& files,
                                                 const keystore::LedgerState& state) {
  if (!state.freeze_issue.empty() && (state.may_end == 0 || state.may_end != state.open_job))
    return std::optional<QueuedFile>();
  // The open job goes on first, whatever waits before it: nothing else can begin.
  if (state.open_job != 0) {
    FUGO_ASSIGN(const auto job, site_->ledger().job(state.open_job));
    std::erase_if(files, [&](const QueuedFile& file) { return file.id != job.id; });
  }
  while (const auto next = next_file(files)) {
    QueuedFile& file = files[*next];
    if (file.place != Place::kInbox) return file;
    FUGO_ASSIGN(const Step step, step_of(file));
    if (step == Step::kRun) return file;
    if (step == Step::kRefuse) FUGO_TRY(refuse_ordered(file));
    file.ready = false;
  }
  return std::optional<QueuedFile>();
}

Status Worker::work_on(const QueuedFile& chosen) {
  QueuedFile file = chosen;
  if (file.place == Place::kInbox) {
    FUGO_ASSIGN(const bool taken, take_file(settings_.daemon, file.name));
    if (!taken) return {};
  }
  if (file.place == Place::kHeld) FUGO_TRY(release_file(settings_.daemon, file.path));
  file.place = Place::kWork;
  file.path = settings_.daemon.work / file.name;
  if (file.encrypted && file.id.empty())
    return refuse(file, "is encrypted and must be called ID.p7m, ID being the request's id");
  const std::string shown = file.id.empty() ? safe_name(file.name) : file.id;
  log_info("a job begins", {field::job(shown), field::file(file.path)});
  board_.set_phase(Phase::kWorking);
  board_.job_started(shown, file.kind.value_or(keystore::JobKind::kIssue));
  const auto registry_version = site_->registry_version();
  JobOptions options = options_for(file.path);
  if (file.encrypted) options.expected_id = file.id;
  const auto report = run_job(*site_, options);
  return settle(file, report, registry_version);
}

Status Worker::settle(const QueuedFile& file, const Result<JobReport>& report,
                      std::uint64_t registry_version) {
  if (!report) return settle_error(file, report.error(), registry_version);
  breaker_.succeeded();
  tell_hsm();
  if (report->held) {
    job_ended(file, JobEnd::kHeld);
    log_warning("a job is held until somebody approves it",
                {field::job(report->id), field::kind(report->kind)});
    return hold_file(settings_.daemon, file.path, report->id);
  }
  board_.job_ended(JobEnd::kAnswered);
  metrics_.job_answered(*report);
  log_info("a job was answered",
           {field::job(report->id), field::kind(report->kind), field::rows(report->rows),
            field::rows_rejected(report->count_rejected), field::seconds(report->seconds)});
  return destroy_file(settings_.daemon, file.path);  // of a repeated request, too
}

void Worker::job_ended(const QueuedFile& file, JobEnd end) {
  board_.job_ended(end);
  metrics_.job_ended(file.kind.value_or(keystore::JobKind{}), end);
}

Status Worker::settle_error(const QueuedFile& file, const Error& error,
                            std::uint64_t registry_version) {
  if (stopping_) {
    job_ended(file, JobEnd::kPaused);
    return {};
  }
  switch (stop_of(error)) {
    case JobStop::kFrozen:
    case JobStop::kPaused:
      job_ended(file, JobEnd::kPaused);
      log_warning("a job waits by order", {field::job(file.id), field::error(error)});
      return {};
    case JobStop::kCancelled:
      job_ended(file, JobEnd::kCancelled);
      return refuse_ordered(file);
    case JobStop::kNone:
      break;
  }
  // The registries may have been changed while the file was read: that is not its fault.
  FUGO_ASSIGN(const auto state, site_->ledger().state());
  if (error.code == ErrorCode::kRefused && state.registry_version != registry_version) {
    job_ended(file, JobEnd::kFailed);
    return {};
  }
  if (error.code == ErrorCode::kRefused && about_request(error, file)) {
    job_ended(file, JobEnd::kRefused);
    const Error shown = safe_error(error, file.path);
    board_.set_error(shown, file.id);
    return refuse(file, shown_text(shown));
  }
  if (error.code == ErrorCode::kStale) return tl::unexpected<Error>(error);  // it is run again
  job_ended(file, JobEnd::kFailed);
  return tl::unexpected<Error>(safe_error(error, file.path));
}

// An error whose place is the request or its answers says that the request cannot be carried out;
// any other (no memory can be locked, a key is wrong) says that this site cannot carry out any.
bool Worker::about_request(const Error& error, const QueuedFile& file) const {
  for (const auto& path : {file.path, settings_.daemon.outbox, settings_.daemon.records})
    if (error.where.rfind(path.string(), 0) == 0) return true;
  return false;
}

Status Worker::refuse(const QueuedFile& file, const std::string& reason) {
  log_warning("a request is refused",
              {field::job(file.id.empty() ? safe_name(file.name) : file.id)});
  const Refusal refusal = {file.id, file.name, reason, file.kind};
  std::error_code ignored;
  if (!fs::exists(refusal_folder(settings_.daemon, refusal), ignored))
    ++refused_[static_cast<std::size_t>(file.kind.value_or(keystore::JobKind{}))];
  return refusals_.refuse(site_->ledger(), file.path, refusal);
}

Status Worker::refuse_ordered(const QueuedFile& file) {
  return refuse(file,
                "an operator refused or cancelled the request of this id; what was committed "
                "before stays (give a new request an id of its own)");
}

Status Worker::give_up(const std::string& id) {
  FUGO_ASSIGN(auto job, site_->ledger().find_job(id));
  if (!job) return {};
  log_warning("a job is given up, as was ordered", {field::job(id)});
  return cancel_job(*site_, options_for({}), *job, actor_);
}

void Worker::tell_files(const std::vector<QueuedFile>& files) {
  FilesStatus status;
  for (const QueuedFile& file : files) {
    const auto kind = file.kind ? static_cast<std::size_t>(*file.kind) : 0;
    KindFiles& counts = status.kinds[kind < kFileKinds ? kind : 0];
    std::int64_t& oldest =
        file.place == Place::kHeld ? status.oldest_held : status.oldest_unanswered;
    if (file.place == Place::kInbox) ++counts.waiting;
    if (file.place == Place::kWork) ++counts.working;
    if (file.place == Place::kHeld) ++counts.held;
    if (oldest == 0 || file.modified < oldest) oldest = file.modified;
  }
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) status.kinds[kind].refused = refused_[kind];
  board_.set_files(status);
}

void Worker::tell_hsm(const std::string& error) {
  HsmStatus status;
  status.state = hsm_;
  status.breaker = breaker_.state();
  if (breaker_.state() == BreakerState::kOpen && !breaker_.latched())
    status.next_try =
        unix_now() +
        std::chrono::ceil<std::chrono::seconds>(breaker_.next_try() - Clock::now()).count();
  status.error = error;
  board_.set_hsm(status);
}

}  // namespace fugo::daemon
