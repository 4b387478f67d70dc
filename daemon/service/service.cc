#include "daemon/service/service.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "daemon/link_day.h"
#include "daemon/seeing/log.h"
#include "daemon/seeing/metrics.h"
#include "daemon/seeing/status_board.h"
#include "daemon/service/folders.h"
#include "daemon/service/notifier.h"
#include "daemon/service/watcher.h"
#include "daemon/service/worker.h"

namespace fugo::daemon {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

// Within five seconds of SIGTERM the process is gone: what does not end by then never will.
constexpr auto kStopLimit = 4s;      // for the job in work
constexpr auto kLastLimit = 4500ms;  // for everything
// systemd is told that the service is ready when the site was tried once, or after this.
constexpr auto kReadyLimit = 20s;
constexpr auto kStatusInterval = 10s;  // of the line for systemctl status, while working

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// watched lists the folders whose file systems must have room.
std::vector<WatchedFolder> watched(const Settings& settings) {
  const auto& daemon = settings.daemon;
  std::vector<WatchedFolder> folders = {{"ledger", settings.ledger_directory},
                                        {"inbox", daemon.inbox},
                                        {"outbox", daemon.outbox},
                                        {"records", daemon.records}};
  for (const auto& copy : settings.journal_copies)
    folders.push_back({fmt::format("journal_copy_{}", folders.size() - 3), copy, true});
  return folders;
}

bool ends_start(ErrorCode error) {
  return error == ErrorCode::kUsage || error == ErrorCode::kRefused || error == ErrorCode::kDamaged;
}

class Service {
 public:
  explicit Service(const Settings& settings) : settings_(settings) {}

  Status run() {
    FUGO_TRY(make_folders(settings_.daemon));
    FUGO_ASSIGN(lock_, lock_folders(settings_.daemon));
    const sigset_t set = handled_signals();
    signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return fail_errno("cannot take signals", "signalfd", errno);
    FUGO_ASSIGN(watcher_, Watcher::open(settings_.daemon));
    FUGO_ASSIGN(board_, StatusBoard::open(settings_.status_file(), FUGO_VERSION));
    FUGO_ASSIGN(metrics_,
                Metrics::start(settings_.metrics, *board_, watched(settings_), FUGO_VERSION));
    FUGO_ASSIGN(auto calendar, Calendar::of(settings_.link.time_zone));
    metrics_->count_links(std::make_unique<LinkDay>(settings_.link_usage, std::move(calendar)),
                          settings_.link.quota_per_day);
    FUGO_ASSIGN(worker_, Worker::start(settings_, *board_, *metrics_));
    log_info("fugod is here", {field::folder(settings_.daemon.inbox)});
    const auto status = loop();
    shut_down();
    return status;
  }

 private:
  Status loop() {
    while (!stop_) {
      wait();
      if (watcher_->drain()) worker_->look();
      if (watcher_->lost()) rewatch();
      read_signals();
      drain_worker();
      if (!ready_) FUGO_TRY(tell_ready());
      const auto limit = std::chrono::seconds(settings_.daemon.stuck_after_seconds);
      if (!worker_->stuck(limit)) notifier_.alive();
      tell_status();
    }
    return {};
  }

  // Sleeps until something happens, or the watchdog or the line of status is due.
  void wait() {
    std::array<pollfd, 3> fds = {{{signals_.get(), POLLIN, 0},
                                  {watcher_->fd(), POLLIN, 0},
                                  {worker_->event_fd(), POLLIN, 0}}};
    Milliseconds most = board_->copy().phase == Phase::kIdle ? Milliseconds(1h) : kStatusInterval;
    if (notifier_.watchdog_interval().count() > 0)
      most = std::min(most, notifier_.watchdog_interval() / 2 + 1ms);
    if (!ready_ || watcher_->lost()) most = std::min<Milliseconds>(most, 1s);
    ::poll(fds.data(), fds.size(), static_cast<int>(most.count()));
  }

  void read_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      if (static_cast<int>(info.ssi_signo) == SIGHUP)
        reload();
      else
        stop_ = true;
      log_info("a signal came", {field::signal(static_cast<int>(info.ssi_signo))});
    }
  }

  // The configuration is checked as a whole; of a good one the level of the log is taken, and the
  // registries are read again. The rest needs a restart. A bad one changes nothing.
  void reload() {
    notifier_.reloading();
    const auto fresh = load_settings(settings_.file);
    if (fresh) {
      set_log_level(fresh->log.level);
      worker_->reload();
      log_info("the configuration was read again");
    } else {
      board_->set_error(fresh.error());
      log_failure("the configuration is wrong and was not taken over", fresh.error());
    }
    notifier_.ready();
  }

  void drain_worker() {
    std::uint64_t count = 0;
    while (::read(worker_->event_fd(), &count, sizeof count) == sizeof count) continue;
  }

  // What waiting mends (the token is away, the disk is full) is no reason to give up. What is wrong
  // with the set-up, and a ledger that is damaged, is told at once. Damage that a job meets later
  // leaves the daemon here, for status and metrics tell of it.
  Status tell_ready() {
    const auto opened = worker_->first_open();
    if (!opened && Clock::now() - started_ < kReadyLimit) return {};
    if (opened && !*opened && ends_start(opened->error().code)) return *opened;
    ready_ = true;
    notifier_.ready();
    return {};
  }

  // A watched folder was moved or removed: it is made again as soon as that is possible.
  void rewatch() {
    if (!make_folders(settings_.daemon)) return;
    auto fresh = Watcher::open(settings_.daemon);
    if (!fresh) return;
    watcher_ = std::move(*fresh);
    log_warning("a folder that is watched had gone away and was made again");
    worker_->look();
  }

  void tell_status() {
    const auto status = board_->copy();
    std::string line = phase_name(status.phase);
    if (status.job) {
      line += fmt::format(": {} {}, {} of {} rows", status.job->stage, status.job->id,
                          status.job->rows_done, status.job->rows_total);
      if (Clock::now() - told_ < kStatusInterval && status.job->id == told_job_) return;
      told_ = Clock::now();
      told_job_ = status.job->id;
    }
    if (status.hsm.state == HsmState::kPinRefused)
      line += "; the PIN is wrong: correct it, then systemctl reload";
    else if (status.hsm.breaker != BreakerState::kClosed && status.last_error)
      line += "; " + status.last_error->text;
    if (!status.freeze_issue.empty()) line += "; issuing is frozen: " + status.freeze_issue;
    notifier_.status(line);
  }

  // The job that is in work ends at its next step; what was committed stays, and is gone on with
  // at the next start. An HSM that does not come back from a call is not waited for.
  void shut_down() {
    // Whatever hangs, a call of the token or of a scraper: the end comes within five seconds. What
    // is left then is as after a crash, which loses nothing.
    std::thread([] {
      std::this_thread::sleep_for(kLastLimit);
      ::_exit(0);
    }).detach();
    notifier_.stopping();
    board_->set_phase(Phase::kStopping);
    worker_->stop();
    const auto end = Clock::now() + kStopLimit;
    while (!worker_->stopped() && Clock::now() < end) {
      pollfd fd{worker_->event_fd(), POLLIN, 0};
      ::poll(&fd, 1, 100);
      drain_worker();
    }
    if (!worker_->stopped()) {
      log_warning("the job in work does not come to its next step: left as after a crash");
      board_.reset();
      ::_exit(0);
    }
    worker_.reset();
    metrics_.reset();
    board_.reset();
    log_info("fugod has stopped");
  }

  const Settings& settings_;
  const Clock::time_point started_ = Clock::now();
  UniqueFd lock_, signals_;
  std::optional<Watcher> watcher_;
  std::unique_ptr<StatusBoard> board_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Worker> worker_;
  Notifier notifier_;
  bool ready_ = false, stop_ = false;
  Clock::time_point told_;
  std::string told_job_;
};

}  // namespace

void block_signals() {
  const sigset_t set = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // Asking whether a file is still being written is a lease of a moment; whoever opens the file in
  // that moment has this sent to us, and it would end the process.
  std::signal(SIGIO, SIG_IGN);
}

Status run_service(const Settings& settings) { return Service(settings).run(); }

}  // namespace fugo::daemon
