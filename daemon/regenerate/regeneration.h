// Regeneration: the steps of a run as the commands take them, files and ledger together.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/exchange/rules.h"
#include "engine/regenerate/run_plan.h"
#include "engine/regenerate/run_steps.h"
#include "engine/site.h"

namespace fugo::daemon {

// StepProgress is told the stage ("job", "people", "symbols", "check", "new keys") and how far it
// is; its error ends the step, and what was committed stays.
using StepProgress =
    std::function<Status(const char* stage, std::uint64_t done, std::uint64_t total)>;

// RunOptions is what every step is given.
struct RunOptions {
  keystore::Actor actor;
  std::filesystem::path records;       // folder of record aliases
  std::size_t most_pairs = 1U << 24U;  // held in memory at once, 64 bytes each
  StepProgress progress;
  std::filesystem::path ledger = {};  // its directory
  std::function<void()> wake = {};    // tells the daemon to look at the ledger
  // How long another writer of the ledger is waited for, which must let go of old files.
  std::chrono::milliseconds patience{60'000};
  // Of a rebase: files with all resident codes, and how they are read.
  std::vector<std::filesystem::path> codes = {};
  bool check_digits = true;
  std::uint64_t rows_per_day = 0;  // of deliveries, where it is more than there are people
  ExchangeRules exchange = {};     // of those that are encrypted
};

// carry_out makes all that is missing of a run: the new generation's people, then a mapping file
// for each agency and the record aliases. It goes on where an earlier call was broken off, and
// brings up to date what has changed since. `output` is DIR; empty: as before. The site is open
// with kAppend or kWrite, in the issuing role. kRefused when the run's state does not allow it.
[[nodiscard]] Status carry_out(engine::Site& site, keystore::RunRow& run,
                               const std::filesystem::path& output, const RunOptions& options);

// commit makes the new generation the active one: issuing is held, everything is brought up to date
// and checked, then one transaction switches. kRefused unless carry_out came to its end before.
// Repeating it after the switch does nothing.
[[nodiscard]] Status commit(engine::Site& site, keystore::RunRow& run, bool reject_old,
                            const RunOptions& options);

// finish ends a run: old symbols are not accepted any more, old keys are retired. A run with
// linkage symbols or the ledger's keys among it gives the ledger a new data key, under which
// everything is written anew, so that no file holds an old symbol or can be opened by an old key.
// When no old file is left the signed statement is written to DIR/<run>/statement.json. kRefused
// before the commit, and while agencies have not acknowledged, unless `without_acks`. Repeating it
// does what is missing: kRefused while another process, which has the ledger open for writing,
// still has old files there.
[[nodiscard]] Status finish(engine::Site& site, keystore::RunRow& run, bool without_acks,
                            const RunOptions& options);

// watch_for waits for the open job on behalf of a step; see engine::hold_issuing.
[[nodiscard]] engine::WatchJob watch_for(engine::Site& site, const RunOptions& options);

// abort takes everything back; see engine::abort_run. Repeating it takes away what a crash left.
[[nodiscard]] Status abort(engine::Site& site, keystore::RunRow& run, const RunOptions& options);

}  // namespace fugo::daemon
