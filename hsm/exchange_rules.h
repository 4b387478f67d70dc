// What an exchange key may do; private to this layer.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/attributes.h"

namespace fugo::hsm {

// exchange_flags is set when the private key is made, and compared whenever it is found.
[[nodiscard]] const std::vector<FlagRule>& exchange_flags();

// check_exchange_key is kRefused, naming the attribute, unless an RSA private key has exactly these
// flags and mechanisms, the length of one, the label of one, and was made in the token.
// `with_mechanisms` is TokenSettings::allowed_mechanisms.
[[nodiscard]] Status check_exchange_key(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                                        CK_OBJECT_HANDLE object, bool with_mechanisms);

// encrypt_oaep is RSAES-OAEP with SHA-1 and MGF1-SHA-1, by OpenSSL.
[[nodiscard]] Result<std::vector<std::uint8_t>> encrypt_oaep(ByteView modulus, ByteView exponent,
                                                             ByteView text);

}  // namespace fugo::hsm
