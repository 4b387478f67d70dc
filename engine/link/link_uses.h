// LinkUses: how often each inquiring agency asked, and how often it still may today.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/link/linking.h"
#include "keystore/types.h"

namespace fugo::engine {

// LinkUses counts for one Linking. Thread-safe.
class LinkUses {
 public:
  explicit LinkUses(std::uint64_t quota_per_day);

  // allow takes one use of the agency's quota; false when today's is used up.
  [[nodiscard]] bool allow(keystore::AgencyNumber agency);
  void count(keystore::AgencyNumber agency, bool ok);
  // take gives the counts since the last time, of the agencies that asked.
  [[nodiscard]] std::vector<LinkUse> take(const std::vector<keystore::Agency>& agencies);

 private:
  struct Counts {
    std::atomic<std::uint64_t> asked{0}, ok{0}, today{0};
  };
  void start_day_if_new();

  static constexpr std::size_t kNumbers = std::size_t{1} << 16U;
  const std::uint64_t quota_per_day_;
  const std::unique_ptr<Counts[]> counts_;  // by agency number
  std::atomic<std::int64_t> checked_{0};    // second at which the day was looked at last
  std::mutex mutex_;
  std::string day_;  // guarded by mutex_
};

}  // namespace fugo::engine
