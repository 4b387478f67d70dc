#include "daemon/service/notifier.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include <cstdint>
#include <ctime>

namespace fugo::daemon {

Notifier::Notifier() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) > 0)
    interval_ = std::chrono::milliseconds(microseconds / 2000);
}

void Notifier::ready() { ::sd_notify(0, "READY=1"); }

void Notifier::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
  ::sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds).c_str());
}

void Notifier::stopping() { ::sd_notify(0, "STOPPING=1"); }

void Notifier::status(const std::string& line) {
  if (line == last_status_) return;
  last_status_ = line;
  ::sd_notify(0, ("STATUS=" + line).c_str());
}

void Notifier::alive() {
  const auto now = std::chrono::steady_clock::now();
  if (interval_.count() == 0 || now - fed_ < interval_) return;
  fed_ = now;
  ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace fugo::daemon
