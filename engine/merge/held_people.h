// HeldPeople: the people whom an agency was issued, counted as rows in the order of their ids.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/snapshot.h"
#include "keystore/types.h"

namespace fugo::engine {

// HeldPeople gives rows in pieces without holding them all: an agency may have any number. Row r is
// the agency's issuance with the r-th lowest id. Nothing may be issued to the agency, and nobody
// deleted, between two calls. Not thread-safe.
class HeldPeople {
 public:
  explicit HeldPeople(keystore::AgencyNumber agency) : agency_(agency) {}

  // rows gives the ids of rows [first, first + count); the span lasts until the next call. Rows
  // that go on from the last call cost one look at each; others are counted from the first one.
  // kDamaged when the agency has fewer.
  [[nodiscard]] Result<std::span<const keystore::PersonId>> rows(const keystore::Snapshot& snapshot,
                                                                 std::uint64_t first,
                                                                 std::size_t count);

 private:
  void start_over();
  void drop_before(std::uint64_t row);

  const keystore::AgencyNumber agency_;
  std::vector<keystore::PersonId> ids_;  // of rows from first_ on, as far as they were read
  std::uint64_t first_ = 0;
  keystore::PersonId next_id_ = 0;  // ids below are in ids_, or before it
};

}  // namespace fugo::engine
