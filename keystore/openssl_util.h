// The few primitives of libcrypto that this layer uses, as results.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/owned.h"
#include "base/result.h"
#include "base/secret.h"

namespace fugo::keystore {

using CipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

// crypto_failure is kInternal: libcrypto refused a call that has no reason to fail.
[[nodiscard]] tl::unexpected<Error> crypto_failure(std::string_view function);

// hkdf_sha256 fills `out` (RFC 5869, extract and expand).
[[nodiscard]] Status hkdf_sha256(ByteView key, ByteView salt, ByteView info, MutableByteView out);

// random_secret fills `out` from libcrypto's generator for secrets.
[[nodiscard]] Status random_secret(MutableByteView out);

// BlockEncryptor is AES-256 on independent blocks (ECB, FIPS 197). One thread at a time; cheap
// enough to be made for each bulk call.
class BlockEncryptor {
 public:
  [[nodiscard]] static Result<BlockEncryptor> create(const SecretBytes<32>& key);
  // encrypt: sizes are equal; `to` may be `from`.
  [[nodiscard]] Status encrypt(std::span<const Block> from, std::span<Block> to);

 private:
  CipherContext context_;
};

}  // namespace fugo::keystore
