#include "daemon/service/daily_checkpoint.h"

#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/journal/signed_checkpoint.h"

namespace fugo::daemon {
namespace {
constexpr std::chrono::minutes kPause{10};
}

std::string daily_checkpoint_name() {
  constexpr std::size_t kDateLength = 10;
  return "checkpoint-" + format_time(unix_now()).substr(0, kDateLength) + ".note";
}

Status DailyCheckpoint::look(engine::Site& site) {
  if (not_before_ && Clock::now() < *not_before_) return {};
  std::vector<std::filesystem::path> missing;
  std::error_code ignored;
  for (const auto& folder : settings_.journal_copies)
    if (const auto file = folder / daily_checkpoint_name();
        !std::filesystem::is_regular_file(std::filesystem::symlink_status(file, ignored)))
      missing.push_back(file);
  if (missing.empty()) return {};
  auto made = make(site, missing);
  not_before_.reset();
  if (!made) not_before_ = Clock::now() + kPause;
  return made;
}

Status DailyCheckpoint::make(engine::Site& site, const std::vector<std::filesystem::path>& files) {
  FUGO_ASSIGN(const auto made, sign_site_checkpoint(site.token(), site.ledger(), settings_));
  Status first;
  for (const auto& file : files)
    if (auto written = write_durably(file, as_bytes(made.note), 0644); !written && first)
      first = std::move(written);
  return first;
}

}  // namespace fugo::daemon
