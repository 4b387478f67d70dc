// Worker: the thread, its sleep, and the passes. What a pass does with one file is in
// worker_file.cc.
#include "daemon/service/worker.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <random>
#include <utility>

#include "base/text.h"
#include "daemon/jobs/job_control.h"
#include "daemon/journal/live_copy.h"
#include "daemon/roles.h"
#include "daemon/seeing/log.h"
#include "daemon/service/folders.h"
#include "daemon/service/placement.h"
#include "daemon/site_access.h"
#include "hsm/token.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kAtOnce = std::chrono::milliseconds(0);
constexpr auto kNever = std::chrono::milliseconds(1h);  // a look at nothing once an hour is nothing

// A PIN that the token refused must not be tried again and again: the token counts.
bool refuses_pin(const Error& error) {
  constexpr std::uint64_t kPinIncorrect = 0xA0, kPinLocked = 0xA4;  // CKR_PIN_..., PKCS#11 2.40
  return error.native >= kPinIncorrect && error.native <= kPinLocked;
}

std::uint64_t ended_runs(const keystore::LedgerState& state) {
  return state.next_run - 1U - (state.open_run != 0 ? 1U : 0U);
}

}  // namespace

Worker::Worker(const Settings& settings, StatusBoard& board, Metrics& metrics)
    : settings_(settings),
      board_(board),
      metrics_(metrics),
      actor_{"fugod", {}, std::string(kIssuing), account_of_process()},
      refusals_(settings.daemon, actor_),
      uses_(settings.link_usage, actor_),
      senders_(settings.exchange.senders, actor_),
      checkpoint_(settings),
      breaker_(std::chrono::seconds(settings.daemon.retry_first_seconds),
               std::chrono::seconds(settings.daemon.retry_most_seconds), std::random_device{}()) {}

Result<std::unique_ptr<Worker>> Worker::start(const Settings& settings, StatusBoard& board,
                                              Metrics& metrics) {
  std::unique_ptr<Worker> worker(new Worker(settings, board, metrics));
  worker->event_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!worker->event_) return fail_errno("cannot make an event", "eventfd", errno);
  worker->thread_ = std::thread([&self = *worker] { self.run(); });
  return worker;
}

Worker::~Worker() {
  stop();
  if (thread_.joinable()) thread_.join();
}

void Worker::look() {
  const std::lock_guard lock(mutex_);
  look_ = true;
  wake_.notify_all();
}

void Worker::reload() {
  const std::lock_guard lock(mutex_);
  reload_ = look_ = true;
  wake_.notify_all();
}

void Worker::stop() {
  stopping_ = true;
  look();
}

std::optional<Status> Worker::first_open() const {
  const std::lock_guard lock(mutex_);
  return first_open_;
}

bool Worker::stuck(std::chrono::seconds limit) const {
  if (!busy_ || stopped_) return false;
  const Clock::time_point last{Clock::duration(beat_.load())};
  return Clock::now() - last > limit;
}

void Worker::run() {
  while (!stopping_) {
    beat();
    busy_ = true;
    Wait wait = kAtOnce;
    try {
      wait = pass();
    } catch (const std::exception& error) {
      // Libraries may throw (no memory, above all); what was committed stays committed.
      trouble({ErrorCode::kInternal, error.what(), "fugod", {}});
    }
    busy_ = false;
    if (wait > kAtOnce) sleep(wait);
  }
  close_site();
  stopped_ = true;
  ::eventfd_write(event_.get(), 1);
}

// Sleeps until there may be something to do: look() was called, the time is over, or (while
// something waits for an order) the ledger was changed, or a regeneration ended: then its old files
// must not be held open, nor lie about.
void Worker::sleep(Wait wait) {
  const auto end = Clock::now() + wait;
  const auto tick = std::chrono::seconds(settings_.daemon.control_seconds);
  std::unique_lock lock(mutex_);
  while (!look_ && !stopping_ && Clock::now() < end) {
    wake_.wait_until(lock, site_ != nullptr ? std::min(end, Clock::now() + tick) : end);
    if (look_ || site_ == nullptr) continue;
    lock.unlock();
    const bool news = waiting_ ? ledger_has_news() : regeneration_has_news();
    lock.lock();
    if (news) break;
  }
  look_ = false;
}

bool Worker::ledger_has_news() {
  if (site_ == nullptr) return false;
  const auto state = site_->ledger().state();
  return !state || state->commits != seen_commits_;
}

bool Worker::regeneration_has_news() {
  const auto transaction = site_->ledger().last_transaction();
  if (std::exchange(seen_transaction_, transaction) == transaction) return false;
  const auto state = site_->ledger().state();
  if (!state) return state.error().code == ErrorCode::kStale;
  return ended_runs(*state) != seen_ended_;
}

// Whoever ended a regeneration may have died before its old files were removed.
Status Worker::follow_regeneration(const keystore::LedgerState& state) {
  const auto ended = ended_runs(state);
  return std::exchange(seen_ended_, ended) == ended ? Status{} : site_->ledger().remove_leftovers();
}

Worker::Wait Worker::pass() {
  bool reload = false;
  {
    const std::lock_guard lock(mutex_);
    std::swap(reload, reload_);
  }
  if (reload) breaker_.reset();
  waiting_ = false;
  const auto now = Clock::now();
  if (!breaker_.may_try(now)) {
    if (breaker_.latched()) return kNever;
    return std::chrono::ceil<Wait>(breaker_.next_try() - now);
  }
  tell_hsm();
  Status done;
  if (reload && site_ != nullptr) done = site_->reload();
  if (done && site_ == nullptr) done = open();
  if (done) {
    auto wait = step();
    if (wait) return *wait;
    done = tl::unexpected<Error>(std::move(wait).error());
  }
  if (done.error().code == ErrorCode::kStale)
    follow_new_keys();
  else if (!stopping_)
    trouble(done.error());
  return kAtOnce;
}

// Nothing has failed: a regeneration gave the ledger new keys, with nothing of ours under way. The
// writer's lock is kept, so that nobody takes it meanwhile.
void Worker::follow_new_keys() {
  log_info("the ledger has new keys: it is opened again", {});
  if (site_ != nullptr && !site_->reopen()) close_site();
}

Status Worker::open() {
  auto opened = open_site(settings_, hsm::TokenRole::kIssuing, keystore::Access::kWrite);
  Status status;
  if (!opened)
    status = tl::unexpected<Error>(opened.error());
  else
    site_ = std::move(*opened);
  metrics_.watch(site_.get());
  if (status) {
    hsm_ = HsmState::kOk;
    tell_hsm();
    uses_.reopened();
    log_info("the site is open", {field::folder(settings_.ledger_directory)});
    status = tidy();
  }
  const std::lock_guard lock(mutex_);
  if (!first_open_) {
    first_open_ = status;
    ::eventfd_write(event_.get(), 1);
  }
  return status;
}

// What a crash may have left: refusals that were begun, jobs that were answered, empty folders.
Status Worker::tidy() {
  FUGO_TRY(refusals_.finish(site_->ledger()));
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(settings_.daemon.held, ignored))
    if (fs::is_empty(entry.path(), ignored)) ::rmdir(entry.path().c_str());
  refused_ = count_refused(settings_.daemon.refused);
  FUGO_ASSIGN(const auto files, look_at_folders());
  FUGO_ASSIGN(const auto jobs, site_->ledger().jobs());
  for (const auto& job : jobs) {
    FUGO_TRY(publish_cancelled(options_for({}), job));
    if (step_for(Place::kNowhere, situation_of(job)) != Step::kFinish) continue;
    const auto has_id = [&](const QueuedFile& file) { return file.id == job.id; };
    const auto file = std::find_if(files.begin(), files.end(), has_id);
    // An answering job whose request is there goes the way of all jobs.
    if (file != files.end() && job.state == keystore::JobState::kAnswering) continue;
    const bool mine = file != files.end() && file->place != Place::kInbox;
    FUGO_TRY(
        finish_job(*site_, options_for(mine ? file->path : fs::path()), job.id).map([](auto&&) {}));
  }
  return {};
}

Result<std::vector<QueuedFile>> Worker::look_at_folders() {
  FUGO_ASSIGN(auto files, peeker_.inbox(settings_.daemon.inbox));
  FUGO_ASSIGN(auto work, peeker_.work(settings_.daemon.work));
  FUGO_ASSIGN(auto held, peeker_.held(settings_.daemon.held));
  files.insert(files.end(), work.begin(), work.end());
  files.insert(files.end(), held.begin(), held.end());
  // Of a file that was opened before the ledger knows the kind.
  for (QueuedFile& file : files) {
    if (!file.encrypted || file.id.empty()) continue;
    FUGO_ASSIGN(const auto job, site_->ledger().find_job(file.id));
    if (job) file.kind = job->kind;
  }
  return files;
}

Status Worker::reload_registries(const keystore::LedgerState& state) {
  if (state.registry_version == site_->registry_version()) return {};
  log_info("the registries were changed and are read again");
  return site_->reload();
}

// Counts that cannot be journaled wait where they are; work goes on.
void Worker::collect_uses() {
  const auto done = uses_.collect(site_->ledger());
  if (!done && done.error().code == ErrorCode::kStale) return;  // the ledger is opened again first
  const std::string why = done ? std::string() : done.error().message();
  if (!done && why != uses_told_) {
    log_failure("uses of linking could not be journaled for now", done.error());
    board_.set_error(done.error());
  }
  uses_told_ = why;
}

// The journal and its copies are written all the same, so nothing but a damaged journal stops for
// want of a checkpoint.
Status Worker::make_checkpoint() {
  auto made = checkpoint_.look(*site_);
  if (made || made.error().code == ErrorCode::kDamaged) return made;
  if (made.error().code == ErrorCode::kStale) return {};  // the ledger is opened again first
  log_failure("the day's checkpoint could not be made for now", made.error());
  board_.set_error(made.error());
  return {};
}

Result<Worker::Wait> Worker::step() {
  FUGO_TRY(catch_up_all(site_->ledger(), settings_.journal_copies));
  collect_uses();
  FUGO_TRY(senders_.look(site_->ledger()));
  FUGO_TRY(make_checkpoint());
  FUGO_ASSIGN(const auto state, site_->ledger().state());
  seen_commits_ = state.commits;
  board_.set_frozen(state.freeze_issue, state.freeze_link);
  FUGO_TRY(reload_registries(state));
  FUGO_TRY(follow_regeneration(state));
  FUGO_ASSIGN(auto files, look_at_folders());
  FUGO_ASSIGN(const bool settled, settle_open_job(state, files));
  if (settled) return kAtOnce;
  FUGO_ASSIGN(const bool moved, put_in_place(files));
  if (moved) return kAtOnce;
  tell_files(files);
  waiting_ = !files.empty() || state.open_job != 0;
  FUGO_ASSIGN(const auto next, choose(files, state));
  if (!next) {
    breaker_.succeeded();
    tell_hsm();
    board_.set_phase(Phase::kIdle);
    ::eventfd_write(event_.get(), 1);
    return std::chrono::seconds(settings_.daemon.rescan_seconds);
  }
  FUGO_TRY(work_on(*next));
  return kAtOnce;
}

// A job that was begun and has no request file: nobody else can begin until it is over.
Result<bool> Worker::settle_open_job(const keystore::LedgerState& state,
                                     const std::vector<QueuedFile>& files) {
  if (state.open_job == 0) return false;
  FUGO_ASSIGN(const auto job, site_->ledger().job(state.open_job));
  if (std::any_of(files.begin(), files.end(), [&](const auto& file) { return file.id == job.id; }))
    return false;
  switch (step_for(Place::kNowhere, situation_of(job))) {
    case Step::kFinish:
      FUGO_TRY(finish_job(*site_, options_for({}), job.id).map([](auto&&) {}));
      return true;
    case Step::kGiveUp:
      FUGO_TRY(give_up(job.id));
      return true;
    default:
      break;
  }
  tell_open_job(job);
  return false;
}

void Worker::tell_open_job(const keystore::JobRow& job) {
  const bool merger = job.kind == keystore::JobKind::kMerge;
  if (open_job_told_ != job.id && merger)
    log_warning(
        "a merger of agencies was begun: stop fugod and give its command again, or give the job up "
        "with fugo jobs cancel",
        {field::job(job.id)});
  if (open_job_told_ != job.id && !merger)
    log_warning(
        "a job was begun and its request file is not there: put it into the inbox again, "
        "or give the job up with fugo jobs cancel",
        {field::job(job.id)});
  open_job_told_ = job.id;
  board_.set_error({ErrorCode::kRefused,
                    "job " + job.id + " was begun and " +
                        (merger ? "is not finished" : "its request file is not there"),
                    settings_.daemon.work.string(),
                    (merger ? "stop fugod and " + how_to_go_on(job)
                            : std::string("put it into the inbox again")) +
                        ", or fugo jobs cancel " + job.id},
                   job.id);
}

Result<Step> Worker::step_of(const QueuedFile& file) {
  if (file.id.empty()) return step_for(file.place, Situation::kNoJob);
  FUGO_ASSIGN(const auto job, site_->ledger().find_job(file.id));
  return step_for(file.place, situation_of(job));
}

void Worker::trouble(const Error& error) {
  log_failure("work stops for now", error);
  metrics_.failed(error);
  board_.set_error(error);
  close_site();
  // A certificate that is being copied into its folder is whole a moment later.
  const bool half_copied = error.where.starts_with(settings_.exchange.senders.string()) ||
                           error.where.starts_with(settings_.exchange.certificates.string());
  const bool lasting =
      error.code == ErrorCode::kDamaged || (error.code == ErrorCode::kUsage && !half_copied);
  const bool hsm = error.code == ErrorCode::kHsm;
  const bool pin = hsm && refuses_pin(error);
  if (hsm) hsm_ = pin ? HsmState::kPinRefused : HsmState::kFailed;
  if (lasting || pin)
    breaker_.latch();
  else
    breaker_.failed(Clock::now());
  if (breaker_.latched()) log_error("nothing is tried again before a reload (SIGHUP) or a restart");
  board_.set_phase(phase_after(error.code));
  tell_hsm(hsm ? error.message() : std::string());
  ::eventfd_write(event_.get(), 1);
}

// With the last token closed the module can be finalized: some recover by that alone.
void Worker::close_site() {
  metrics_.watch(nullptr);
  site_.reset();
  hsm::finalize_all();
}

}  // namespace fugo::daemon
