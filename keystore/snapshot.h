// An unchanging view of the ledger's bulk data, for any number of threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::keystore {

// IndexHit is what was found for one digest.
struct IndexHit {
  std::uint32_t query = 0;  // position in the span of queries
  PersonId id = 0;
  std::uint32_t tag = 0;
};

// Snapshot sees exactly the files that one manifest named. It keeps them mapped, so it stays good
// when they are merged away and unlinked. Thread-safe. A block that does not authenticate is
// kDamaged, naming file and block.
class Snapshot {
 public:
  virtual ~Snapshot() = default;

  // find_people appends to `hits`, ordered by query, every index entry of `generation` whose
  // digest equals a query's. `sorted_digests` ascend (repeats allowed).
  [[nodiscard]] virtual Status find_people(Generation generation,
                                           std::span<const std::uint64_t> sorted_digests,
                                           std::vector<IndexHit>& hits) const = 0;

  // read_people reads the records of ascending ids (repeats allowed) into `records`, patches
  // applied. An id that no person has is kDamaged.
  [[nodiscard]] virtual Status read_people(Generation generation,
                                           std::span<const PersonId> sorted_ids,
                                           std::span<PersonRecord> records) const = 0;

  // read_people_range reads the records of ids [first, first + records.size()).
  [[nodiscard]] virtual Status read_people_range(Generation generation, PersonId first,
                                                 std::span<PersonRecord> records) const = 0;

  // find_issued writes for each of the ascending keys the segment of its entry, or kNoSegment.
  [[nodiscard]] virtual Status find_issued(std::span<const IssuedKey> sorted_keys,
                                           std::span<SegmentNumber> segments) const = 0;

  // scan_issued calls `visit` with consecutive pieces, ascending by id, of an agency's entries
  // whose id is in [first, last).
  using VisitIssued = std::function<Status(std::span<const IssuedEntry>)>;
  [[nodiscard]] virtual Status scan_issued(AgencyNumber agency, PersonId first, PersonId last,
                                           const VisitIssued& visit) const = 0;
  // scan_newly_issued does it for all ids, in the files that are not among `known` (ascending).
  [[nodiscard]] virtual Status scan_newly_issued(AgencyNumber agency,
                                                 std::span<const FileNumber> known,
                                                 const VisitIssued& visit) const = 0;
  // count_issued is how many entries an agency has.
  [[nodiscard]] virtual Result<std::uint64_t> count_issued(AgencyNumber agency) const = 0;
  // scan_index calls `visit` with consecutive pieces of every index entry, in file order (within
  // one file ascending; files one after another).
  using VisitIndex = std::function<Status(std::span<const IndexEntry>)>;
  [[nodiscard]] virtual Status scan_index(Generation generation, const VisitIndex& visit) const = 0;

  // patches are all changes of people since their records were written, ascending by id: those who
  // are superseded. The others answer from them, without reading a file, and for people who can be
  // found only: a deleted id counts as active.
  [[nodiscard]] virtual std::span<const PersonPatch> patches() const = 0;
  [[nodiscard]] virtual bool any_patched() const = 0;
  [[nodiscard]] virtual PersonState state_of(PersonId id) const = 0;
  // superseded_in is the segment that superseded a person, or kNoSegment.
  [[nodiscard]] virtual SegmentNumber superseded_in(PersonId id) const = 0;

  // probe_to: when people were deleted, a symbol may be free though somebody who once collided
  // with its owner lives on under a higher disambiguation counter, up to this one. 0: never.
  [[nodiscard]] virtual std::uint16_t probe_to() const = 0;

  [[nodiscard]] virtual PersonId people() const = 0;
  [[nodiscard]] virtual const std::vector<FileRow>& files() const = 0;
};

}  // namespace fugo::keystore
