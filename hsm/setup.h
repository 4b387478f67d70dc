// Setting up embedded (SoftHSM) tokens, and the recovery key pair.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "hsm/pin.h"

namespace fugo::hsm {

// write_softhsm_conf makes the directory `token_directory` (mode 0700) and writes to `conf` a
// softhsm2.conf that names it. Both paths should be absolute.
[[nodiscard]] Status write_softhsm_conf(const std::filesystem::path& conf,
                                        const std::filesystem::path& token_directory);

// initialise_token makes a token with `label` (C_InitToken) in the token directory that
// `softhsm_conf` names, and sets its user PIN (C_InitPIN); both PINs are read from files, see
// make_pin_file. kRefused when there is a token of that label already. No Token of the module may
// be alive if the configuration is another one than before.
[[nodiscard]] Status initialise_token(const std::filesystem::path& module,
                                      const std::filesystem::path& softhsm_conf,
                                      const std::string& label,
                                      const std::filesystem::path& so_pin_file,
                                      const std::filesystem::path& pin_file);

// RecoveryKeyFiles are the two PEM files of a recovery key pair.
struct RecoveryKeyFiles {
  std::filesystem::path public_key;   // SubjectPublicKeyInfo
  std::filesystem::path private_key;  // PKCS#8, not encrypted, mode 0600
};

// make_recovery_key_pair makes an RSA key pair of 3072 bits in `directory` (made with mode 0700 if
// it is not there): recovery-public.pem and recovery-private.pem. kRefused when either is there.
// The private key opens the recovery package: it belongs elsewhere, see docs/spec/keys.md.
[[nodiscard]] Result<RecoveryKeyFiles> make_recovery_key_pair(
    const std::filesystem::path& directory);

}  // namespace fugo::hsm
