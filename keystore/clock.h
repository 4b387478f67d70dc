// The rule of the journal's times: no entry is older than the one before, unless its act says so.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace fugo::keystore {

// kClockSlack is by how many seconds the clock may be behind the journal's last entry: the new
// entry has that one's time then. A clock that is further behind stops what has to be journaled.
inline constexpr std::int64_t kClockSlack = 60;
// kClockAccepted is the act by which somebody answers for a time before the last entry's.
inline constexpr const char* kClockAccepted = "clock.accept";

// check_clock is kRefused where the next entry after one of time `last` would be, because the clock
// ran backwards: asked before work that takes long and is journaled at its end.
[[nodiscard]] Status check_clock(std::int64_t last);

}  // namespace fugo::keystore
