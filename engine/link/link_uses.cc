#include "engine/link/link_uses.h"

#include "base/text.h"

namespace fugo::engine {

LinkUses::LinkUses(std::uint64_t quota_per_day)
    : quota_per_day_(quota_per_day),
      counts_(std::make_unique<Counts[]>(kNumbers)),
      checked_(unix_now()),
      // So that no thread counts while another is still beginning the first day.
      day_(local_day(checked_)) {}

void LinkUses::start_day_if_new() {
  const std::int64_t now = unix_now();
  if (checked_.exchange(now, std::memory_order_relaxed) == now) return;
  const std::string today = local_day(now);
  const std::lock_guard lock(mutex_);
  if (today == day_) return;
  day_ = today;
  for (std::size_t i = 0; i < kNumbers; ++i) counts_[i].today = 0;
}

bool LinkUses::allow(keystore::AgencyNumber agency) {
  if (quota_per_day_ == 0) return true;
  start_day_if_new();
  return counts_[agency].today.fetch_add(1, std::memory_order_relaxed) < quota_per_day_;
}

void LinkUses::count(keystore::AgencyNumber agency, bool ok) {
  counts_[agency].asked.fetch_add(1, std::memory_order_relaxed);
  if (ok) counts_[agency].ok.fetch_add(1, std::memory_order_relaxed);
}

std::vector<LinkUse> LinkUses::take(const std::vector<keystore::Agency>& agencies) {
  std::vector<LinkUse> uses;
  for (const auto& agency : agencies) {
    Counts& counts = counts_[agency.number];
    const std::uint64_t asked = counts.asked.exchange(0);
    if (asked != 0) uses.push_back({agency.code, asked, counts.ok.exchange(0)});
  }
  return uses;
}

}  // namespace fugo::engine
