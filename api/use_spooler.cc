#include "api/use_spooler.h"

#include <cerrno>  // program_invocation_short_name
#include <exception>
#include <utility>

#include "base/quiet_signals.h"
#include "base/text.h"

namespace fugo::api {
namespace {
constexpr std::chrono::minutes kEvery{1};
}

Result<std::unique_ptr<UseSpooler>> UseSpooler::start(engine::Linking& linking,
                                                      const std::filesystem::path& folder) {
  FUGO_ASSIGN(auto spool, daemon::UsageSpool::open(folder, program_invocation_short_name));
  std::unique_ptr<UseSpooler> made(new UseSpooler(linking, std::move(spool)));
  const QuietSignals quiet;
  made->thread_ = std::thread([spooler = made.get()] { spooler->run(); });
  return made;
}

UseSpooler::UseSpooler(engine::Linking& linking, std::unique_ptr<daemon::UsageSpool> spool)
    : linking_(linking), spool_(std::move(spool)), from_(unix_now()) {}

UseSpooler::~UseSpooler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
  write();
}

std::string UseSpooler::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void UseSpooler::run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kEvery, [this] { return stopping_; })) {
    lock.unlock();
    write();
    lock.lock();
  }
}

void UseSpooler::write() noexcept {
  try {
    const std::int64_t now = unix_now();
    const auto uses = linking_.take_uses();
    const auto written = spool_->write(uses, from_, now);
    from_ = now;
    const std::lock_guard lock(mutex_);
    last_error_ = written ? std::string() : written.error().message();
  } catch (const std::exception&) {  // no memory: the next turn tries again
  }
}

}  // namespace fugo::api
