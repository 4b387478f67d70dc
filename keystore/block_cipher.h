// Sealing and opening the blocks of one bulk file.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/secret.h"
#include "keystore/bulk_format.h"
#include "keystore/openssl_util.h"

namespace fugo::keystore {

// BlockCipher is AES-256-GCM (NIST SP 800-38D) with a block's number as the nonce, under a key
// that is used for one file only. A file's blocks are each sealed once, so no nonce repeats.
// One thread at a time.
class BlockCipher {
 public:
  enum class Use : std::uint8_t { kSeal, kOpen };
  [[nodiscard]] static Result<BlockCipher> create(const SecretBytes<32>& key, Use use);

  // seal writes kBlockBytes: text and tag.
  [[nodiscard]] Status seal(std::uint64_t number, const std::uint8_t* plain, std::uint8_t* sealed);
  // open writes kPlainBytes; false when the block does not authenticate: use nothing of it then.
  [[nodiscard]] bool open(std::uint64_t number, const std::uint8_t* sealed, std::uint8_t* plain);

 private:
  CipherContext context_;
};

}  // namespace fugo::keystore
