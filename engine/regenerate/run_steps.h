// The steps of a regeneration that change what counts: commit, abort, acknowledgement, finish.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/regenerate/chainer.h"
#include "engine/regenerate/issuing_hold.h"
#include "engine/regenerate/reconcile.h"
#include "engine/site.h"
#include "keystore/staging.h"

namespace fugo::engine {

// commit_run makes the run's generation the active one, in one transaction: the old one stays
// accepted, or with run.reject_old is not. A generation with linkage symbols of its own is read
// through and checked whole before that, and its digest is taken. The caller has brought people and
// mappings up to date since `held`. kDamaged when what was made is not what was planned and what
// came and went since, see reconcile(). kStale when somebody added to the ledger all the same.
[[nodiscard]] Status commit_run(Site& site, keystore::RunRow& run, const HeldIssuing& held,
                                const keystore::Actor& actor, const RunProgress& progress);

// abort_run takes the run's generation out of the ledger: as if it had never been planned, but for
// the journal and the numbers that were used up. kRefused after the commit, and for a run whose
// plan was broken off: see give_up_plan.
[[nodiscard]] Status abort_run(keystore::Ledger& ledger, keystore::Staging& staging,
                               keystore::RunRow& run, const keystore::Actor& actor);

// acknowledge_mapping notes that an agency has taken its mapping over; false when it had before.
// kRefused before the commit, and for an agency that the run does not map, or that has nobody left.
[[nodiscard]] Result<bool> acknowledge_mapping(keystore::Ledger& ledger,
                                               const keystore::RunRow& run,
                                               const std::string& agency_code,
                                               const keystore::Actor& actor);

// take_back_ack undoes an acknowledgement that was given by mistake: the agency is waited for
// again, and its file, which went with it, is made again by the next `run`. kRefused unless the run
// is committed and not finished.
[[nodiscard]] Status take_back_ack(keystore::Ledger& ledger, const keystore::RunRow& run,
                                   const std::string& agency_code, const keystore::Actor& actor);

// waiting_agencies are the codes of those who have a mapping and have not acknowledged it.
[[nodiscard]] Result<std::vector<std::string>> waiting_agencies(const keystore::Ledger& ledger,
                                                                const keystore::RunRow& run);

// needs_rekey tells whether the run ends with a new data key.
[[nodiscard]] inline bool needs_rekey(const keystore::RunRow& run) {
  return !run.wrapped_data_key.empty();
}

// finish_rows puts, within the caller's transaction, all that the end of a run changes in small
// rows: generations, keys, the run itself, the journal, and issuing thawed. kStale when people were
// deleted since `old` was counted.
[[nodiscard]] Status finish_rows(keystore::Update& update, const keystore::Ledger& ledger,
                                 const OldSymbols& old, keystore::RunRow& run,
                                 const keystore::Actor& actor);

}  // namespace fugo::engine
