// Keys are made for the first time, or what a dead ceremony left is removed: looked at before
// either, so that keys that others made of a later state of the same ledger are never taken for
// one's own.
#pragma once

#include "base/result.h"
#include "daemon/config.h"
#include "daemon/key_making.h"

namespace fugo::daemon {

// check_next_are_new is kRefused when a token, or a recovery package, has the next version of any
// key. A ledger that was put back (restore) or taken over with lag does not know what was made
// since; and what it says of a ceremony that died may be of one that went on to its end, so that in
// such a ledger the keys of unfinished ceremonies must not be there either. The site must be
// closed.
[[nodiscard]] Status check_next_are_new(const Settings& settings,
                                        const KeyAdministration& administration);

}  // namespace fugo::daemon
