// The words that commands print for states of rows.
#pragma once

#include "keystore/types.h"

namespace fugo::daemon {

[[nodiscard]] const char* state_name(keystore::AgencyState state);
[[nodiscard]] const char* state_name(keystore::KeyState state);
[[nodiscard]] const char* state_name(keystore::JobState state);
[[nodiscard]] const char* kind_name(keystore::JobKind kind);

}  // namespace fugo::daemon
