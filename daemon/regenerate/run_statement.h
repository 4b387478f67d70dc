// The signed statement of a regeneration.
#pragma once

#include "base/result.h"
#include "engine/site.h"
#include "keystore/types.h"

namespace fugo::daemon {

// write_run_statement writes DIR/<run>/statement.json of a finished run, signed, from the ledger
// alone, and notes its path in the run's row. It comes after the ledger has changed: a crash
// between leaves a finished run without one, and repeating this writes it.
[[nodiscard]] Status write_run_statement(engine::Site& site, keystore::RunRow& run);

}  // namespace fugo::daemon
