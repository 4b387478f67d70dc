// The keys that a ledger's data key stands for, and what they are used for.
#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "keystore/types.h"

namespace fugo::keystore {

// LedgerKeys are derived from the 32-byte data key by HKDF-SHA-256 (salt = ledger id, info =
// "fugo " + name): seal (64 bytes, AES-256-SIV), index (32), digest (32), request (32), spill (32).
// Immutable and thread-safe.
class LedgerKeys {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const LedgerKeys>> derive(
      const SecretBytes<32>& data_key, const Block& ledger_id);

  [[nodiscard]] const SecretBytes<64>& seal() const { return seal_; }
  [[nodiscard]] const SecretBytes<32>& index() const { return index_; }
  [[nodiscard]] const SecretBytes<32>& digest() const { return digest_; }
  [[nodiscard]] const SecretBytes<32>& request() const {
    return request_;
  }                                                                      // hashes of ids and days
  [[nodiscard]] const SecretBytes<32>& spill() const { return spill_; }  // duplicate detection
  [[nodiscard]] const Block& ledger_id() const { return ledger_id_; }

  // symbol_digests writes the keyed 64-bit digest of each symbol: the first 8 bytes, big-endian,
  // of AES-256(index key, symbol). Sizes are equal.
  [[nodiscard]] Status symbol_digests(std::span<const Block> symbols,
                                      std::span<std::uint64_t> digests) const;

 private:
  SecretBytes<64> seal_;
  SecretBytes<32> index_, digest_, request_, spill_;
  Block ledger_id_;
};

// symbol_tag is the index entry's tag of a check value: its first 4 bytes, big-endian.
[[nodiscard]] inline std::uint32_t symbol_tag(const CheckValue& value) {
  return load_be<std::uint32_t>(value.data());
}

}  // namespace fugo::keystore
