#include "engine/change/holdings.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::IssuedEntry;
using keystore::PersonId;
using keystore::SegmentNumber;

constexpr std::size_t kKeysAtOnce = 64 * 1024;
// A look-up opens a block of a hundred entries in the worst case: it costs what reading some
// dozens of entries in a row does.
constexpr std::uint64_t kEntriesALookUpCosts = 32;

std::uint64_t all_issuances(const keystore::Snapshot& snapshot) {
  std::uint64_t sum = 0;
  for (const keystore::FileRow& row : snapshot.files())
    if (row.kind == keystore::FileKind::kIssued) sum += row.entries;
  return sum;
}

// Pieces collects what several workers find, and puts it together in the order of the pieces.
class Pieces {
 public:
  explicit Pieces(std::size_t count) : pieces_(count) {}
  std::vector<Holding>& operator[](std::size_t piece) { return pieces_[piece]; }
  void append_to(std::vector<Holding>& holdings) const {
    for (const auto& piece : pieces_) holdings.insert(holdings.end(), piece.begin(), piece.end());
  }

 private:
  std::vector<std::vector<Holding>> pieces_;
};

// Key k is (agency k / people, person k % people): ascending, and never all there at once.
Status look_up(const keystore::Snapshot& snapshot, std::span<const AgencyNumber> agencies,
               std::span<const PersonId> ids, std::vector<Holding>& holdings) {
  const std::size_t count = agencies.size() * ids.size();
  Pieces pieces((count + kKeysAtOnce - 1) / kKeysAtOnce);
  FUGO_TRY(parallel_ranges(
      count, kKeysAtOnce, hardware_threads(),
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        std::vector<keystore::IssuedKey> keys;
        keys.reserve(last - first);
        for (std::size_t k = first; k < last; ++k)
          keys.push_back({agencies[k / ids.size()], ids[k % ids.size()]});
        std::vector<SegmentNumber> segments(keys.size());
        FUGO_TRY(snapshot.find_issued(keys, segments));
        auto& found = pieces[first / kKeysAtOnce];
        for (std::size_t k = 0; k < keys.size(); ++k)
          if (segments[k] != keystore::kNoSegment)
            found.push_back({keys[k].agency, static_cast<std::uint32_t>((first + k) % ids.size()),
                             segments[k]});
        return {};
      }));
  pieces.append_to(holdings);
  return {};
}

Status scan(const keystore::Snapshot& snapshot, std::span<const AgencyNumber> agencies,
            std::span<const PersonId> ids, std::vector<Holding>& holdings) {
  Pieces pieces(agencies.size());
  FUGO_TRY(parallel_ranges(agencies.size(), 1, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             for (std::size_t i = first; i < last; ++i) {
                               auto& found = pieces[i];
                               auto person = ids.begin();
                               FUGO_TRY(snapshot.scan_issued(
                                   agencies[i], ids.front(), ids.back() + 1,
                                   [&](std::span<const IssuedEntry> entries) -> Status {
                                     for (const IssuedEntry& entry : entries) {
                                       while (person != ids.end() && *person < entry.key.id)
                                         ++person;
                                       if (person == ids.end()) return {};
                                       if (*person == entry.key.id)
                                         found.push_back(
                                             {entry.key.agency,
                                              static_cast<std::uint32_t>(person - ids.begin()),
                                              entry.segment});
                                     }
                                     return {};
                                   }));
                             }
                             return {};
                           }));
  pieces.append_to(holdings);
  return {};
}

}  // namespace

Status find_holdings(const keystore::Snapshot& snapshot, std::span<const keystore::Agency> agencies,
                     std::span<const PersonId> sorted_ids, std::vector<Holding>& holdings) {
  holdings.clear();
  if (sorted_ids.empty() || agencies.empty()) return {};
  std::vector<AgencyNumber> numbers;
  for (const keystore::Agency& agency : agencies) numbers.push_back(agency.number);
  std::sort(numbers.begin(), numbers.end());
  const std::uint64_t look_ups = std::uint64_t{numbers.size()} * sorted_ids.size();
  if (look_ups * kEntriesALookUpCosts < all_issuances(snapshot))
    return look_up(snapshot, numbers, sorted_ids, holdings);
  return scan(snapshot, numbers, sorted_ids, holdings);
}

}  // namespace fugo::engine
