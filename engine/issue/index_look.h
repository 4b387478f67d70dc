// IndexLook: who has a linkage symbol, by the ledger's index.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "engine/issue/sorting.h"
#include "keystore/ledger_keys.h"
#include "keystore/snapshot.h"

namespace fugo::engine {

// same_secret compares two blocks or check values without a branch on their content.
[[nodiscard]] bool same_secret(const Block& a, const Block& b);
[[nodiscard]] bool same_secret(const keystore::CheckValue& a, const keystore::CheckValue& b);

// IndexLook looks many symbols up at once, on every core. Not thread-safe.
class IndexLook {
 public:
  // `generation` is a linkage generation.
  IndexLook(const keystore::LedgerKeys& keys, const keystore::Snapshot& snapshot,
            keystore::Generation generation)
      : keys_(keys), snapshot_(snapshot), generation_(generation) {}

  // sort gives each symbol's index digest, and their positions sorted by it.
  [[nodiscard]] Status sort(std::span<const Block> symbols, std::span<std::uint64_t> digests,
                            std::vector<KeyedRow>& sorted);

  // look_up finds whoever has one of the digests.
  [[nodiscard]] Status look_up(const std::vector<KeyedRow>& sorted);
  // hits are of the last look_up: by position in `sorted`.
  [[nodiscard]] std::span<const keystore::IndexHit> hits() const { return hits_; }

  // read_doubtful reads the records of people whose digest was found but whose tag is not that of
  // check_of(position before sorting): a collision of symbols, or one of digests. Hardly ever is
  // there any.
  template <typename CheckOf>
  [[nodiscard]] Status read_doubtful(const std::vector<KeyedRow>& sorted, CheckOf check_of) {
    doubtful_.clear();
    for (const keystore::IndexHit& hit : hits_)
      if (hit.tag != keystore::symbol_tag(check_of(sorted[hit.query].row)))
        doubtful_.push_back(hit.id);
    return doubtful_.empty() ? Status{} : read_records();
  }

  // Found is who has one symbol.
  struct Found {
    keystore::PersonId id = keystore::kNoPerson;  // the person who was looked for
    bool occupied = false;                        // somebody else
  };
  // judge tells by the hits of one symbol; kDamaged when an index entry is not its person's.
  [[nodiscard]] Result<Found> judge(std::span<const keystore::IndexHit> hits, const Block& symbol,
                                    const keystore::CheckValue& check) const;

 private:
  [[nodiscard]] Status read_records();

  const keystore::LedgerKeys& keys_;
  const keystore::Snapshot& snapshot_;
  const keystore::Generation generation_;
  std::vector<keystore::IndexHit> hits_;
  std::vector<keystore::PersonId> doubtful_;     // people whose record has to be looked at
  SecretArray<keystore::PersonRecord> records_;  // beside doubtful_
  std::vector<KeyedRow> scratch_;
};

}  // namespace fugo::engine
