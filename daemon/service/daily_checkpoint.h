// A signed checkpoint a day, where the copies of the journal are: see docs/operation.md, "Journal".
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "engine/site.h"

namespace fugo::daemon {

// daily_checkpoint_name is the file of the day that it is now, where the site is.
[[nodiscard]] std::string daily_checkpoint_name();

// DailyCheckpoint puts checkpoint-2026-11-22.note into each folder of journal.copies that has none
// of that day. What is there is never replaced. Of one thread.
class DailyCheckpoint {
 public:
  using Clock = std::chrono::steady_clock;

  explicit DailyCheckpoint(const Settings& settings) : settings_(settings) {}

  // look makes what is missing. After a failure it does nothing for ten minutes, for it reads the
  // whole journal each time.
  [[nodiscard]] Status look(engine::Site& site);

 private:
  [[nodiscard]] Status make(engine::Site& site, const std::vector<std::filesystem::path>& files);

  const Settings& settings_;
  std::optional<Clock::time_point> not_before_;
};

}  // namespace fugo::daemon
