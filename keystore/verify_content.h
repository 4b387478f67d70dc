// Checking that the ledger's content holds together: every byte of the bulk files, every person,
// every index entry, every issuance, and the sums that the sealed state keeps of them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "keystore/content_digest.h"
#include "keystore/ledger_keys.h"
#include "keystore/snapshot.h"
#include "keystore/types.h"

namespace fugo::keystore {

// VerifyInput is one consistent view: everything as of the same commit. References must outlive
// the call.
struct VerifyInput {
  const Snapshot& snapshot;
  const LedgerKeys& keys;
  const ContentDigest& digest;
  const std::vector<Agency>& agencies;
  const std::vector<SegmentRow>& segments;
  const LedgerState& state;
  const std::vector<GenerationRow>& generations;
  Generation generation = 1;  // linkage generation that measure_content measures
  std::size_t threads = 2;
  std::size_t people_at_once = 1U << 22U;  // for each thread; about 60 bytes each
  std::size_t max_findings = 20;
};

// VerifyProgress is told, from any thread but one call at a time, how much of the work is done.
using VerifyProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

// ContentSums is what the content of one linkage generation adds up to.
struct ContentSums {
  DigestSum people_digest, issued_digest, times_digest;
  std::map<Generation, std::uint64_t> starters;  // people by start, the deleted left out
  std::uint64_t people = 0, deleted = 0;         // records, and tombstones among them
  std::uint64_t issuances = 0;
};

// verify_content returns the first `max_findings` findings; none: the content holds together. A
// finding is a kDamaged error that names the place and no secret. An error instead of findings:
// the check could not be made (memory, libcrypto).
//   - every block of every file authenticates; length, order, padding and fences are right
//   - every person that is not deleted has exactly one index entry, with digest and tag of its
//     record; no other entries; no two people of a generation share a linkage symbol
//   - a deleted person's record is a tombstone; a superseded person has a successor, who was not
//     deleted, and a predecessor names the person who names it
//   - every person, predecessor and successor, and every issuance's agency, person and segment
//     exist; no issuance is there twice; deleted people have none
//   - everybody starts from a generation with linkage symbols of its own
//   - in the active generation's linkage generation: numbers of people and issuances, of people by
//     the generation that they start from, and the three digest sums are those that were kept
// Other linkage generations (one that a regeneration is still writing, or one that is accepted
// beside the active one) may end before the last person.
[[nodiscard]] Result<std::vector<Error>> verify_content(const VerifyInput& input,
                                                        const VerifyProgress& progress = {});

// measure_content does the same with the files of `input.generation` and the issuances alone, all
// people of which must be there; sums and starters are not compared but given out.
[[nodiscard]] Result<std::vector<Error>> measure_content(const VerifyInput& input,
                                                         ContentSums& sums,
                                                         const VerifyProgress& progress = {});

}  // namespace fugo::keystore
