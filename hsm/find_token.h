// Finding a token by its RFC 7512 URI.
#pragma once

#include <string>

#include "base/result.h"
#include "hsm/module.h"

namespace fugo::hsm {

// FoundToken is a slot and what C_GetTokenInfo said of the token in it.
struct FoundToken {
  CK_SLOT_ID slot = 0;
  CK_TOKEN_INFO info{};
};

// find_token finds the one initialised token that matches `uri` (RFC 7512 section 2.5). kUsage
// when the URI is malformed, holds a PIN, or matches several tokens; kHsm, with the labels of the
// tokens that are there, when it matches none.
[[nodiscard]] Result<FoundToken> find_token(const Module& module, const std::string& uri);

// padded_text is a blank-padded field of PKCS#11 without its padding.
[[nodiscard]] std::string padded_text(const CK_UTF8CHAR* field, std::size_t size);

// describe writes the model, label and serial number of a token for a person.
[[nodiscard]] std::string describe(const CK_TOKEN_INFO& info);

}  // namespace fugo::hsm
