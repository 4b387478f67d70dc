// The words that commands and logs have for states, kinds and errors.
#pragma once

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

[[nodiscard]] const char* state_name(keystore::AgencyState state);
[[nodiscard]] const char* state_name(keystore::KeyState state);
[[nodiscard]] const char* state_name(keystore::JobState state);
[[nodiscard]] const char* state_name(keystore::RunState state);
[[nodiscard]] const char* kind_name(keystore::JobKind kind);
// error_code_name is the word of the JSON form: "refused", "io", "usage", "hsm", ...
[[nodiscard]] const char* error_code_name(ErrorCode code);

}  // namespace fugo::daemon
