// SoftHSM tokens inside a site's directory, for trial and tests.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "hsm/token.h"

namespace fugo::daemon {

// find_softhsm gives `wanted` unless it is empty, else the library of the package softhsm2;
// kUsage when there is none.
[[nodiscard]] Result<std::filesystem::path> find_softhsm(const std::filesystem::path& wanted);

// make_embedded_token makes the token "fugo-NAME" in `directory`: softhsm2.conf, pin, so-pin
// (random, mode 0600) and objects/. No token may be open. The settings have no role yet.
[[nodiscard]] Result<hsm::TokenSettings> make_embedded_token(const std::filesystem::path& module,
                                                             const std::filesystem::path& directory,
                                                             const std::string& name);

// point_softhsm_conf writes softhsm2.conf in `directory` anew for objects that will lie in
// `home`/objects after a rename, since SoftHSM wants an absolute path.
[[nodiscard]] Status point_softhsm_conf(const std::filesystem::path& directory,
                                        const std::filesystem::path& home);

// sync_tree syncs every regular file and directory under `root`, and `root`.
[[nodiscard]] Status sync_tree(const std::filesystem::path& root);

}  // namespace fugo::daemon
