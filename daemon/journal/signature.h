// Signatures of the journal key in the forms that openssl and others read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::daemon {

// signing_key is the newest active journal key; kRefused when there is none.
[[nodiscard]] Result<keystore::KeyRow> signing_key(const std::vector<keystore::KeyRow>& rows);

// sign_text signs SHA-256 of a text by a journal key that the token has: ECDSA on P-256 (FIPS
// 186-4), ASN.1 DER, as `openssl dgst -sha256 -verify` takes it.
[[nodiscard]] Result<std::vector<std::uint8_t>> sign_text(hsm::Token& token,
                                                          const keystore::KeyRow& journal_key,
                                                          std::string_view text);

// is_signed tells whether `der` is such a signature by this key; false for what is no signature.
[[nodiscard]] Result<bool> is_signed(const keystore::KeyRow& journal_key, std::string_view text,
                                     ByteView der);

// find_signer is the journal key, whatever became of it since, that signed; kDamaged when none did.
[[nodiscard]] Result<keystore::KeyRow> find_signer(const std::vector<keystore::KeyRow>& rows,
                                                   std::string_view text, ByteView der,
                                                   const std::string& where);

// public_key_der is the SubjectPublicKeyInfo (RFC 5480) of a journal key; public_key_pem the same
// as a PEM file (RFC 7468).
[[nodiscard]] Result<std::vector<std::uint8_t>> public_key_der(const keystore::KeyRow& journal_key);
[[nodiscard]] Result<std::string> public_key_pem(const keystore::KeyRow& journal_key);

}  // namespace fugo::daemon
