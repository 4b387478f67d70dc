// Exchange keys: RSA key pairs of the issuing token, which requests are encrypted to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/recovery_package.h"
#include "hsm/token.h"

namespace fugo::hsm {

// The label is kExchangeLabel and a number, from 1, that is never used again; CKA_ID is 8, 4 and
// that number in two bytes, as those of keys of the registry, which uses neither 8 nor 4.
inline constexpr std::string_view kExchangeLabel = "fugo-exchange-rsa3072-v";
inline constexpr unsigned kExchangeKeyBits = 3072;

// ExchangeKey is one that is in a token.
struct ExchangeKey {
  std::string label;
  RsaPublicKey public_key;
  std::string fault;  // what is wrong with its attributes; empty: nothing
};

// exchange_label gives the label of a number.
[[nodiscard]] std::string exchange_label(std::uint16_t number);

// make_exchange_key makes a key pair in the token, read-write: its private key can do nothing but
// C_Decrypt with CKM_RSA_PKCS_OAEP, cannot leave the token, and cannot be changed; it is in no
// recovery package. kRefused when the token has an object of that label. With no Token of another
// configuration alive.
[[nodiscard]] Result<RsaPublicKey> make_exchange_key(const TokenSettings& token,
                                                     std::uint16_t number);

// list_exchange_keys lists those of the token by label.
[[nodiscard]] Result<std::vector<ExchangeKey>> list_exchange_keys(const TokenSettings& token);

// destroy_exchange_key destroys the objects of that label and looks again that they are absent;
// false when there was none.
[[nodiscard]] Result<bool> destroy_exchange_key(const TokenSettings& token,
                                                const std::string& label);

}  // namespace fugo::hsm
