// Opening a ledger that stands by.
#pragma once

#include "daemon/site_access.h"

namespace fugo::daemon {

// open_standby_ledger is open_ledger for keystore::Access::kAppend, also where the ledger stands
// by: for handing over and taking over.
[[nodiscard]] Result<OpenLedger> open_standby_ledger(const Settings& settings, hsm::TokenRole role);

}  // namespace fugo::daemon
