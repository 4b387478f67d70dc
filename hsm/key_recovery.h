// Keys out of recovery packages into a token that has lost them.
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/key_spec.h"
#include "hsm/recovery_package.h"
#include "hsm/token.h"

namespace fugo::hsm {

// RecoveryKey is the RSA private key that recovery packages are wrapped to. It lives in libcrypto's
// memory, and is wiped with the object.
class RecoveryKey {
 public:
  // parse reads a PEM private key (PKCS#8, not encrypted); `where` is what errors name. kUsage for
  // anything else, and for an RSA key of less than 3072 bits.
  [[nodiscard]] static Result<RecoveryKey> parse(ByteView pem, const std::string& where);
  // read does it with a file that neither group nor others may read or write (kUsage).
  [[nodiscard]] static Result<RecoveryKey> read(const std::filesystem::path& file);

  [[nodiscard]] const EVP_PKEY* get() const { return key_.get(); }
  // modulus, big-endian: packages tell whom they are for by it.
  [[nodiscard]] std::vector<std::uint8_t> modulus() const;

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const;
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
};

// recover_keys unwraps those keys of a package that `names` lists into a token, each with exactly
// the attributes of its placement there, as the ceremony would have left it. The recovery key is
// imported for it as a session object that can unwrap such keys and nothing else; no other key is
// ever in this process's memory. Names that the role does not have are left out. kRefused when the
// package is wrapped to another key, lacks one of the names, or the token has one of them already.
// A failure removes what was put there. Fingerprints are the caller's to check. No Token of these
// modules may be alive, and no ceremony may be at work.
[[nodiscard]] Status recover_keys(const TokenSettings& token, const RecoveryPackage& package,
                                  const std::vector<KeyName>& names, const RecoveryKey& key);

}  // namespace fugo::hsm
