// Finding the people of a segment's rows: in the ledger, or new, with collisions told apart.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/elder_finder.h"
#include "engine/issue/index_look.h"
#include "engine/issue/sorting.h"
#include "engine/starts.h"
#include "engine/symbols.h"
#include "keystore/ledger_keys.h"
#include "keystore/snapshot.h"

namespace fugo::engine {

// PeopleColumns says, row by row, who a segment's rows are about. Made once and used again for
// each segment, since secret memory is dear to allocate.
struct PeopleColumns {
  SecretArray<Block> symbols;                // linkage symbol of the row's person
  SecretArray<keystore::CheckValue> checks;  // check value
  std::vector<std::uint16_t> counters;       // disambiguation counter
  std::vector<std::uint64_t> digests;        // index digest of the symbol
  std::vector<keystore::PersonId> ids;       // in the ledger; kNoPerson: new in this segment
  std::vector<std::uint32_t> leaders;        // of a new person: the first row that is about them
  std::vector<KeyedRow> by_digest;           // all rows, sorted by their counter-0 digest
  bool collided = false;                     // whether any counter of a new person is not 0
  Elders elders;                             // where there is more than one start

  [[nodiscard]] static Result<PeopleColumns> create(std::size_t rows);
};

// PeopleFinder derives and looks up. One object a segment; not thread-safe, but it spreads its
// work over the machine's cores.
//
// Round c derives the symbol with counter c for the rows that are still open and looks it up: who
// has the same check value is the same person; a symbol that nobody has is claimed by the first
// row that is about this person; rows that meet another person's symbol go to round c + 1.
// Where people were deleted, a free symbol proves nothing (Snapshot::probe_to): claimed people are
// looked for under the higher counters too.
//
// All of this is about the active linkage generation. Where people start from older ones too, they
// are looked for first (ElderFinder): who is found so is nobody new, and must not be found again.
class PeopleFinder {
 public:
  PeopleFinder(Symbols& symbols, const keystore::LedgerKeys& keys,
               const keystore::Snapshot& snapshot, std::span<const Start> starts,
               PeopleColumns& columns)
      : symbols_(symbols),
        keys_(keys),
        snapshot_(snapshot),
        starts_(starts),
        generation_(starts.back().made_by),
        look_(keys, snapshot, generation_.number),
        columns_(columns) {}

  // run fills the first codes.size() rows of the columns.
  [[nodiscard]] Status run(std::span<const std::uint64_t> codes);

 private:
  // The rows of one round: `rows[i]` is a row, `symbols[i]` its symbol under this round's counter.
  struct Round {
    std::uint16_t counter = 0;
    std::span<const std::uint32_t> rows;  // empty: all rows, in order
    std::span<const Block> symbols;
    std::span<const std::uint64_t> digests;
    std::size_t size = 0;
    [[nodiscard]] std::uint32_t row(std::size_t i) const {
      return rows.empty() ? static_cast<std::uint32_t>(i) : rows[i];
    }
  };

  [[nodiscard]] Status first_round(std::span<const std::uint64_t> codes);
  [[nodiscard]] Status next_round(std::span<const std::uint64_t> codes, std::uint16_t counter);
  [[nodiscard]] Status settle(const Round& round, const std::vector<KeyedRow>& sorted);
  [[nodiscard]] Status settle_row(const Round& round, std::uint32_t item,
                                  std::span<const keystore::IndexHit> hits);
  [[nodiscard]] Status find_elders(std::span<const std::uint64_t> codes);
  [[nodiscard]] keystore::PersonId elder(std::uint32_t row) const {
    return has_elders_ ? columns_.elders.ids[row] : keystore::kNoPerson;
  }
  void put_elders();
  [[nodiscard]] Status look_further(std::span<const std::uint64_t> codes);
  [[nodiscard]] Status look_further(std::span<const std::uint64_t> codes,
                                    std::vector<std::uint32_t>& rows, std::uint16_t counter);
  [[nodiscard]] bool join_or_claim(std::uint32_t row, const Block& symbol, std::uint64_t digest);
  void remember_claims();

  Symbols& symbols_;
  const keystore::LedgerKeys& keys_;
  const keystore::Snapshot& snapshot_;
  const std::span<const Start> starts_;
  const keystore::GenerationRow& generation_;  // the last start's
  IndexLook look_;
  PeopleColumns& columns_;

  bool has_elders_ = false;                  // whether columns_.elders is about these rows
  std::vector<std::uint32_t> group_claims_;  // leaders within the current group
  std::unordered_multimap<std::uint64_t, std::uint32_t> claims_;  // of earlier rounds
  std::vector<std::uint32_t> open_;  // rows for the next round, ascending
};

}  // namespace fugo::engine
