// Signatures that any fuzz target can make: keys whose secret is a small number that all know. What
// lies behind a signature is reached so.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "hsm/token.h"
#include "keystore/types.h"

namespace fugo::fuzz {

// OpenKey is the key on P-256 whose secret is 1 or 2.
enum class OpenKey : std::uint8_t { kOne = 1, kTwo = 2 };

// sign_openly is r and s of ECDSA over SHA-256; the same for the same text.
[[nodiscard]] std::array<std::uint8_t, 64> sign_openly(OpenKey key, ByteView text);
// openly_signed is the same in DER, as openssl makes it.
[[nodiscard]] std::vector<std::uint8_t> openly_signed(OpenKey key, ByteView text);

// open_journal_key is the row of a journal key, version 1.
[[nodiscard]] keystore::KeyRow open_journal_key(OpenKey key);

// OpenToken has the journal key 1, and opens whatever was encrypted to an exchange key to
// `content_key`. It can do nothing else.
class OpenToken : public hsm::Token {
 public:
  std::array<std::uint8_t, 32> content_key{};

  Result<hsm::Key> find_key(const hsm::KeyName& name, const std::optional<Block>&) override;
  std::vector<Error> verify_keys(std::span<const hsm::ExpectedKey>) override { return {}; }
  Result<Block> fingerprint_of(const hsm::Key&) override { return no(); }
  Status encrypt(const hsm::Key&, std::size_t, const hsm::Fill&, const hsm::Drain&) override {
    return no();
  }
  Status decrypt(const hsm::Key&, std::size_t, const hsm::Fill&, const hsm::Drain&) override {
    return no();
  }
  Status mac(const hsm::Key&, std::size_t, const hsm::Messages&, const hsm::Drain&) override {
    return no();
  }
  Status sign(const hsm::Key& key, ByteView message, MutableByteView to) override;
  Result<SecretBytes<32>> unwrap_data_key(const hsm::Key&, ByteView) override { return no(); }
  Result<SecretArray<std::uint8_t>> decrypt_oaep(const hsm::RsaPublicKey& key,
                                                 ByteView encrypted) override;
  Result<std::vector<std::uint8_t>> public_point(const hsm::Key& key) override;
  Status random(MutableByteView) override { return no(); }
  std::string description() const override { return "open"; }
  std::uint64_t calls() const override { return 0; }
  std::vector<hsm::KeyUse> evaluated() const override { return {}; }
  hsm::Health health() const override { return {}; }
  hsm::TokenRole role() const override { return hsm::TokenRole::kIssuing; }

 private:
  static tl::unexpected<Error> no() {
    return fail(ErrorCode::kHsm, "CKR_FUNCTION_NOT_SUPPORTED", "open token");
  }
};

}  // namespace fugo::fuzz
