// Encrypted requests: CMS AuthEnvelopedData (RFC 5083, RFC 5084) around SignedData (RFC 5652).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "daemon/exchange/certificate.h"
#include "hsm/token.h"

namespace fugo::daemon {

// OpenedMessage is what was inside, every byte of it authenticated.
struct OpenedMessage {
  SecretBuffer memory;
  std::size_t size = 0;
  Certificate sender;

  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(memory.data()), size};
  }
};

// looks_encrypted tells whether a file begins as a CMS message in DER does; of a request in the
// clear it never is true.
[[nodiscard]] bool looks_encrypted(ByteView start);

// decrypt_message opens AuthEnvelopedData with AES-256-GCM for one of the certificates whose key is
// in the token. kRefused, with `where` = the path, for anything else, and when a byte was changed;
// nothing of the clear text is given out then. kHsm when the token fails.
struct ClearBytes {
  SecretBuffer memory;
  std::size_t size = 0;
};
[[nodiscard]] Result<ClearBytes> decrypt_message(ByteView message,
                                                 const std::vector<Certificate>& own,
                                                 hsm::Token& token,
                                                 const std::filesystem::path& path);

// verify_message takes the content out of SignedData that exactly one known sender has signed, with
// SHA-256 or longer. Whether the sender's certificate is still valid is for the caller to ask.
[[nodiscard]] Result<OpenedMessage> verify_message(ClearBytes signed_data,
                                                   std::vector<Certificate> senders,
                                                   const std::filesystem::path& path);

}  // namespace fugo::daemon
