// The real daemon `fugod` on a real site, for tests.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {

// wait_for asks `done` until it is true; false after a minute, which fails the test that expects
// true. No test waits for a time: only for what must come.
[[nodiscard]] bool wait_for(const std::function<bool()>& done);

// RunningDaemon is a fugod of this build on a site, told by $NOTIFY_SOCKET how it does.
class RunningDaemon {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  // Starts it and waits until it says that it is ready, or has ended.
  explicit RunningDaemon(const TestSite& site, const Environment& environment = {});
  // Not waiting: for tests of the start itself.
  struct DontWait {};
  RunningDaemon(const TestSite& site, DontWait, const Environment& environment = {});
  ~RunningDaemon();  // kills what is left
  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // stop sends SIGTERM; end waits for the end by itself. Both give the exit code, 128 + number
  // when a signal ended it.
  int stop();
  int end();
  [[nodiscard]] bool ended();
  void kill_now();  // SIGKILL, and waits

  // notices are all messages to systemd so far, a line each.
  [[nodiscard]] const std::string& notices();
  [[nodiscard]] std::string log() const;

 private:
  void start(const TestSite& site, const Environment& environment);
  std::filesystem::path scratch_, log_;
  int socket_ = -1;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  std::string notices_;
};

// drop puts a request into the inbox as a sender must: under a hidden name, then renamed.
void drop(const TestSite& site, const std::string& name, const std::string& text);

// folder names one of the daemon's folders of a site.
[[nodiscard]] std::filesystem::path folder(const TestSite& site, const std::string& name);
// answered tells whether a request's answers are in the outbox.
[[nodiscard]] bool answered(const TestSite& site, const std::string& id);
[[nodiscard]] bool refused(const TestSite& site, const std::string& id);
// entries lists the names in a folder that do not begin with a dot, sorted.
[[nodiscard]] std::vector<std::string> entries(const std::filesystem::path& folder);

}  // namespace fugo::test
