// Counts of uses, left for the daemon to journal while a handle is open and when it is closed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "daemon/link_usage.h"
#include "engine/link/linking.h"

namespace fugo::api {

// UseSpooler takes the uses of a Linking, which must outlive it, about once a minute and at its
// end.
class UseSpooler {
 public:
  // start fails when no counts can be left in `folder`: uses that nobody would count are refused.
  [[nodiscard]] static Result<std::unique_ptr<UseSpooler>> start(
      engine::Linking& linking, const std::filesystem::path& folder);
  ~UseSpooler();
  UseSpooler(const UseSpooler&) = delete;
  UseSpooler& operator=(const UseSpooler&) = delete;

  // last_error is why the last counts could not be left; empty: they could. They are kept.
  [[nodiscard]] std::string last_error() const;

 private:
  UseSpooler(engine::Linking& linking, std::unique_ptr<daemon::UsageSpool> spool);
  void run();
  void write() noexcept;

  engine::Linking& linking_;
  const std::unique_ptr<daemon::UsageSpool> spool_;
  std::int64_t from_;  // since when it counts; of the thread, and of the destructor after it

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable stop_;
  bool stopping_ = false;
  std::string last_error_;

  std::thread thread_;
};

}  // namespace fugo::api
