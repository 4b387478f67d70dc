// A progress bar on standard error, drawn only on a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace fugo::daemon {

// Progress draws "title [####    ] 41 % 410,000/1,000,000 205,000/s 3 s left" at most ten times a
// second. Thread-safe. No Debian 12 package has a progress bar for C++, hence this small one.
class Progress {
 public:
  // With `enabled` false, or standard error not a terminal, nothing is ever written.
  explicit Progress(std::string title, bool enabled = true);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // update tells how many of `total` items are done; total 0: not known yet.
  void update(std::uint64_t done, std::uint64_t total);
  // stage gives the bar another title and starts its clock again.
  void stage(const std::string& title);

 private:
  using Clock = std::chrono::steady_clock;
  void clear();

  const bool enabled_;
  std::mutex mutex_;  // guards what follows
  std::string title_;
  Clock::time_point started_;
  Clock::time_point drawn_;
  std::uint64_t first_done_ = 0;  // what was done before the clock started
  bool counting_ = false;
  bool visible_ = false;
};

// progress_line is the text of one bar (without control characters), for `seconds` of work on
// `done - first_done` items.
[[nodiscard]] std::string progress_line(const std::string& title, std::uint64_t first_done,
                                        std::uint64_t done, std::uint64_t total, double seconds);

// duration_text writes a duration for people: "90 s", "5 min 03 s", "3 h 20 min", "4 days 01 h".
[[nodiscard]] std::string duration_text(double seconds);

// grouped writes a number with commas: "1,000,000".
[[nodiscard]] std::string grouped(std::uint64_t number);

}  // namespace fugo::daemon
