#include "engine/link/link_uses.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/per_process.h"
#include "base/text.h"

namespace fugo::engine {

namespace {

constexpr unsigned kUsedBits = UsedQuota::kUsedBits;
constexpr std::uint64_t kUsed = UsedQuota::kUsed;

struct UsedQuotas {
  std::mutex mutex;
  std::map<Block, std::shared_ptr<UsedQuota>> of_ledger;  // kept: closing a handle renews no quota
};

}  // namespace

std::shared_ptr<UsedQuota> used_quota(const Block& ledger_id) {
  auto& all = per_process<UsedQuotas>();
  const std::lock_guard lock(all.mutex);
  auto& used = all.of_ledger[ledger_id];
  if (!used) used = std::make_shared<UsedQuota>();
  return used;
}

LinkUses::LinkUses(std::uint64_t quota_per_day, Calendar calendar, std::shared_ptr<UsedQuota> used)
    : quota_per_day_(std::min(quota_per_day, kUsed)),
      calendar_(std::move(calendar)),
      used_(std::move(used)),
      counts_(std::make_unique<Counts[]>(UsedQuota::kNumbers)) {}

std::uint64_t LinkUses::today() const {
  if (quota_per_day_ == 0) return 0;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(calendar_.day(unix_now()), 0));
}

bool LinkUses::allow(keystore::AgencyNumber agency, std::uint64_t day) {
  if (quota_per_day_ == 0) return true;
  auto& of_day = used_->of_day[agency];
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
  auto& of_day = used_->of_day[agency];
  std::uint64_t seen = of_day.load(std::memory_order_relaxed);
  while (seen >> kUsedBits == day && (seen & kUsed) != 0)
    if (of_day.compare_exchange_weak(seen, seen - 1, std::memory_order_relaxed)) return;
}

void LinkUses::raise(keystore::AgencyNumber agency, std::uint64_t day, std::uint64_t used) {
  if (quota_per_day_ == 0) return;
  auto& of_day = used_->of_day[agency];
  const std::uint64_t least = day << kUsedBits | std::min(used, kUsed);
  std::uint64_t seen = of_day.load(std::memory_order_relaxed);
  while (seen < least && !of_day.compare_exchange_weak(seen, least, std::memory_order_relaxed)) {
  }
}

void LinkUses::count(keystore::AgencyNumber agency, bool ok, bool in_vain) {
  auto& counts = counts_[agency];
  (ok        ? counts.ok
   : in_vain ? counts.in_vain
             : counts.other)
      .fetch_add(1, std::memory_order_relaxed);
}

std::vector<LinkUse> LinkUses::take(const std::vector<keystore::Agency>& agencies) {
  std::vector<LinkUse> uses;
  for (const auto& agency : agencies) uses.push_back({agency.code, 0, 0});
  // Nothing can fail any more: counts that are taken arrive.
  for (std::size_t i = 0; i < agencies.size(); ++i) {
    Counts& counts = counts_[agencies[i].number];
    uses[i].ok = counts.ok.exchange(0);
    uses[i].in_vain = counts.in_vain.exchange(0);
    uses[i].asked = uses[i].ok + uses[i].in_vain + counts.other.exchange(0);
  }
  std::erase_if(uses, [](const LinkUse& use) { return use.asked == 0; });
  return uses;
}

}  // namespace fugo::engine
