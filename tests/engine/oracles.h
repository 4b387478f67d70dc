// Independent implementations of what the methods are made of: OpenSSL's and Botan's.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"

namespace fugo::testing {

using Bytes = std::vector<std::uint8_t>;

// from_hex throws std::runtime_error when `digits` are none.
[[nodiscard]] Bytes from_hex(std::string_view digits);
[[nodiscard]] Block block_from_hex(std::string_view digits);
// joined is a || b.
[[nodiscard]] Bytes joined(ByteView a, ByteView b);
// one_block is the first 16 bytes.
[[nodiscard]] Block one_block(ByteView bytes);

// openssl_ecb is AES-256 of one block.
[[nodiscard]] Block openssl_ecb(const Bytes& key, const Block& input);

// The MACs give the first 16 bytes of the tag of a message. Not thread-safe.
class OpenSslMac {
 public:
  [[nodiscard]] Block operator()(ByteView message) const;

 protected:
  OpenSslMac(const char* name, const char* parameter, const char* value, const Bytes& key);
  std::shared_ptr<void> context_;
};
class OpenSslCmac : public OpenSslMac {
 public:
  explicit OpenSslCmac(const Bytes& key) : OpenSslMac("CMAC", "cipher", "AES-256-CBC", key) {}
};
class OpenSslHmac : public OpenSslMac {
 public:
  explicit OpenSslHmac(const Bytes& key) : OpenSslMac("HMAC", "digest", "SHA256", key) {}
};

// BotanMac: "CMAC(AES-256)" or "HMAC(SHA-256)".
class BotanMac {
 public:
  BotanMac(const char* name, const Bytes& key);
  [[nodiscard]] Block operator()(ByteView message) const;

 private:
  std::shared_ptr<void> mac_;
};

// XTS-AES-256 of one data unit of one block; `keys` is Key1 || Key2.
class OpenSslXts {
 public:
  explicit OpenSslXts(const Bytes& keys);
  [[nodiscard]] Block operator()(const Block& tweak, const Block& plain) const;

 private:
  std::shared_ptr<void> context_;
};
class BotanXts {
 public:
  explicit BotanXts(const Bytes& keys);
  [[nodiscard]] Block operator()(const Block& tweak, const Block& plain) const;

 private:
  std::shared_ptr<void> mode_;
};

}  // namespace fugo::testing
