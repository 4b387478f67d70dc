// Accepted: the generations whose agency symbols are resolved, and what there is of the older ones.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::engine {

// Accepted is a generation whose symbols are resolved.
struct Accepted {
  keystore::GenerationRow row;
  // Issuances of later segments have no symbols of this generation: it was not active any more.
  keystore::SegmentNumber last_segment = 0xFFFFFFFF;
};

// accepted_of lists them: the active one first, then the newest. kDamaged when none is active.
[[nodiscard]] Result<std::vector<Accepted>> accepted_of(
    std::span<const keystore::GenerationRow> generations, std::span<const keystore::RunRow> runs);

// version_for is how an agency's symbols of a generation are made: by its newest version that is
// not newer; nullptr when it has no symbols in this generation.
[[nodiscard]] const keystore::AgencyVersion* version_for(const keystore::Agency& agency,
                                                         keystore::Generation generation);

// same_symbols tells whether an agency's symbols are the same in two generations: only other keys,
// or other agencies' parameters, differ then.
[[nodiscard]] bool same_symbols(const keystore::Agency& agency, const keystore::GenerationRow& one,
                                const keystore::GenerationRow& other);

}  // namespace fugo::engine
