// Logging in so that a wrong PIN is tried once, however often a token is opened or recovered.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "hsm/find_token.h"
#include "hsm/session.h"

namespace fugo::hsm {

// log_in_user logs the user in with the PIN in `pin_file` and looks whether it helped. After a
// token has refused the PIN (refuses_pin) it is not offered that PIN again by this process: the
// same error comes at once, until the file has been written or touched. Nor is a PIN offered
// when the token says that one try is left, or none. `token` is what find_token said just now.
[[nodiscard]] Status log_in_user(Session& session, const FoundToken& token,
                                 const std::filesystem::path& pin_file);

}  // namespace fugo::hsm
