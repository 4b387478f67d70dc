#include "daemon/seeing/status_board.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/text.h"
#include "daemon/seeing/shown_text.h"

namespace fugo::daemon {
namespace {

constexpr unsigned kMode = 0640;
constexpr std::chrono::seconds kBetweenWrites{1};
constexpr std::size_t kMaxFileBytes = 1 << 20U;
// A stage tells no rate before it has run for this long.
constexpr double kSecondsForRate = 0.5;

// Locks of the open file description: gone with the process however it ends, and, other than
// flock(2), they can be asked about without taking them.
struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

std::filesystem::path lock_path(const std::filesystem::path& file) {
  auto path = file;
  return path += ".lock";
}

// Not synced: a status that a power failure took is of no use to anybody.
Status replace_file(const std::filesystem::path& path, const std::string& text) {
  auto temporary = path;
  temporary += ".new";
  {
    FUGO_ASSIGN(const UniqueFd fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, kMode));
    ::fchmod(fd.get(), kMode);  // whatever the umask
    FUGO_TRY(write_all(fd.get(), as_bytes(text), temporary));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return fail_errno("cannot rename to " + path.string(), temporary.string(), errno);
  return {};
}

}  // namespace

const char* job_end_name(JobEnd end) {
  constexpr std::array<const char*, 6> kWords = {"answered", "refused",   "held",
                                                 "paused",   "cancelled", "failed"};
  return kWords.at(static_cast<std::size_t>(end));
}

StatusBoard::StatusBoard(std::filesystem::path file) : file_(std::move(file)) {}

Result<std::unique_ptr<StatusBoard>> StatusBoard::open(const std::filesystem::path& file,
                                                       const std::string& version) {
  std::unique_ptr<StatusBoard> board(new StatusBoard(file));
  board->status_.version = version;
  board->status_.pid = ::getpid();
  board->status_.started = unix_now();
  FUGO_TRY(board->take_lock());
  FUGO_TRY(board->write(board->status_));
  board->writer_ = std::thread([raw = board.get()] { raw->write_changes(); });
  return board;
}

StatusBoard::~StatusBoard() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    status_.phase = Phase::kStopped;
    status_.job.reset();
    stop_ = true;
  }
  wake_.notify_all();
  writer_.join();
}

Status StatusBoard::take_lock() {
  const auto path = lock_path(file_);
  FUGO_ASSIGN(lock_, open_file(path, O_RDWR | O_CREAT, kMode));
  auto lock = whole_file(F_WRLCK);
  if (::fcntl(lock_.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES)
      return fail(ErrorCode::kRefused, "another fugod is running for this ledger", path.string(),
                  "stop it first; fugo status tells its process");
    return fail_errno("cannot lock", path.string(), errno);
  }
  ::fchmod(lock_.get(), kMode);
  if (::ftruncate(lock_.get(), 0) != 0) return fail_errno("cannot write", path.string(), errno);
  return write_all(lock_.get(), as_bytes(fmt::format("{}\n", ::getpid())), path);
}

Status StatusBoard::write(ServiceStatus status) const {
  status.written = unix_now();
  return replace_file(file_, to_json(status));
}

void StatusBoard::write_changes() {
  std::unique_lock lock(mutex_);
  for (bool stop = false; !stop;) {
    wake_.wait(lock, [this] { return changed_ || stop_; });
    stop = stop_;
    changed_ = false;
    const auto status = status_;
    lock.unlock();
    const bool written = write(status).has_value();
    lock.lock();
    if (!written) ++write_failures_;
    // Changes of this second come together.
    wake_.wait_for(lock, kBetweenWrites, [this] { return stop_; });
  }
}

template <typename Change>
void StatusBoard::change(const Change& change) {
  {
    const std::lock_guard lock(mutex_);
    change(status_);
    if (std::exchange(changed_, true)) return;  // the thread knows already
  }
  wake_.notify_all();
}

template <typename Value>
void StatusBoard::set(Value ServiceStatus::*member, const Value& value) {
  {
    const std::lock_guard lock(mutex_);
    if (status_.*member == value) return;
  }
  change([&](ServiceStatus& status) { status.*member = value; });
}

void StatusBoard::set_phase(Phase phase) { set(&ServiceStatus::phase, phase); }

void StatusBoard::job_started(const std::string& id, keystore::JobKind kind) {
  change([&](ServiceStatus& status) {
    status.job.emplace();
    status.job->id = id;
    status.job->kind = kind;
    status.job->started = unix_now();
    status.phase = Phase::kWorking;
  });
}

void StatusBoard::job_progress(const char* stage, std::uint64_t done, std::uint64_t total) {
  change([&](ServiceStatus& status) {
    if (!status.job) return;
    auto& job = *status.job;
    const auto now = Clock::now();
    if (job.stage != stage) {
      job.stage = stage;
      job.rows_per_second = 0;
      stage_started_ = now;
      stage_first_ = done;
    }
    job.rows_done = done;
    job.rows_total = total;
    const double seconds = std::chrono::duration<double>(now - stage_started_).count();
    if (seconds >= kSecondsForRate && done > stage_first_)
      job.rows_per_second = static_cast<double>(done - stage_first_) / seconds;
  });
}

void StatusBoard::job_ended(JobEnd end) {
  change([&](ServiceStatus& status) {
    status.job.reset();
    if (status.phase == Phase::kWorking) status.phase = Phase::kIdle;
    if (end == JobEnd::kAnswered) status.last_success = unix_now();
  });
}

void StatusBoard::set_hsm(const HsmStatus& hsm) { set(&ServiceStatus::hsm, hsm); }

void StatusBoard::set_files(const FilesStatus& files) { set(&ServiceStatus::files, files); }

void StatusBoard::set_frozen(const std::string& issue_reason, const std::string& link_reason) {
  {
    const std::lock_guard lock(mutex_);
    if (status_.freeze_issue == issue_reason && status_.freeze_link == link_reason) return;
  }
  change([&](ServiceStatus& status) {
    const bool frozen = !issue_reason.empty() || !link_reason.empty();
    if (!frozen) status.frozen_since = 0;
    if (frozen && status.frozen_since == 0) status.frozen_since = unix_now();
    status.freeze_issue = issue_reason;
    status.freeze_link = link_reason;
  });
}

void StatusBoard::set_error(const Error& error, const std::string& job) {
  change([&](ServiceStatus& status) {
    status.last_error = ReportedError{unix_now(), shown_text(error), job};
  });
}

ServiceStatus StatusBoard::copy() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

std::uint64_t StatusBoard::write_failures() const {
  const std::lock_guard lock(mutex_);
  return write_failures_;
}

Result<SeenStatus> read_status(const std::filesystem::path& file) {
  SeenStatus seen;
  if (const UniqueFd fd(::open(lock_path(file).c_str(), O_RDONLY | O_CLOEXEC)); fd) {
    auto lock = whole_file(F_WRLCK);
    seen.running = ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  }
  auto text = read_small(file, kMaxFileBytes);
  if (!text && text.error().native == ENOENT) return seen;
  if (!text) return tl::unexpected(std::move(text).error());
  FUGO_ASSIGN(seen.status, from_json(*text, file));
  return seen;
}

}  // namespace fugo::daemon
