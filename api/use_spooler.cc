#include "api/use_spooler.h"

#include <cerrno>  // program_invocation_short_name
#include <exception>
#include <utility>

#include "base/quiet_signals.h"
#include "base/text.h"

namespace fugo::api {

Result<std::unique_ptr<UseSpooler>> UseSpooler::start(engine::Linking& linking,
                                                      const std::filesystem::path& folder) {
  FUGO_ASSIGN(auto spool, daemon::UsageSpool::open(folder, program_invocation_short_name));
  std::unique_ptr<UseSpooler> made(new UseSpooler(linking, folder, std::move(spool)));
  const QuietSignals quiet;
  made->thread_ = std::thread([spooler = made.get()] { spooler->run(); });
  return made;
}

UseSpooler::UseSpooler(engine::Linking& linking, const std::filesystem::path& folder,
                       std::unique_ptr<daemon::UsageSpool> spool)
    : linking_(linking), folder_(folder), spool_(std::move(spool)), from_(unix_now()) {}

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

void UseSpooler::write() noexcept {
  // From the beginning, since a file system that hangs fails as well. Only one thread writes.
  if (unwritten_since_ == 0) unwritten_since_ = now();
  try {
    const std::int64_t to = unix_now();
    const auto uses = linking_.take_uses();
    const auto written = spool_->write(uses, from_, to);
    from_ = to;
    if (written) unwritten_since_ = 0;
    const std::lock_guard lock(mutex_);
    last_error_ = written ? std::string() : written.error().message();
  } catch (const std::exception&) {  // no memory: the next turn tries again
  }
}

}  // namespace fugo::api
