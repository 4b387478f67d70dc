// Planning a regeneration on a site: its keys in the tokens and its rows in the ledger.
#pragma once

#include <cstdint>
#include <optional>
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
// keys are removed from the tokens, and its recovery package. All of it under KeyAdministration, so
// that kRefused is the answer while another process plans, makes or destroys keys. No Token may be
// alive. `applied` says what a failure leaves.
[[nodiscard]] Result<keystore::RunRow> make_plan(const Settings& settings,
                                                 const engine::RunWish& wish,
                                                 const PlanApproval& approval,
                                                 std::string& applied);

// abort_broken_plan takes back a run whose plan died midway, as the next plan would, and gives it
// as it is then; nothing, and nothing is done, when it is in another state: see abort(). kRefused
// while somebody is planning.
[[nodiscard]] Result<std::optional<keystore::RunRow>> abort_broken_plan(
    const Settings& settings, const std::string& id, const keystore::Actor& actor);

// RunEstimate is what a run takes, by the rates that docs/performance.md reports.
struct RunEstimate {
  double seconds = 0;
  std::uint64_t bytes = 0;  // beyond what the ledger takes before
};
// estimate_of is for run, commit and finish together; the space is that of the peak, mapping files
// included. `ledger_bytes` is what the ledger takes now.
[[nodiscard]] RunEstimate estimate_of(const keystore::RunRow& run, std::uint64_t ledger_bytes);
[[nodiscard]] std::uint64_t ledger_bytes(const std::filesystem::path& ledger);

}  // namespace fugo::daemon
