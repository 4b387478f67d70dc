// Starts: the linkage generations that people start from, and the way from each to the active one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/symbols.h"
#include "keystore/types.h"

namespace fugo::engine {

// Start is a linkage generation that people start from: their linkage symbol and check value were
// made of the resident code by its key and method, and chained by every key of `path` since.
struct Start {
  keystore::GenerationRow made_by;
  std::vector<keystore::GenerationRow> path;  // oldest first; empty: it is the active one
};

// starts_of lists the starts that have to be tried to find a person by resident code, oldest
// first: those that anybody starts from, and at the end the active one, whose people new ones
// become. kDamaged when no generation is active, or the chain of one leads nowhere.
[[nodiscard]] Result<std::vector<Start>> starts_of(
    std::span<const keystore::GenerationRow> generations);

// derive makes of each resident code the linkage symbol that the person has in the active
// generation when they start from `start`, and the check value. With `counters` (empty: all 0) the
// check values are of no use: a person's does not depend on the counter.
[[nodiscard]] Status derive(Symbols& symbols, const Start& start,
                            std::span<const std::uint64_t> codes,
                            std::span<const std::uint16_t> counters,
                            std::span<Block> linkage_symbols,
                            std::span<keystore::CheckValue> checks);

}  // namespace fugo::engine
