// What people order while the daemon works: committed in the ledger, where the job looks at it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

enum class JobOrder : std::uint8_t {
  kApprove,  // a held job may go on
  kRefuse,   // a held job is refused: its request will be destroyed
  kPause,    // a job stops at its next step, until it is resumed
  kResume,   //
  kCancel,   // a job is given up at its next step; segments that were committed stay
};

// OrderPlace is what the place where an order is given knows of its job.
struct OrderPlace {
  // The request is where the daemon finds it; a change that has begun is not cancelled then, since
  // it can be brought to its end.
  bool has_request = true;
  // Custodians are configured: nobody approves what the own account dropped or signed. The account
  // is what the system says of the process (Actor::account), not the operator's name, which anybody
  // can give.
  bool by_another = false;
  std::string held_owner;  // of the held file, where that is known
};

// order_job notes an order about a job, in one journaled transaction; the ledger is open with
// kAppend or kWrite, also beside the process that runs the job. False when it had been ordered
// before. kRefused when there is no such job, or its state does not allow it; the message says why.
// `reason` goes into the journal, and may be empty.
[[nodiscard]] Result<bool> order_job(keystore::Ledger& ledger, const std::string& id,
                                     JobOrder order, const std::string& reason,
                                     const keystore::Actor& actor, const OrderPlace& place = {});

enum class Freezable : std::uint8_t { kIssue, kLink };

// freeze stops all issuing (change and delete too) or linking, whoever does it, until it is
// thawed; false when the reason that stands is the same. `reason` is 1 to 256 printable
// characters. thaw: false when it was not frozen.
[[nodiscard]] Result<bool> freeze(keystore::Ledger& ledger, Freezable what,
                                  const std::string& reason, const keystore::Actor& actor);
[[nodiscard]] Result<bool> thaw(keystore::Ledger& ledger, Freezable what,
                                const keystore::Actor& actor);

}  // namespace fugo::daemon
