#include "engine/issue/index_look.h"

#include <algorithm>
#include <string>

#include "base/parallel.h"

namespace fugo::engine {
namespace {

using keystore::IndexHit;

constexpr std::size_t kLookUpGrain = 32 * 1024;
constexpr std::size_t kDigestGrain = 64 * 1024;

}  // namespace

bool same_secret(const Block& a, const Block& b) {
  const Block difference = a ^ b;
  return (load_be<std::uint64_t>(difference.bytes.data()) |
          load_be<std::uint64_t>(difference.bytes.data() + 8)) == 0;
}

bool same_secret(const keystore::CheckValue& a, const keystore::CheckValue& b) {
  return (load_be<std::uint64_t>(a.data()) ^ load_be<std::uint64_t>(b.data())) == 0;
}

Status IndexLook::sort(std::span<const Block> symbols, std::span<std::uint64_t> digests,
                       std::vector<KeyedRow>& sorted) {
  FUGO_TRY(parallel_ranges(symbols.size(), kDigestGrain, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             return keys_.symbol_digests(symbols.subspan(first, last - first),
                                                         digests.subspan(first, last - first));
                           }));
  sorted.resize(digests.size());
  for (std::size_t i = 0; i < digests.size(); ++i)
    sorted[i] = {digests[i], static_cast<std::uint32_t>(i)};
  sort_by_key(sorted, scratch_);
  return {};
}

// In pieces on every core.
Status IndexLook::look_up(const std::vector<KeyedRow>& sorted) {
  hits_.clear();
  if (snapshot_.people() == 0) return {};
  std::vector<std::uint64_t> queries(sorted.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) queries[i] = sorted[i].key;
  std::vector<std::vector<IndexHit>> pieces((sorted.size() + kLookUpGrain - 1) / kLookUpGrain);
  FUGO_TRY(
      parallel_ranges(sorted.size(), kLookUpGrain, hardware_threads(),
                      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                        auto& hits = pieces[first / kLookUpGrain];
                        FUGO_TRY(snapshot_.find_people(
                            generation_, std::span(queries).subspan(first, last - first), hits));
                        for (IndexHit& hit : hits) hit.query += static_cast<std::uint32_t>(first);
                        return {};
                      }));
  for (const auto& piece : pieces) hits_.insert(hits_.end(), piece.begin(), piece.end());
  return {};
}

Status IndexLook::read_records() {
  std::sort(doubtful_.begin(), doubtful_.end());
  doubtful_.erase(std::unique(doubtful_.begin(), doubtful_.end()), doubtful_.end());
  FUGO_ASSIGN(records_, SecretArray<keystore::PersonRecord>::create(doubtful_.size()));
  return snapshot_.read_people(generation_, doubtful_, records_.span());
}

Result<IndexLook::Found> IndexLook::judge(std::span<const IndexHit> hits, const Block& symbol,
                                          const keystore::CheckValue& check) const {
  Found found;
  for (const IndexHit& hit : hits) {
    if (hit.tag == keystore::symbol_tag(check)) return Found{hit.id, false};
    const auto at = std::lower_bound(doubtful_.begin(), doubtful_.end(), hit.id);
    const auto& record = records_[static_cast<std::size_t>(at - doubtful_.begin())];
    if (!same_secret(record.linkage_symbol, symbol)) continue;
    if (same_secret(record.check_value, check))
      return fail(ErrorCode::kDamaged, "an index entry's tag is not its person's",
                  "person " + std::to_string(hit.id), "run fugo verify");
    found.occupied = true;
  }
  return found;
}

}  // namespace fugo::engine
