// Sealing of the ledger's rows: AES-SIV, bound to table and key.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

namespace fugo::keystore {

// WipedBytes is what a row says, wiped when it goes.
class WipedBytes {
 public:
  explicit WipedBytes(std::size_t size) : bytes_(size) {}
  explicit WipedBytes(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
  ~WipedBytes() { wipe(bytes_.data(), bytes_.size()); }
  WipedBytes(WipedBytes&&) noexcept = default;
  WipedBytes& operator=(WipedBytes&& other) noexcept {
    bytes_.swap(other.bytes_);
    return *this;
  }
  WipedBytes(const WipedBytes&) = delete;
  WipedBytes& operator=(const WipedBytes&) = delete;

  [[nodiscard]] ByteView bytes() const { return bytes_; }
  [[nodiscard]] MutableByteView bytes() { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

// kSealOverhead is how much longer than its content a sealed value is: the synthetic IV in front.
inline constexpr std::size_t kSealOverhead = 16;

// siv_seal is RFC 5297 AES-SIV with a key of 512 bits (CMAC and CTR with AES-256 each): the
// 16-byte synthetic IV, then the ciphertext. `associated` are the components of S2V before the
// content, in order. The content is at least one byte. kInternal when OpenSSL fails.
[[nodiscard]] Result<std::vector<std::uint8_t>> siv_seal(const SecretBytes<64>& key,
                                                         std::span<const ByteView> associated,
                                                         ByteView content);

// siv_open gives the content back; kDamaged (without a place) when it does not authenticate.
[[nodiscard]] Result<WipedBytes> siv_open(const SecretBytes<64>& key,
                                          std::span<const ByteView> associated, ByteView sealed);

// hmac_sha256 is FIPS 198-1 over the concatenation of `parts`.
[[nodiscard]] Result<std::array<std::uint8_t, 32>> hmac_sha256(ByteView key,
                                                               std::span<const ByteView> parts);

// sha256 is FIPS 180-4 over the concatenation of `parts`.
[[nodiscard]] Result<std::array<std::uint8_t, 32>> sha256(std::span<const ByteView> parts);

}  // namespace fugo::keystore
