// Counts of uses, left for the daemon to journal while a handle is open and when it is closed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "daemon/link_day.h"
#include "daemon/link_usage.h"
#include "engine/link/linking.h"

namespace fugo::api {

// UseSpooler takes the uses of a Linking, which must outlive it, about once a minute and at its
// end, lets it know what others used of the day's quotas, and tells when linking must stop because
// they cannot be left.
class UseSpooler {
 public:
  // start fails when no counts can be left in `folder`: uses that nobody would count are refused.
  // `quota` is the site's time zone where a day's quota is kept to, which then begins with what
  // others used today and learns of more at each turn.
  [[nodiscard]] static Result<std::unique_ptr<UseSpooler>> start(
      engine::Linking& linking, const std::filesystem::path& folder,
      const std::optional<Calendar>& quota = {});
  ~UseSpooler();
  UseSpooler(const UseSpooler&) = delete;
  UseSpooler& operator=(const UseSpooler&) = delete;

  // overdue tells that for kMostTurns turns no counts could be left, whether writing them fails or
  // never ends: what nobody would count is not answered. It ends with the next counts that are
  // left.
  [[nodiscard]] bool overdue() const {
    const auto since = unwritten_since_.load(std::memory_order_relaxed);
    return since != 0 && now() - since > kMostTurns * every_.load(std::memory_order_relaxed);
  }
  // last_error is why the last counts could not be left, and that linking has stopped for it;
  // empty: they could. They are kept.
  [[nodiscard]] std::string last_error() const;

  // turn_every is for tests, which cannot wait for minutes.
  void turn_every(std::chrono::milliseconds time) {
    const std::lock_guard lock(mutex_);
    every_ = std::chrono::nanoseconds(time).count();
    woken_ = true;
    wake_.notify_all();
  }

 private:
  static constexpr std::int64_t kMostTurns = 3;
  static std::int64_t now() {  // nanoseconds, of a clock that nobody sets; never zero
    return std::chrono::steady_clock::now().time_since_epoch().count() | 1;
  }
  UseSpooler(engine::Linking& linking, const std::filesystem::path& folder,
             std::unique_ptr<daemon::UsageSpool> spool, const std::optional<Calendar>& quota);
  void run();
  void write() noexcept;
  [[nodiscard]] bool stopping() const;
  [[nodiscard]] Status learn();
  [[nodiscard]] Status leave();

  engine::Linking& linking_;
  const std::filesystem::path folder_;
  const std::unique_ptr<daemon::UsageSpool> spool_;
  // Of the thread, and of the destructor after it.
  std::int64_t from_;                   // since when it counts
  keystore::BlockCounts blocks_;        // that were left, or are the spool's
  std::optional<daemon::LinkDay> day_;  // what everybody used of the quotas

  std::atomic<std::int64_t> every_ = std::chrono::nanoseconds(std::chrono::minutes(1)).count();
  // When the first write began that was not followed by a good one; 0: there is none.
  std::atomic<std::int64_t> unwritten_since_{0};

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  bool stopping_ = false, woken_ = false;
  std::string last_error_;

  std::thread thread_;
};

}  // namespace fugo::api
