// Issuing held back for a step of a regeneration.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::engine {

// HeldIssuing is what the ledger held when issuing stopped for a step: nobody adds to it until
// the step's transaction, which compares all the same.
struct HeldIssuing {
  keystore::PersonId next_person = 0;
  keystore::SegmentNumber next_segment = 1;
  keystore::PersonId deleted_people = 0;
};

// WatchJob is asked now and then while the open job is waited for; its error ends the wait.
using WatchJob = std::function<Status(const keystore::JobRow& job)>;

// hold_issuing freezes issuing for `step` ("committed"), unless operators have frozen it, and says
// what the ledger holds. A job that is open must end first, since its answers must not change: it
// goes on, also where operators froze issuing in the middle of it, and is waited for; nothing else
// begins. What was frozen so is thawed by the step's own transaction, by repeating the step after a
// crash, or by an abort.
[[nodiscard]] Result<HeldIssuing> hold_issuing(keystore::Ledger& ledger,
                                               const keystore::RunRow& run, const std::string& step,
                                               const keystore::Actor& actor, const WatchJob& watch);

// release_issuing takes back what hold_issuing froze: its step failed, and changed nothing. A job
// that was let go on under the operators' own freeze still may.
[[nodiscard]] Status release_issuing(keystore::Ledger& ledger, const keystore::RunRow& run,
                                     const keystore::Actor& actor);

// thaw_for does it within a transaction: only what a step of this run froze is thawed.
void thaw_for(const keystore::RunRow& run, keystore::LedgerState& state);

// check_held: kStale when the ledger was added to since it was held.
[[nodiscard]] Status check_held(const keystore::LedgerState& state, const HeldIssuing& held);

}  // namespace fugo::engine
