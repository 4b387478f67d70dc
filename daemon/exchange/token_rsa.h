// An RSA key for libcrypto whose private half is in a token.
#pragma once

#include <optional>

#include "base/result.h"
#include "daemon/exchange/openssl.h"
#include "hsm/recovery_package.h"
#include "hsm/token.h"

namespace fugo::daemon {

// TokenRsa is what libcrypto's CMS takes for the private key of a recipient, and can open OAEP with
// SHA-1 alone. One thread at a time; the token outlives it.
class TokenRsa {
 public:
  // create: kInternal when libcrypto does not make the object.
  [[nodiscard]] static Result<std::unique_ptr<TokenRsa>> create(hsm::Token& token,
                                                                hsm::RsaPublicKey key);
  TokenRsa(const TokenRsa&) = delete;
  TokenRsa& operator=(const TokenRsa&) = delete;
  ~TokenRsa();

  [[nodiscard]] EVP_PKEY* get() const { return key_.get(); }
  // error is why the token did not open what libcrypto asked for, if it did not.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  TokenRsa(hsm::Token& token, hsm::RsaPublicKey key) : token_(token), public_(std::move(key)) {}
  friend struct TokenRsaCall;

  hsm::Token& token_;
  const hsm::RsaPublicKey public_;
  OwnedKey key_;
  std::optional<Error> error_;
};

}  // namespace fugo::daemon
