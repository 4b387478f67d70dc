// One answer file while it is written: buffered, hashed, counted.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "base/result.h"
#include "daemon/exchange/sealed_writer.h"

namespace fugo::daemon {

using Sha256 = std::array<std::uint8_t, 32>;

// Sha256Stream computes SHA-256 (FIPS 180-4).
class Sha256Stream {
 public:
  [[nodiscard]] static Result<Sha256Stream> create();
  [[nodiscard]] Status update(ByteView bytes);
  [[nodiscard]] Result<Sha256> finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

// kSealedSuffix is what the name of a file that is encrypted to its receiver ends with, behind the
// name that it has in the clear.
inline constexpr const char* kSealedSuffix = ".p7m";

// AnswerFile is a new file of mode 0600. Movable; belongs to one thread.
class AnswerFile {
 public:
  // create makes the file; kIo when there is one of this name. With a certificate (DER) it is
  // encrypted to that, and what is written to it is on no disk in the clear.
  [[nodiscard]] static Result<AnswerFile> create(const std::filesystem::path& path,
                                                 ByteView certificate = {});

  // room gives `size` bytes (at most 4096) to be filled, then take() says how many were.
  [[nodiscard]] Result<char*> room(std::size_t size) {
    if (used_ + size > buffer_.size()) FUGO_TRY(flush());
    return buffer_.data() + used_;
  }
  void take(std::size_t size) { used_ += size; }
  // append adds a text of any length.
  [[nodiscard]] Status append(std::string_view text);

  // finish writes what is buffered, asks the system to begin writing, and gives the digest of the
  // clear text. The file is durable after sync() only.
  [[nodiscard]] Result<Sha256> finish();
  // sealed is the SHA-256 of the file itself where it is encrypted; after finish().
  [[nodiscard]] const std::optional<Sha256>& sealed() const { return sealed_; }
  [[nodiscard]] Status sync();

 private:
  [[nodiscard]] Status flush();

  std::filesystem::path path_;
  UniqueFd fd_;
  Sha256Stream sha256_;
  std::unique_ptr<SealedWriter> writer_;  // of an encrypted file
  std::optional<Sha256> sealed_;
  std::vector<char> buffer_;
  std::size_t used_ = 0;
};

// hash_file computes the SHA-256 of a whole file.
[[nodiscard]] Result<Sha256> hash_file(const std::filesystem::path& path);

}  // namespace fugo::daemon
