// Scratch SoftHSM tokens with a finished ceremony, for the tests of every layer.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "hsm/ceremony.h"
#include "hsm/token.h"

namespace fugo::hsm::testing {

inline constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
inline constexpr const char* kNssSoftoken = "libsoftokn3.so";

// Device is the PKCS#11 implementation that this run of a test program works with: what
// FUGO_TEST_DEVICE says. The contract tests run once with each.
enum class Device : std::uint8_t {
  kPlain,       // "softhsm", or nothing
  kWithoutEcb,  // "without-ecb": SoftHSM through the fault module, which refuses CKM_AES_ECB
  kNss,         // "nss": NSS softokn, which needs the fault module for its parameters alone
};
[[nodiscard]] Device device();

// Abilities is all that tests may differ by, from one device to another: docs/tokens.md. A test
// that cannot be the same asks here, not for the device, and asserts what happens instead.
struct Abilities {
  bool blocks = true;            // has CKM_AES_ECB; else AES keys are for CKM_AES_CMAC alone
  bool security_officer = true;  // marks CKA_TRUSTED, so that keys can be made in the token
  bool keeps_allowed_mechanisms = true;  // stores CKA_ALLOWED_MECHANISMS, holds a key to it
  bool keeps_unwrap_template = true;     // holds what is unwrapped to CKA_UNWRAP_TEMPLATE
  bool keeps_copies = true;              // a copy of a key may do no more than the key
  bool keeps_unextractable = true;       // wraps no key whose CKA_EXTRACTABLE is FALSE
  bool keeps_uses = true;                // no mechanism goes past key type, CKA_SIGN, CKA_DERIVE
  bool keeps_doubles = true;             // two keys may have one CKA_ID
  bool keeps_open_secrets = true;        // makes a key with CKA_PRIVATE or CKA_SENSITIVE FALSE
  bool tells_local = true;               // says CKA_LOCAL of a pair that it made: exchange keys
  bool fast_signing = true;              // a million of C_Sign take seconds
  bool fast_start = true;                // the library is initialised in no time
  bool in_files = true;                  // its tokens are the files of shared_conf()
};
[[nodiscard]] const Abilities& abilities();

// uses_here is what the key may do in a token of this device: by_cmac where it has no blocks.
[[nodiscard]] KeyUses uses_here(const KeyName& name, TokenRole role);
[[nodiscard]] KeyUses uses_here(KeyAlgorithm algorithm, const KeyUses& uses);

// ScratchDirectory is a directory under the system's temporary directory, removed at the end.
class ScratchDirectory {
 public:
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// ScratchToken is one initialised token without keys.
struct ScratchToken {
  TokenSettings settings;
  std::filesystem::path so_pin_file;
};

// make_scratch_token initialises a token of device() labelled `label`, of SoftHSM in the token
// directory of shared_conf(). The labels of NSS are its own, nss-1 and so on. Ends the
// process with a message when that fails.
[[nodiscard]] ScratchToken make_scratch_token(const std::string& label, TokenRole role);

// make_source_token is one whose security officer can make keys in a ceremony: of SoftHSM where
// device() has none.
[[nodiscard]] ScratchToken make_source_token(const std::string& label, TokenRole role);

// shared_conf is the softhsm2.conf of this test program, shared_directory the directory with it.
// Both are gone after the last test; all modules are finalized then, so no Token may outlive the
// tests (hold them in fixtures, not in globals).
[[nodiscard]] const std::filesystem::path& shared_conf();
[[nodiscard]] const std::filesystem::path& shared_directory();

// all_key_names is every key of version 1: AES for each purpose, HMAC for linkage, agency and
// record, and the journal key.
[[nodiscard]] std::vector<KeyName> all_key_names();

// TokenSet is an issuing, a linking and a standby token after one ceremony with all_key_names().
// Without a security officer for the ceremony a SoftHSM token makes the keys.
struct TokenSet {
  TokenSettings issuing;
  TokenSettings linking;
  TokenSettings standby;
  std::vector<KeyName> names;
  CeremonyResult ceremony;
  std::filesystem::path recovery_public_key;
  std::filesystem::path recovery_private_key;
  std::filesystem::path recovery_package;

  [[nodiscard]] const TokenSettings& settings(TokenRole role) const;
  [[nodiscard]] Block fingerprint(const KeyName& name) const;
};

// shared_tokens is made once a test program, at its first call, when no Token is alive. Tests must
// not change its keys. With FUGO_TEST_SITES, a folder, all programs of a run have copies of one.
[[nodiscard]] const TokenSet& shared_tokens();

// open_shared opens a token of shared_tokens(). Ends the process with a message on failure.
[[nodiscard]] std::shared_ptr<Token> open_shared(TokenRole role);

// find_shared finds a key of shared_tokens() in `token`. Ends the process on failure.
[[nodiscard]] Key find_shared(Token& token, const KeyName& name);

}  // namespace fugo::hsm::testing
