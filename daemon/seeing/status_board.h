// StatusBoard: where the service writes what it is doing, for everybody to read.
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/result.h"
#include "daemon/seeing/service_status.h"

namespace fugo::daemon {

// JobEnd is how a run of a job ended.
enum class JobEnd : std::uint8_t {
  kAnswered,   // answers are in the outbox, some rows rejected or none
  kRefused,    // the whole file; nothing was applied
  kHeld,       // waits for an approval
  kPaused,     // by somebody; goes on when resumed
  kCancelled,  // by somebody; what was committed stays
  kFailed,     // an error ended the run; it is tried again
};
[[nodiscard]] const char* job_end_name(JobEnd end);  // "answered", ...

// StatusBoard is thread-safe; no call waits for the disk. A thread of its own puts the status into
// the status file when it has changed, by rename, at most once a second; it sleeps while nothing
// changes. The file holds no secret and is readable by the group (mode 0640).
//
// Beside the file lies FILE.lock with the process's number, locked as long as the board lives: a
// file that a dead daemon left is told from one of a living daemon by that lock.
class StatusBoard {
 public:
  // open takes the lock and writes the first status; kRefused when a living process has it, kIo
  // when lock or file cannot be written. `version` is the daemon's.
  [[nodiscard]] static Result<std::unique_ptr<StatusBoard>> open(const std::filesystem::path& file,
                                                                 const std::string& version);
  // The last status, with phase kStopped, is written before the lock goes.
  ~StatusBoard();
  StatusBoard(const StatusBoard&) = delete;
  StatusBoard& operator=(const StatusBoard&) = delete;

  void set_phase(Phase phase);
  // A job: started, any number of progress (as a job's progress callback gives it), ended. Rate
  // and remaining time are computed here, for each stage.
  void job_started(const std::string& id, keystore::JobKind kind);
  void job_progress(const char* stage, std::uint64_t done, std::uint64_t total);
  void job_ended(JobEnd end);
  void set_hsm(const HsmStatus& hsm);
  void set_files(const FilesStatus& files);
  void set_frozen(const std::string& issue_reason, const std::string& link_reason);
  // The error is shown as shown_text gives it.
  void set_error(const Error& error, const std::string& job = {});

  [[nodiscard]] ServiceStatus copy() const;
  // write_failures counts writes of the file that failed; the next change tries again.
  [[nodiscard]] std::uint64_t write_failures() const;

 private:
  using Clock = std::chrono::steady_clock;
  explicit StatusBoard(std::filesystem::path file);
  [[nodiscard]] Status take_lock();
  [[nodiscard]] Status write(ServiceStatus status) const;
  void write_changes();  // the thread
  template <typename Change>
  void change(const Change& change);
  template <typename Value>
  void set(Value ServiceStatus::*member, const Value& value);  // a change only if it differs

  const std::filesystem::path file_;
  UniqueFd lock_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  ServiceStatus status_;
  Clock::time_point stage_started_;
  std::uint64_t stage_first_ = 0;  // rows that were done when the stage began
  std::uint64_t write_failures_ = 0;
  bool changed_ = false, stop_ = false;

  std::thread writer_;
};

// SeenStatus is the status file as another process finds it.
struct SeenStatus {
  bool running = false;                 // a living daemon holds the lock
  std::optional<ServiceStatus> status;  // of the living daemon, or the last of a dead one
};

// read_status reads what a daemon wrote to `file`. No file is no error: nothing runs, no status.
[[nodiscard]] Result<SeenStatus> read_status(const std::filesystem::path& file);

}  // namespace fugo::daemon
