// Finding those of a segment's people who start from an older linkage generation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/index_look.h"
#include "engine/starts.h"

namespace fugo::engine {

// Elders says, row by row, who was found. Its memory is kept and used again.
struct Elders {
  std::vector<keystore::PersonId> ids;       // kNoPerson: nobody
  SecretArray<Block> symbols;                // in the active generation
  SecretArray<keystore::CheckValue> checks;  // in the active generation
  std::vector<std::uint16_t> counters;
  std::vector<std::uint64_t> digests;  // of the symbols
};

// ElderWork is memory for as many items as there are rows, to be used as it likes.
struct ElderWork {
  std::span<Block> symbols;
  std::span<keystore::CheckValue> checks;
};

// ElderFinder derives what each row's person would have if they started from one generation, and
// looks that up: under counter 0, and under the next one as long as somebody else has the symbol,
// or somebody who had it may have been deleted (Snapshot::probe_to). Every start is tried for
// every row: who is found in two is damage. Not thread-safe.
class ElderFinder {
 public:
  ElderFinder(Symbols& symbols, const keystore::LedgerKeys& keys,
              const keystore::Snapshot& snapshot, keystore::Generation active, Elders& elders)
      : symbols_(symbols),
        look_(keys, snapshot, active),
        probe_to_(snapshot.probe_to()),
        elders_(elders) {}

  // run tries all of `starts`, which must have a path each.
  [[nodiscard]] Status run(std::span<const Start> starts, std::span<const std::uint64_t> codes,
                           const ElderWork& work);

 private:
  [[nodiscard]] Status search(const Start& start, std::span<const std::uint64_t> codes,
                              const ElderWork& work);
  // settle looks symbols up: symbols[i] is of the row rows[i], or i when `rows` is empty.
  [[nodiscard]] Status settle(std::span<const std::uint32_t> rows, std::span<const Block> symbols,
                              std::span<const keystore::CheckValue> checks, std::uint16_t counter);

  Symbols& symbols_;
  IndexLook look_;
  const std::uint16_t probe_to_;
  Elders& elders_;
  std::vector<std::uint64_t> digests_;
  std::vector<KeyedRow> sorted_;
  std::vector<std::uint32_t> open_;  // rows for the next counter, ascending
};

// found_twice is the error of a resident code that leads to two people.
[[nodiscard]] tl::unexpected<Error> found_twice(keystore::PersonId one, keystore::PersonId other);

}  // namespace fugo::engine
