#include "keystore/block_cipher.h"

#include <array>

namespace fugo::keystore {
namespace {

const EVP_CIPHER* aes_256_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}

// The nonce has 96 bits: SP 800-38D, 8.2.1 (deterministic construction), fixed field zero.
std::array<std::uint8_t, 12> nonce_of(std::uint64_t number) {
  std::array<std::uint8_t, 12> nonce{};
  store_be(&nonce[4], number);
  return nonce;
}

}  // namespace

Result<BlockCipher> BlockCipher::create(const SecretBytes<32>& key, Use use) {
  BlockCipher cipher;
  cipher.context_.reset(EVP_CIPHER_CTX_new());
  if (!cipher.context_ || EVP_CipherInit_ex2(cipher.context_.get(), aes_256_gcm(), key.data(),
                                             nullptr, use == Use::kSeal ? 1 : 0, nullptr) != 1)
    return crypto_failure("EVP_CipherInit_ex2");
  return cipher;
}

Status BlockCipher::seal(std::uint64_t number, const std::uint8_t* plain, std::uint8_t* sealed) {
  const auto nonce = nonce_of(number);
  int size = 0;
  int rest = 0;
  if (EVP_EncryptInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context_.get(), sealed, &size, plain, kPlainBytes) != 1 ||
      EVP_EncryptFinal_ex(context_.get(), sealed + kPlainBytes, &rest) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, sealed + kPlainBytes) !=
          1)
    return crypto_failure("AES-256-GCM");
  return {};
}

bool BlockCipher::open(std::uint64_t number, const std::uint8_t* sealed, std::uint8_t* plain) {
  const auto nonce = nonce_of(number);
  int size = 0;
  int rest = 0;
  return EVP_DecryptInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), nullptr) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes,
                             const_cast<std::uint8_t*>(sealed + kPlainBytes)) == 1 &&
         EVP_DecryptUpdate(context_.get(), plain, &size, sealed, kPlainBytes) == 1 &&
         EVP_DecryptFinal_ex(context_.get(), plain + size, &rest) == 1;
}

}  // namespace fugo::keystore
