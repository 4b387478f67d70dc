// What systemd is told: ready, reloading, stopping, status lines, and that the daemon lives.
#pragma once

#include <chrono>
#include <string>

namespace fugo::daemon {

// Notifier sends to $NOTIFY_SOCKET; where there is none, nothing is sent. One thread.
class Notifier {
 public:
  Notifier();

  void ready();
  void reloading();
  void stopping();
  // status sends a line when it differs from the last one.
  void status(const std::string& line);
  // alive feeds the watchdog, if it is due.
  void alive();

  // watchdog_interval is half of what systemd waits for; zero: there is no watchdog.
  [[nodiscard]] std::chrono::milliseconds watchdog_interval() const { return interval_; }

 private:
  std::chrono::milliseconds interval_{0};
  std::chrono::steady_clock::time_point fed_;
  std::string last_status_;
};

}  // namespace fugo::daemon
