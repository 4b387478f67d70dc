// Checking ECDSA signatures of the journal key outside the token.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

namespace fugo::hsm {

// verify_p256 checks an ECDSA signature over secp256r1 and the SHA-256 of `message` (FIPS 186-4
// section 6.4). `point` is CKA_EC_POINT: a DER OCTET STRING of the uncompressed point;
// `signature` is r and s, 32 bytes each, as PKCS#11 2.40 section 2.3.1 writes them. False when it
// does not verify; an error when the point is no key.
[[nodiscard]] Result<bool> verify_p256(ByteView point, ByteView message, ByteView signature);

}  // namespace fugo::hsm
