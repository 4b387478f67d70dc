// Writing a file that only its receiver can read, a piece at a time.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace fugo::daemon {

// SealedWriter writes CMS AuthEnvelopedData with AES-256-GCM to one certificate, in BER of
// indefinite length, as `openssl cms -encrypt -stream -aes-256-gcm` does: to an RSA key by OAEP
// with SHA-256, to an EC key by ECDH. Memory does not depend on the size. One thread at a time.
class SealedWriter {
 public:
  // create begins a message in the open file `fd`, which must outlive it. kRefused when nothing can
  // be encrypted to the certificate.
  [[nodiscard]] static Result<std::unique_ptr<SealedWriter>> create(
      int fd, ByteView certificate_der, std::filesystem::path path_for_error);
  ~SealedWriter();
  SealedWriter(const SealedWriter&) = delete;
  SealedWriter& operator=(const SealedWriter&) = delete;

  [[nodiscard]] Status write(ByteView clear);
  // finish ends the message and gives the SHA-256 of the file. Nothing can be written after it.
  [[nodiscard]] Result<std::array<std::uint8_t, 32>> finish();

 private:
  SealedWriter();
  struct Chain;
  [[nodiscard]] tl::unexpected<Error> cannot_write() const;

  std::filesystem::path path_;
  std::unique_ptr<Chain> chain_;
};

// is_sealed_to tells whether the head of an encrypted file names the certificate (its issuer and
// its serial number) as one that it is encrypted to. False of a file that cannot be read.
[[nodiscard]] bool is_sealed_to(const std::filesystem::path& file, ByteView certificate_der);

}  // namespace fugo::daemon
