#include "engine/issue/issuances.h"

#include <string>

#include "base/parallel.h"

namespace fugo::engine {
namespace {

using keystore::PersonId;

constexpr std::size_t kLookUpGrain = 32 * 1024;

constexpr std::uint64_t pack(keystore::AgencyNumber agency, PersonId id) {
  return std::uint64_t{agency} << 32U | id;
}
constexpr PersonId id_of(std::uint64_t key) { return static_cast<PersonId>(key); }

}  // namespace

Status Issuances::find(const keystore::Snapshot& snapshot,
                       std::span<const keystore::AgencyNumber> agencies,
                       std::span<const PersonId> ids, PersonId first_new_person,
                       keystore::SegmentNumber segment) {
  const bool any_patched = snapshot.any_patched();
  // Answers made again tell what was so in their segment: who was superseded later was not yet.
  const auto superseded = [&](PersonId id) {
    const keystore::SegmentNumber in = snapshot.superseded_in(id);
    return in != keystore::kNoSegment && (segment == keystore::kNoSegment || in < segment);
  };
  results_.assign(ids.size(), RowResult::kExisting);
  new_rows_.clear();
  sorted_.clear();
  for (std::uint32_t row = 0; row < ids.size(); ++row) {
    if (any_patched && ids[row] < first_new_person && superseded(ids[row]))
      results_[row] = RowResult::kSuperseded;
    else
      sorted_.push_back({pack(agencies[row], ids[row]), row});
  }
  sort_by_key(sorted_, scratch_);
  FUGO_TRY(look_up(snapshot, first_new_person));

  std::size_t known = 0;
  for (std::size_t at = 0; at < sorted_.size(); ++at) {
    if (at != 0 && sorted_[at].key == sorted_[at - 1].key) continue;
    bool is_new = true;
    if (id_of(sorted_[at].key) < first_new_person) {
      const keystore::SegmentNumber found = known_segments_[known++];
      is_new = found == segment;  // kNoSegment while issuing: nobody has it
      if (segment != keystore::kNoSegment && (found == keystore::kNoSegment || found > segment))
        return fail(ErrorCode::kRefused,
                    "an issuance of this answered request is not in the ledger",
                    "segment " + std::to_string(segment),
                    "people were deleted since; the answers cannot be made again");
    }
    if (!is_new) continue;
    results_[sorted_[at].row] = RowResult::kNew;
    new_rows_.push_back(sorted_[at].row);
  }
  return {};
}

Status Issuances::look_up(const keystore::Snapshot& snapshot, PersonId first_new_person) {
  known_keys_.clear();
  for (std::size_t at = 0; at < sorted_.size(); ++at) {
    const std::uint64_t key = sorted_[at].key;
    if ((at != 0 && key == sorted_[at - 1].key) || id_of(key) >= first_new_person) continue;
    known_keys_.push_back({static_cast<keystore::AgencyNumber>(key >> 32U), id_of(key)});
  }
  known_segments_.resize(known_keys_.size());
  return parallel_ranges(known_keys_.size(), kLookUpGrain, hardware_threads(),
                         [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                           const std::size_t count = last - first;
                           return snapshot.find_issued(
                               std::span(known_keys_).subspan(first, count),
                               std::span(known_segments_).subspan(first, count));
                         });
}

}  // namespace fugo::engine
