// Reconciling a run: what was planned, what came and went since, and what was made of it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/site.h"
#include "keystore/ledger.h"

namespace fugo::engine {

// tally_of is a run's tally as the ledger has it now; within a transaction nobody changes it.
[[nodiscard]] Result<keystore::RunTally> tally_of(const keystore::Ledger& ledger,
                                                  const keystore::RunRow& run);

// reconcile compares, to the last one, what a run has made with its plan and its tally: people,
// when it makes linkage symbols, agency symbols and record symbols. kDamaged, with the numbers,
// when they differ: something was made that nobody planned or issued, or was left out.
[[nodiscard]] Status reconcile(const keystore::RunRow& run);

// OldSymbols is how many symbols of the old generation are there, with the tally of before they
// were counted.
struct OldSymbols {
  std::uint64_t symbols = 0;
  keystore::RunTally tally;
};
// count_old_symbols counts, in the issued files themselves, what the finish will make unknown: of
// every open agency that the run maps, what was issued up to the commit.
[[nodiscard]] Result<OldSymbols> count_old_symbols(Site& site, const keystore::RunRow& run);

// reject_symbols puts the count into a committed run that is being finished; `run` has the tally of
// now. kStale when somebody was deleted since the count; kDamaged when it and those deleted since
// the commit are not what was mapped.
[[nodiscard]] Status reject_symbols(const OldSymbols& old, keystore::RunRow& run);

// replaced_keys are the keys that the run's new ones take the place of: those of the generation
// before, and the wrap key that the ledger had.
[[nodiscard]] std::vector<keystore::RunKey> replaced_keys(const keystore::RunRow& run,
                                                          const keystore::GenerationRow& from);

}  // namespace fugo::engine
