// The certificate of an exchange key.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "hsm/recovery_package.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::daemon {

// CertificateWish is what a certificate is to say.
struct CertificateWish {
  std::string label;   // of the key: the subject's common name
  std::string ledger;  // its id in hexadecimal: the issuer's
  hsm::RsaPublicKey key;
  std::int64_t from = 0, until = 0;  // seconds since 1970
};

// make_site_certificate gives an X.509 certificate in PEM for key encipherment alone, signed by the
// journal key in the token (ECDSA with SHA-256). The exchange key cannot sign one of its own.
[[nodiscard]] Result<std::string> make_site_certificate(const CertificateWish& wish,
                                                        hsm::Token& token,
                                                        const keystore::KeyRow& journal_key);

}  // namespace fugo::daemon
