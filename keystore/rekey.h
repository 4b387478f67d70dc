// Rekeying: the ledger's own keys are replaced, and everything that they protected is made anew.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "keystore/ledger.h"
#include "keystore/staging.h"

namespace fugo::keystore {

// RekeyData is what the ledger shall be afterwards.
struct RekeyData {
  SecretBytes<32> data_key;  // the new one, and how it stands in the header:
  std::uint16_t wrap_key_version = 1;
  std::vector<std::uint8_t> wrapped_data_key;
  std::vector<Generation> drop;  // linkage generations whose files go
  // fill puts the small rows as they shall stand: generations, keys, the run, the journal's entry,
  // a thaw. Called within the transaction that commits everything; its error ends it.
  std::function<Status(Update&)> fill;
};

// RekeyProgress is told, from any thread but one call at a time, how much is done.
using RekeyProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

// rekey replaces the data key while a regeneration is open (kInternal otherwise) and no job is
// (kRefused). Person files of the linkage generations that stay and issued files are written anew
// under fresh keys of their own, index files are made anew under the new index key, and the new set
// is measured: what is found ends it with kDamaged. Then one transaction swaps the manifest, seals
// every row anew under the new data key and writes header and state; then the old files are
// unlinked. No key of a file that stays was ever sealed under the old data key.
// kStale, and nothing is changed, when people, issuances or files changed meanwhile: call it again.
// A process that dies leaves the old ledger or the new one, whole; what it leaves besides is
// removed by the next open for writing. An error that says "was committed" came after the commit.
// `stop` (may be empty) is asked now and then; true ends it with kRefused. Afterwards `ledger` and
// everybody else who has the ledger open are answered kStale: open_again().
[[nodiscard]] Status rekey(Ledger& ledger, Staging& staging, const RekeyData& data,
                           const RekeyProgress& progress = {},
                           const std::function<bool()>& stop = {});

}  // namespace fugo::keystore
