// What keys exist, where they live and what each may do: one table, used to make and to check.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace fugo::hsm {

// TokenRole is the duty of a token. Numbers are permanent.
enum class TokenRole : std::uint8_t { kIssuing = 1, kLinking = 2, kStandby = 3 };

// KeyPurpose is what a key is for. Numbers are permanent: they are stored in the key registry.
enum class KeyPurpose : std::uint8_t {
  kLinkage = 1,         // K_link: linkage symbols, check values, chains
  kAgency = 2,          // K_agency: agency symbols
  kAgencyXtsData = 3,   // K1 of XTS
  kAgencyXtsTweak = 4,  // K2 of XTS
  kRecord = 5,          // K_record: record symbols
  kDataWrap = 6,        // unwraps the ledger's data key
  kJournal = 7,         // signs checkpoints and statements
};

// KeyAlgorithm is the type of the key object. Numbers are permanent.
enum class KeyAlgorithm : std::uint8_t {
  kAes256 = 1,      // CKK_AES, 32 bytes
  kHmacSha256 = 2,  // CKK_GENERIC_SECRET, 32 bytes
  kEcP256 = 3,      // CKK_EC, secp256r1
};

// KeyName identifies one key over all tokens.
struct KeyName {
  KeyPurpose purpose = KeyPurpose::kLinkage;
  KeyAlgorithm algorithm = KeyAlgorithm::kAes256;
  std::uint16_t version = 1;

  friend bool operator==(const KeyName&, const KeyName&) = default;
  friend auto operator<=>(const KeyName&, const KeyName&) = default;
};

// key_label is CKA_LABEL: "fugo-linkage-aes256-v1". CKA_ID is the three numbers as 4 bytes.
[[nodiscard]] std::string key_label(const KeyName& name);
[[nodiscard]] std::vector<std::uint8_t> key_id(const KeyName& name);

// is_valid tells whether the table has such a key: a known purpose, a version of at least 1, and
// kEcP256 for the journal, kHmacSha256 or kAes256 for linkage, agency and record, else kAes256.
[[nodiscard]] bool is_valid(const KeyName& name);

// Uses of a key that a token must allow; every use that is not listed must be refused by it.
struct KeyUses {
  bool encrypt = false;
  bool decrypt = false;
  bool sign = false;
  bool unwrap = false;
};

// by_cmac is how a token that refuses CKM_AES_ECB allows what `uses` is for: an AES key that would
// encrypt or decrypt signs, with CKM_AES_CMAC alone. Others stay as they are.
[[nodiscard]] KeyUses by_cmac(KeyAlgorithm algorithm, const KeyUses& uses);

// KeyPlacement is one row of the table: what the key may do in each role. A role in which the
// key must be absent has present = false.
struct KeyPlacement {
  bool present = false;
  KeyUses uses;
};

// placement_of tells what `name` may do in a token of `role` (standby is as issuing and linking
// need it: the union, since the standby site takes over both).
[[nodiscard]] KeyPlacement placement_of(const KeyName& name, TokenRole role);

// kFingerprintInput is the known block, "fugo fingerprint" in ASCII. The fingerprint of an AES key
// that makes symbols is CMAC(K, it), which a token computes with CKM_AES_CMAC or, by the subkey K1
// of SP 800-38B, with CKM_AES_ECB; of an HMAC key the first 16 bytes of HMAC-SHA-256(K, it); of an
// EC key the first 16 bytes of SHA-256 over its CKA_EC_POINT; a wrap key has none (zero): its
// check is that the ledger's data key unwraps with integrity.
inline constexpr Block kFingerprintInput{
    {'f', 'u', 'g', 'o', ' ', 'f', 'i', 'n', 'g', 'e', 'r', 'p', 'r', 'i', 'n', 't'}};

}  // namespace fugo::hsm
