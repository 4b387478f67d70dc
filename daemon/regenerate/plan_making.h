// Planning a regeneration on a site: its keys in the tokens and its rows in the ledger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "engine/regenerate/run_plan.h"

namespace fugo::daemon {

// Approval is what custodians gave for the making of keys: the request, and CUSTODIAN=FILE of their
// signatures. Empty where the site has no custodians.
struct PlanApproval {
  std::string request;
  std::vector<std::string> signatures;
};

// make_plan plans a run: it commits the intention, makes the keys that are missing in every token,
// and commits keys, generation and parameters. A plan that died midway is taken back first: its
// keys are removed from the tokens. No Token may be alive. `applied` says what a failure leaves.
[[nodiscard]] Result<keystore::RunRow> make_plan(const Settings& settings,
                                                 const engine::RunWish& wish,
                                                 const PlanApproval& approval,
                                                 std::string& applied);

// RunEstimate is what a run takes, by the rates that docs/performance.md reports.
struct RunEstimate {
  double seconds = 0;
  std::uint64_t bytes = 0;  // beyond what the ledger takes before
};
[[nodiscard]] RunEstimate estimate_of(const keystore::RunRow& run);

}  // namespace fugo::daemon
