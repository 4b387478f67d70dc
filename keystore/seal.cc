#include "keystore/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>

#include "base/owned.h"

namespace fugo::keystore {
namespace {

using CipherContext = Owned<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;
using DigestContext = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using MacContext = Owned<EVP_MAC_CTX, EVP_MAC_CTX_free>;

// Fetched once and kept: a fetch costs more than sealing a row.
const EVP_CIPHER* siv_cipher() {
  static const EVP_CIPHER* const cipher = ::EVP_CIPHER_fetch(nullptr, "AES-256-SIV", nullptr);
  return cipher;
}
EVP_MAC* hmac() {
  static EVP_MAC* const mac = ::EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return mac;
}

tl::unexpected<Error> openssl_failed(const char* what) {
  return fail(ErrorCode::kInternal, std::string("OpenSSL failed: ") + what, "row sealing",
              "check that OpenSSL 3 is installed with its default provider");
}

bool add_associated(EVP_CIPHER_CTX* context, std::span<const ByteView> associated) {
  int length = 0;
  for (const ByteView part : associated)
    if (::EVP_CipherUpdate(context, nullptr, &length, part.data(), static_cast<int>(part.size())) !=
        1)
      return false;
  return true;
}

}  // namespace

Result<std::vector<std::uint8_t>> siv_seal(const SecretBytes<64>& key,
                                           std::span<const ByteView> associated, ByteView content) {
  const CipherContext context(::EVP_CIPHER_CTX_new());
  std::vector<std::uint8_t> sealed(kSealOverhead + content.size());
  int length = 0;
  if (content.empty() || !context || siv_cipher() == nullptr ||
      ::EVP_EncryptInit_ex2(context.get(), siv_cipher(), key.data(), nullptr, nullptr) != 1 ||
      !add_associated(context.get(), associated) ||
      ::EVP_EncryptUpdate(context.get(), sealed.data() + kSealOverhead, &length, content.data(),
                          static_cast<int>(content.size())) != 1 ||
      static_cast<std::size_t>(length) != content.size() ||
      ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kSealOverhead, sealed.data()) !=
          1)
    return openssl_failed("AES-256-SIV sealing");
  return sealed;
}

Result<WipedBytes> siv_open(const SecretBytes<64>& key, std::span<const ByteView> associated,
                            ByteView sealed) {
  const auto damaged = [] {
    return fail(ErrorCode::kDamaged, "a sealed row does not authenticate", {},
                "run fugo verify, and restore a backup");
  };
  if (sealed.size() <= kSealOverhead) return damaged();
  const CipherContext context(::EVP_CIPHER_CTX_new());
  WipedBytes content(sealed.size() - kSealOverhead);
  std::array<std::uint8_t, kSealOverhead> tag{};
  std::copy_n(sealed.begin(), tag.size(), tag.begin());
  if (!context || siv_cipher() == nullptr ||
      ::EVP_DecryptInit_ex2(context.get(), siv_cipher(), key.data(), nullptr, nullptr) != 1 ||
      ::EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kSealOverhead, tag.data()) != 1 ||
      !add_associated(context.get(), associated))
    return openssl_failed("AES-256-SIV opening");
  // RFC 5297, section 2.7: plaintext is given out only when the synthetic IV agrees.
  int length = 0;
  if (::EVP_DecryptUpdate(context.get(), content.bytes().data(), &length,
                          sealed.data() + kSealOverhead,
                          static_cast<int>(content.bytes().size())) != 1 ||
      static_cast<std::size_t>(length) != content.bytes().size())
    return damaged();
  return content;
}

Result<std::array<std::uint8_t, 32>> hmac_sha256(ByteView key, std::span<const ByteView> parts) {
  const MacContext context(::EVP_MAC_CTX_new(hmac()));
  char name[] = "SHA256";
  const std::array parameters{::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                              ::OSSL_PARAM_construct_end()};
  std::array<std::uint8_t, 32> out{};
  std::size_t length = 0;
  bool good =
      context && ::EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) == 1;
  for (const ByteView part : parts)
    good = good && ::EVP_MAC_update(context.get(), part.data(), part.size()) == 1;
  if (!good || ::EVP_MAC_final(context.get(), out.data(), &length, out.size()) != 1 ||
      length != out.size())
    return openssl_failed("HMAC-SHA-256");
  return out;
}

Result<std::array<std::uint8_t, 32>> sha256(std::span<const ByteView> parts) {
  const DigestContext context(::EVP_MD_CTX_new());
  std::array<std::uint8_t, 32> out{};
  bool good = context && ::EVP_DigestInit_ex(context.get(), ::EVP_sha256(), nullptr) == 1;
  for (const ByteView part : parts)
    good = good && ::EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  if (!good || ::EVP_DigestFinal_ex(context.get(), out.data(), nullptr) != 1)
    return openssl_failed("SHA-256");
  return out;
}

}  // namespace fugo::keystore
