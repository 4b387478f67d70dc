// The key ceremony: every key is made once and wrapped to all tokens and the recovery package.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/key_spec.h"
#include "hsm/token.h"

namespace fugo::hsm {

// CeremonyKey is one key that a ceremony made.
struct CeremonyKey {
  KeyName name;
  Block fingerprint;
};

// CeremonyTarget is a token that the keys go to. All targets may be behind one module, and each
// may have a SoftHSM configuration of its own: they are visited one after the other.
struct CeremonyTarget {
  TokenSettings settings;
  // The security officer's PIN; of the first target only, whose officer marks the wrapping keys as
  // CKA_TRUSTED. Not read for the others.
  std::filesystem::path so_pin_file;
};

// CeremonyResult is what the registry and the ledger need to remember.
struct CeremonyResult {
  std::vector<CeremonyKey> keys;
  // A new 32-byte data key, CKM_AES_KEY_WRAP; empty without a kDataWrap key among the names.
  std::vector<std::uint8_t> wrapped_data_key;
  // CKA_EC_POINT, DER, of the kJournal key; empty without one.
  std::vector<std::uint8_t> journal_public_key;
};

// kCeremonyLabel begins the label of every one-ceremony key; a random part follows.
inline constexpr std::string_view kCeremonyLabel = "fugo-ceremony-";

// run_ceremony makes the keys `names` in the first target, and leaves each in every target whose
// role has it, with exactly the attributes of its placement; with a kDataWrap key among them it
// makes a new ledger data key too. All of them, the data key included, are wrapped to the RSA
// public key in the PEM file `recovery_public_key`, and the package is written durably to
// `recovery_package` before the first target keeps a key. A failure removes every object that
// the ceremony had made, in all targets, and the package. kRefused when a target already has a key
// of one of the names, or the package is there. No Token of these modules may be alive, and one
// ceremony runs at a time. Steps and formats: docs/spec/keys.md.
[[nodiscard]] Result<CeremonyResult> run_ceremony(const std::vector<CeremonyTarget>& targets,
                                                  const std::vector<KeyName>& names,
                                                  const std::filesystem::path& recovery_public_key,
                                                  const std::filesystem::path& recovery_package);

// check_keys_absent is kRefused when a token has one of the names, whatever its role. No Token of
// another configuration of the module may be alive.
[[nodiscard]] Status check_keys_absent(const TokenSettings& token,
                                       const std::vector<KeyName>& names);

// destroy_keys destroys in one token every object that has the label or the id of one of `names`,
// and every one-ceremony key, which only a ceremony that died leaves behind; then it looks again
// that all are absent. What is not there is fine. Gives the token's description. No Token of
// another configuration of the module may be alive, and no ceremony may be at work.
[[nodiscard]] Result<std::string> destroy_keys(const TokenSettings& token,
                                               const std::vector<KeyName>& names);

}  // namespace fugo::hsm
