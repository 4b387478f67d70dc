// The recovery package: every key of a ceremony, wrapped to a key that lives elsewhere.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/key_spec.h"

namespace fugo::hsm {

// RsaPublicKey is modulus and exponent, big-endian.
struct RsaPublicKey {
  std::vector<std::uint8_t> modulus;
  std::vector<std::uint8_t> exponent;
};

// read_rsa_public_key reads a PEM file: a public key, or a certificate. kUsage when it is neither,
// or no RSA key of at least 3072 bits.
[[nodiscard]] Result<RsaPublicKey> read_rsa_public_key(const std::filesystem::path& pem);

// RecoveryEntry is one key in the package.
struct RecoveryEntry {
  KeyName name;
  Block fingerprint;
  std::vector<std::uint8_t> wrapped;
  std::vector<std::uint8_t> transport_key;  // of kEcP256: wrapped AES key that `wrapped` is under
  std::vector<std::uint8_t> public_point;   // of kEcP256
};

// RecoveryPackage is what the file holds; its format is in docs/spec/keys.md.
struct RecoveryPackage {
  std::vector<std::uint8_t> recipient_modulus;  // of the key that all is wrapped to
  std::vector<RecoveryEntry> keys;
  std::vector<std::uint8_t> data_key;  // RSA-OAEP; empty without a data-key wrap key
};

// write_recovery_package writes durably, mode 0600. kRefused when the file is there already.
[[nodiscard]] Status write_recovery_package(const RecoveryPackage& package,
                                            const RsaPublicKey& recipient,
                                            const std::filesystem::path& file);

// read_recovery_package is its inverse; kDamaged when a field is missing or is not understood.
[[nodiscard]] Result<RecoveryPackage> read_recovery_package(const std::filesystem::path& file);

}  // namespace fugo::hsm
