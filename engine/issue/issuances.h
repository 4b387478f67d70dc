// Which agency has been issued a symbol for whom, row by row of a segment.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/issue/sorting.h"
#include "keystore/snapshot.h"

namespace fugo::engine {

// RowResult is what became of one accepted row. Numbers are permanent: answers store them.
enum class RowResult : std::uint8_t {
  kNew = 1,         // this row made the issuance
  kExisting = 2,    // the agency had a symbol for this person already
  kSuperseded = 3,  // the person's resident code was changed: rejected
};

// Issuances sorts a segment's rows by (agency, person) and looks them up in the ledger. Kept and
// used again for each segment. Not thread-safe.
class Issuances {
 public:
  // find looks up every (agencies[row], ids[row]) whose person is older than `first_new_person`.
  // Rows of superseded people are left out. `segment`: 0 while issuing; else the segment whose
  // answers are made again, whose own entries count as new.
  [[nodiscard]] Status find(const keystore::Snapshot& snapshot,
                            std::span<const keystore::AgencyNumber> agencies,
                            std::span<const keystore::PersonId> ids,
                            keystore::PersonId first_new_person, keystore::SegmentNumber segment);

  // results has an entry for each row; a new issuance is `kNew` at its first row only.
  [[nodiscard]] std::span<const RowResult> results() const { return results_; }
  // new_rows lists the rows that are kNew, sorted by (agency, person).
  [[nodiscard]] std::span<const std::uint32_t> new_rows() const { return new_rows_; }

 private:
  [[nodiscard]] Status look_up(const keystore::Snapshot& snapshot,
                               keystore::PersonId first_new_person);

  std::vector<KeyedRow> sorted_, scratch_;
  std::vector<keystore::IssuedKey> known_keys_;          // distinct, of people in the ledger
  std::vector<keystore::SegmentNumber> known_segments_;  // beside known_keys_
  std::vector<RowResult> results_;
  std::vector<std::uint32_t> new_rows_;
};

}  // namespace fugo::engine
