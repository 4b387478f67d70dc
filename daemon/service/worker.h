// The thread that has the site open and works on request files, one at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "daemon/config.h"
#include "daemon/jobs/job.h"
#include "daemon/seeing/metrics.h"
#include "daemon/seeing/status_board.h"
#include "daemon/service/breaker.h"
#include "daemon/service/daily_checkpoint.h"
#include "daemon/service/queue.h"
#include "daemon/service/refusals.h"
#include "daemon/service/sender_watch.h"
#include "daemon/service/usage_collector.h"
#include "engine/site.h"

namespace fugo::daemon {

// Worker looks at the folders, chooses a file, runs its job, and puts the file where it belongs.
// Every step may be the last before a crash: docs/exactly-once.md. Trouble with the HSM or the disk
// closes the site; it is opened again when the breaker allows. Public members may be called from
// any thread.
class Worker {
 public:
  using Clock = std::chrono::steady_clock;

  // The folders are made and locked; settings, board and metrics outlive the worker.
  [[nodiscard]] static Result<std::unique_ptr<Worker>> start(const Settings& settings,
                                                             StatusBoard& board, Metrics& metrics);
  // Waits for the thread: call stop() first, and make sure by stopped() that it does not hang.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // look: there may be something new in the folders or the ledger.
  void look();
  // reload reads the registries anew before the next job, and lifts a latch (a wrong PIN).
  void reload();
  // stop ends the thread at the next step of the job that it is in.
  void stop();

  // event_fd is readable after first_open(), stopped() or the board's phase changed; read 8 bytes
  // to clear it.
  [[nodiscard]] int event_fd() const { return event_.get(); }
  // first_open is how the first try to open the site ended; nothing while it lasts.
  [[nodiscard]] std::optional<Status> first_open() const;
  [[nodiscard]] bool stopped() const { return stopped_; }
  // stuck tells whether the thread has been at one thing without a sign of life for `limit`.
  [[nodiscard]] bool stuck(std::chrono::seconds limit) const;

 private:
  using Wait = std::chrono::milliseconds;
  Worker(const Settings& settings, StatusBoard& board, Metrics& metrics);
  void run();
  void sleep(Wait wait);
  [[nodiscard]] bool ledger_has_news();
  [[nodiscard]] bool regeneration_has_news();
  void beat() { beat_ = Clock::now().time_since_epoch().count(); }

  // pass does one thing, and returns how long nothing else is to be done unless look() is called.
  [[nodiscard]] Wait pass();
  [[nodiscard]] Status open();
  [[nodiscard]] Status tidy();
  [[nodiscard]] Result<Wait> step();
  void collect_uses();
  [[nodiscard]] Status make_checkpoint();
  [[nodiscard]] Result<std::vector<QueuedFile>> look_at_folders();
  [[nodiscard]] Status reload_registries(const keystore::LedgerState& state);
  [[nodiscard]] Status follow_regeneration(const keystore::LedgerState& state);
  [[nodiscard]] Result<bool> settle_open_job(const keystore::LedgerState& state,
                                             const std::vector<QueuedFile>& files);
  [[nodiscard]] Result<bool> put_in_place(std::vector<QueuedFile>& files);
  [[nodiscard]] Result<std::optional<QueuedFile>> choose(std::vector<QueuedFile>& files,
                                                         const keystore::LedgerState& state);
  void tell_open_job(const keystore::JobRow& job);
  [[nodiscard]] Result<Step> step_of(const QueuedFile& file);

  [[nodiscard]] Status work_on(const QueuedFile& file);
  [[nodiscard]] JobOptions options_for(const std::filesystem::path& request);
  [[nodiscard]] Status settle(const QueuedFile& file, const Result<JobReport>& report,
                              std::uint64_t registry_version);
  [[nodiscard]] Status settle_error(const QueuedFile& file, const Error& error,
                                    std::uint64_t registry_version);
  [[nodiscard]] Status refuse(const QueuedFile& file, const std::string& reason);
  // refuse_ordered: of a job that an operator refused or cancelled.
  [[nodiscard]] Status refuse_ordered(const QueuedFile& file);
  // give_up makes the ledger's row of a job that is to be cancelled say so.
  [[nodiscard]] Status give_up(const std::string& id);
  [[nodiscard]] bool about_request(const Error& error, const QueuedFile& file) const;
  // job_ended tells board and metrics of an end other than an answer.
  void job_ended(const QueuedFile& file, JobEnd end);
  void trouble(const Error& error);
  void follow_new_keys();
  void close_site();
  void tell_files(const std::vector<QueuedFile>& files);
  void tell_hsm(const std::string& error = {});

  const Settings& settings_;
  StatusBoard& board_;
  Metrics& metrics_;
  const keystore::Actor actor_;
  Refusals refusals_;
  UsageCollector uses_;
  SenderWatch senders_;
  DailyCheckpoint checkpoint_;
  UniqueFd event_;

  // Of the thread alone.
  std::unique_ptr<engine::Site> site_;
  Breaker breaker_;
  HsmState hsm_ = HsmState::kUnknown;
  Peeker peeker_;
  bool waiting_ = false;            // for an order: the ledger is asked about once a second
  std::uint64_t seen_commits_ = 0;  // of the ledger, at the last pass
  std::uint64_t seen_transaction_ = 0;
  std::uint64_t seen_ended_ = 0;  // regenerations that were over at the last pass
  std::array<std::uint64_t, kFileKinds> refused_{};  // folders in refused/, by kind
  std::string open_job_told_;                        // that was said to wait for its file
  std::string uses_told_;                            // why uses could not be journaled

  std::atomic<std::int64_t> beat_{0};
  std::atomic<bool> busy_{false}, stopping_{false}, stopped_{false};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool look_ = false, reload_ = false;
  std::optional<Status> first_open_;

  std::thread thread_;  // last: it uses the members above
};

}  // namespace fugo::daemon
