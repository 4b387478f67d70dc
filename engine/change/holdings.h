// Which agencies hold which people.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/snapshot.h"
#include "keystore/types.h"

namespace fugo::engine {

// Holding is one issuance of one of the people who were asked for.
struct Holding {
  keystore::AgencyNumber agency = 0;
  std::uint32_t person = 0;  // position in the ids
  keystore::SegmentNumber segment = keystore::kNoSegment;
};

// find_holdings fills `holdings`, sorted by (agency, id), with every issuance of people
// `sorted_ids` (ascending, without repeats) to any of `agencies`. Issuances are sorted by agency
// first, so all agencies are worked through: by look-ups where few people are asked for, else by
// reading all issuances once. Memory grows with the result only. Uses every core.
[[nodiscard]] Status find_holdings(const keystore::Snapshot& snapshot,
                                   std::span<const keystore::Agency> agencies,
                                   std::span<const keystore::PersonId> sorted_ids,
                                   std::vector<Holding>& holdings);

}  // namespace fugo::engine
