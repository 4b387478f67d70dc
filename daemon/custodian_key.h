// A custodian's public key, and signatures that openssl made with its other half.
#pragma once

#include <openssl/evp.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/owned.h"
#include "base/result.h"

namespace fugo::daemon {

// CustodianKey is an EC key on P-256, an RSA key of at least 3072 bits, or an Ed25519 key.
class CustodianKey {
 public:
  // read reads a PEM public key. kUsage for anything else, and for another kind or size of key.
  [[nodiscard]] static Result<CustodianKey> read(const std::filesystem::path& pem);

  // verify is kRefused unless the file holds a signature of `text` by this key: of EC and RSA what
  // `openssl dgst -sha256 -sign` writes, of Ed25519 what `openssl pkeyutl -sign -rawin` writes.
  [[nodiscard]] Status verify(const std::string& text,
                              const std::filesystem::path& signature) const;

  // encoded is the SubjectPublicKeyInfo in DER: equal for equal keys.
  [[nodiscard]] const std::string& encoded() const { return encoded_; }

 private:
  Owned<EVP_PKEY, EVP_PKEY_free> key_;
  std::string encoded_;
};

// sha256_hex is SHA-256 of a text, in hexadecimal.
[[nodiscard]] Result<std::string> sha256_hex(const std::string& text);

}  // namespace fugo::daemon
