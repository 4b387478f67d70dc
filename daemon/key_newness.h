// What a ledger may take for its own among the keys that the tokens have and its registry does not:
// asked before keys are made, or what a dead ceremony left is removed.
#pragma once

#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/key_making.h"
#include "daemon/key_registry.h"

namespace fugo::daemon {

// A ledger that was put back (restore), or taken over with lag, does not know what was made since;
// and what it says of a ceremony that died may be of one that went on to its end. So nothing that
// it did not begin itself since then is ever removed as remains.

// check_next_are_new is kRefused, naming the key, when a token or a recovery package has one of the
// next versions of any key. The site must be closed.
[[nodiscard]] Status check_next_are_new(const Settings& settings,
                                        const KeyAdministration& administration);

// skip_unknown puts versions that are there into the registry, as begun and never ended, so that
// they are never used and never removed; journaled as keys.unknown. Their labels. Every token must
// be configured. The site must be closed.
[[nodiscard]] Result<std::vector<std::string>> skip_unknown(const Settings& settings,
                                                            const KeyAdministration& administration,
                                                            const keystore::Actor& actor);

// own_remains lists the keys in state making whose ceremony this ledger began since it was put back
// last; begun_here tells the same of a plan.
[[nodiscard]] Result<std::vector<hsm::KeyName>> own_remains(const keystore::Ledger& ledger);
[[nodiscard]] Result<bool> begun_here(const keystore::Ledger& ledger, const keystore::RunRow& run);

}  // namespace fugo::daemon
