#include "engine/link/link_uses.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace fugo::engine {

LinkUses::LinkUses(std::uint64_t quota_per_day, Calendar calendar)
    : quota_per_day_(std::min(quota_per_day, kUsed)),
      calendar_(std::move(calendar)),
      counts_(std::make_unique<Counts[]>(kNumbers)) {}

std::uint64_t LinkUses::today() const {
  if (quota_per_day_ == 0) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(calendar_.day(unix_now()), 0));
}

bool LinkUses::allow(keystore::AgencyNumber agency, std::uint64_t day) {
  if (quota_per_day_ == 0) return true;
  auto& of_day = counts_[agency].of_day;
  std::uint64_t seen = of_day.load(std::memory_order_relaxed);
  for (;;) {
    // A call that began before midnight may come when the new day has uses: it is one of them.
    const std::uint64_t newest = std::max(day, seen >> kUsedBits);
    const std::uint64_t used = newest == seen >> kUsedBits ? seen & kUsed : 0;
    if (used >= quota_per_day_) return false;
    if (of_day.compare_exchange_weak(seen, newest << kUsedBits | (used + 1),
                                     std::memory_order_relaxed))
      return true;
  }
}

void LinkUses::give_back(keystore::AgencyNumber agency, std::uint64_t day) {
  if (quota_per_day_ == 0) return;
  auto& of_day = counts_[agency].of_day;
  std::uint64_t seen = of_day.load(std::memory_order_relaxed);
  while (seen >> kUsedBits == day && (seen & kUsed) != 0)
    if (of_day.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) return;
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
