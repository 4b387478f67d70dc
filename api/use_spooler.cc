#include "api/use_spooler.h"

#include <cerrno>  // program_invocation_short_name
#include <exception>
#include <utility>

#include "base/quiet_signals.h"
#include "base/text.h"

namespace fugo::api {

Result<std::unique_ptr<UseSpooler>> UseSpooler::start(engine::Linking& linking,
                                                      const std::filesystem::path& folder,
                                                      const std::optional<Calendar>& quota) {
  FUGO_ASSIGN(auto spool, daemon::UsageSpool::open(folder, program_invocation_short_name));
  std::unique_ptr<UseSpooler> made(new UseSpooler(linking, folder, std::move(spool), quota));
  FUGO_TRY(made->learn());
  const QuietSignals quiet;
  made->thread_ = std::thread([spooler = made.get()] { spooler->run(); });
  return made;
}

UseSpooler::UseSpooler(engine::Linking& linking, const std::filesystem::path& folder,
                       std::unique_ptr<daemon::UsageSpool> spool,
                       const std::optional<Calendar>& quota)
    : linking_(linking), folder_(folder), spool_(std::move(spool)), from_(unix_now()) {
  if (quota) day_.emplace(folder, *quota);
}

UseSpooler::~UseSpooler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  write();
}

std::string UseSpooler::last_error() const {
  const bool stopped = overdue();
  const std::lock_guard lock(mutex_);
  if (!stopped) return last_error_;
  return (last_error_.empty() ? "writing counts of uses does not end" : last_error_) +
         "; nothing is linked until counts can be left in " + folder_.string() +
         " again: see that this account can make files there, and that the disk has room";
}

void UseSpooler::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const std::chrono::nanoseconds turn{every_.load()};
    wake_.wait_for(lock, turn, [this] { return stopping_ || std::exchange(woken_, false); });
    if (stopping_) return;
    lock.unlock();
    write();
    lock.lock();
  }
}

Status UseSpooler::leave() {
  const std::int64_t to = unix_now();
  auto now = linking_.evaluated();
  keystore::KeyBlocks growth;
  keystore::add_growth(keystore::key_blocks(blocks_), keystore::key_blocks(now), growth);
  blocks_ = std::move(now);
  const auto counts = keystore::block_counts(growth);
  const auto uses = linking_.take_uses();  // last, since what is taken must arrive
  auto written = spool_->write(uses, from_, to, counts);
  from_ = to;
  return written;
}

// What others used since, and did not leave yet, comes at a later turn. A ledger that was given new
// keys is opened again by the next question.
Status UseSpooler::learn() {
  if (!day_) return {};
  const auto read = linking_.read_ledger([this](const auto& ledger) { return day_->read(ledger); });
  if (!read) return read.error().code == ErrorCode::kStale ? Status{} : read;
  linking_.note_used(day_->day(), day_->uses());
  return {};
}

bool UseSpooler::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void UseSpooler::write() noexcept {
  // From the beginning, since a file system that hangs fails as well. Only one thread writes.
  if (unwritten_since_ == 0) unwritten_since_ = now();
  try {
    const auto written = leave();
    const auto learned = written && !stopping() ? learn() : written;
    {
      const std::lock_guard lock(mutex_);
      last_error_ = learned ? std::string() : learned.error().message();
    }
    // At the very end: whoever reads the ledger for ever writes no counts either.
    if (written) unwritten_since_ = 0;
  } catch (const std::exception&) {  // no memory: the next turn tries again
  }
}

}  // namespace fugo::api
