// Mapper: every agency's pairs of old and new symbol, sorted, whatever an agency's size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/sorting.h"
#include "engine/site.h"

namespace fugo::engine {

// MappedPair is a symbol of the old generation and the same person's of the new one.
struct MappedPair {
  Block old_symbol, new_symbol;
};

// MappingPart is some of an agency's pairs, those with old symbols of a range: parts of an agency
// come one after the other in ascending order. Agency 0: record symbols.
struct MappingPart {
  keystore::AgencyNumber agency = 0;
  std::uint64_t total = 0;  // pairs of all parts
  bool first = true, last = true;
  std::span<const MappedPair> pairs;
  std::span<const KeyedRow> order;  // the pairs' positions, ascending by old symbol

  [[nodiscard]] const MappedPair& pair(std::size_t i) const { return pairs[order[i].row]; }
};

// TakePart gets the parts. It is called by several threads, for different agencies at once.
using TakePart = std::function<Status(const MappingPart&)>;

// MappingWish is an agency to be mapped.
struct MappingWish {
  keystore::AgencyNumber agency = 0;
  std::uint64_t pairs = 0;  // as count_pairs() says
};

// Mapper recomputes both generations' symbols of everyone whom an agency was issued, superseded
// people included, from one snapshot. As many agencies as fit into the memory that it is given are
// made in one pass over the people; one that does not fit is made in several passes, each for a
// range of old symbols. Not thread-safe; uses every core.
class Mapper {
 public:
  // `capacity` is the most pairs held at once (32 bytes each, and 32 more while they are sorted).
  Mapper(Site& site, std::shared_ptr<const keystore::Snapshot> snapshot,
         const keystore::GenerationRow& from, const keystore::GenerationRow& to,
         std::size_t capacity)
      : site_(site), snapshot_(std::move(snapshot)), from_(from), to_(to), capacity_(capacity) {}

  // up_to leaves out what came behind a segment, and people from an id on: what was issued since
  // the commit has no old symbol.
  void up_to(keystore::SegmentNumber segment, keystore::PersonId people) {
    last_segment_ = segment;
    people_ = people;
  }

  // count_pairs is how many pairs an agency has; for 0 how many people there are.
  [[nodiscard]] Result<std::uint64_t> count_pairs(keystore::AgencyNumber agency) const;

  // map makes all wishes. `progress` counts pairs; its error ends the work.
  [[nodiscard]] Status map(std::span<const MappingWish> wishes, const TakePart& take,
                           const std::function<Status(std::uint64_t pairs)>& progress);

 private:
  [[nodiscard]] bool is_wanted(const keystore::IssuedEntry& entry) const {
    return (!last_segment_ || entry.segment <= *last_segment_) && entry.key.id < people_limit();
  }
  [[nodiscard]] keystore::PersonId people_limit() const {
    return people_ ? std::min(*people_, snapshot_->people()) : snapshot_->people();
  }
  struct Target;
  class Filler;
  [[nodiscard]] Status map_group(std::span<const MappingWish> group, const TakePart& take,
                                 const std::function<Status(std::uint64_t)>& progress);
  [[nodiscard]] Status map_large(const MappingWish& wish, const TakePart& take,
                                 const std::function<Status(std::uint64_t)>& progress);
  [[nodiscard]] Status fill(std::span<Target> targets);
  [[nodiscard]] Status give(std::span<Target> targets, const TakePart& take,
                            const std::function<Status(std::uint64_t)>& progress);

  Site& site_;
  const std::shared_ptr<const keystore::Snapshot> snapshot_;
  const keystore::GenerationRow from_, to_;
  const std::size_t capacity_;
  std::optional<keystore::SegmentNumber> last_segment_;
  std::optional<keystore::PersonId> people_;
  SecretArray<MappedPair> pairs_;  // of the group
};

}  // namespace fugo::engine
