#include "engine/merge/held_people.h"

#include <algorithm>

namespace fugo::engine {
namespace {

constexpr keystore::PersonId kIdsAtOnce = 1U << 20U;

}  // namespace

void HeldPeople::start_over() {
  ids_.clear();
  first_ = 0;
  next_id_ = 0;
}

void HeldPeople::drop_before(std::uint64_t row) {
  const auto count = std::min<std::uint64_t>(row - first_, ids_.size());
  ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(count));
  first_ += count;
}

Result<std::span<const keystore::PersonId>> HeldPeople::rows(const keystore::Snapshot& snapshot,
                                                             std::uint64_t first,
                                                             std::size_t count) {
  if (first < first_) start_over();
  const keystore::PersonId end = snapshot.people();
  for (drop_before(first); first_ < first || ids_.size() < count; drop_before(first)) {
    if (next_id_ >= end)
      return fail(ErrorCode::kDamaged, "an agency holds fewer people than it did", "issued files",
                  "run fugo verify");
    const keystore::PersonId last = next_id_ + std::min(kIdsAtOnce, end - next_id_);
    FUGO_TRY(snapshot.scan_issued(agency_, next_id_, last,
                                  [&](std::span<const keystore::IssuedEntry> entries) -> Status {
                                    for (const auto& entry : entries) ids_.push_back(entry.key.id);
                                    return {};
                                  }));
    next_id_ = last;
  }
  return std::span<const keystore::PersonId>(ids_).first(count);
}

}  // namespace fugo::engine
