// LinkUses: how often each inquiring agency asked, and how often it still may today.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/calendar.h"
#include "engine/link/linking.h"
#include "keystore/types.h"

namespace fugo::engine {

// UsedQuota is what was used of the quotas of one ledger's agencies, by agency number. A number is
// the newest day with a use, in the bits above kUsedBits, and its uses: one, so that no use is
// taken for another day's.
struct UsedQuota {
  static constexpr std::size_t kNumbers = std::size_t{1} << 16U;
  static constexpr unsigned kUsedBits = 44;
  static constexpr std::uint64_t kUsed = (std::uint64_t{1} << kUsedBits) - 1;
  std::array<std::atomic<std::uint64_t>, kNumbers> of_day{};
};

// used_quota gives what all Linkings of this process that open a ledger, or open it again, share.
[[nodiscard]] std::shared_ptr<UsedQuota> used_quota(const Block& ledger_id);

// LinkUses counts for one Linking. Thread-safe.
class LinkUses {
 public:
  LinkUses(std::uint64_t quota_per_day, Calendar calendar,
           std::shared_ptr<UsedQuota> used = std::make_shared<UsedQuota>());

  // today is the day that allow() and give_back() are told.
  [[nodiscard]] std::uint64_t today() const;
  // allow takes one use of the agency's quota of the day; false when that is used up.
  [[nodiscard]] bool allow(keystore::AgencyNumber agency, std::uint64_t day);
  // give_back is for a use that was allowed and came to no answer.
  void give_back(keystore::AgencyNumber agency, std::uint64_t day);
  // raise: at least so many uses of the agency's quota of the day are used.
  void raise(keystore::AgencyNumber agency, std::uint64_t day, std::uint64_t used);
  // count: `in_vain` is for a use that came to no answer, which is not `ok`.
  void count(keystore::AgencyNumber agency, bool ok, bool in_vain = false);
  // take gives the counts since the last time, of the agencies that asked.
  [[nodiscard]] std::vector<LinkUse> take(const std::vector<keystore::Agency>& agencies);

 private:
  struct Counts {
    std::atomic<std::uint64_t> ok{0}, other{0}, in_vain{0};  // each use is in one of them
  };

  const std::uint64_t quota_per_day_;
  const Calendar calendar_;
  const std::shared_ptr<UsedQuota> used_;
  const std::unique_ptr<Counts[]> counts_;  // by agency number
};

}  // namespace fugo::engine
