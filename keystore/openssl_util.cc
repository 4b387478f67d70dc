#include "keystore/openssl_util.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <algorithm>
#include <string>

namespace fugo::keystore {
namespace {

struct KdfDeleter {
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};
using KdfContext = std::unique_ptr<EVP_KDF_CTX, KdfDeleter>;

// Fetched once and kept for the life of the process: fetching costs more than a small use.
const EVP_CIPHER* aes_256_ecb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return cipher;
}
EVP_KDF* hkdf() {
  static EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  return kdf;
}

OSSL_PARAM octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()),
                                           bytes.size());
}

}  // namespace

tl::unexpected<Error> crypto_failure(std::string_view function) {
  const unsigned long code = ERR_get_error();
  return fail(ErrorCode::kInternal, "libcrypto failed", std::string(function),
              "check the installation of OpenSSL", code);
}

Status hkdf_sha256(ByteView key, ByteView salt, ByteView info, MutableByteView out) {
  const KdfContext context(EVP_KDF_CTX_new(hkdf()));
  if (!context) return crypto_failure("EVP_KDF_CTX_new");
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      octets(OSSL_KDF_PARAM_KEY, key), octets(OSSL_KDF_PARAM_SALT, salt),
      octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  if (EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) != 1)
    return crypto_failure("EVP_KDF_derive");
  return {};
}

Status random_secret(MutableByteView out) {
  if (RAND_priv_bytes(out.data(), static_cast<int>(out.size())) != 1)
    return crypto_failure("RAND_priv_bytes");
  return {};
}

Result<BlockEncryptor> BlockEncryptor::create(const SecretBytes<32>& key) {
  BlockEncryptor encryptor;
  encryptor.context_.reset(EVP_CIPHER_CTX_new());
  if (!encryptor.context_ || EVP_EncryptInit_ex2(encryptor.context_.get(), aes_256_ecb(),
                                                 key.data(), nullptr, nullptr) != 1)
    return crypto_failure("EVP_EncryptInit_ex2");
  EVP_CIPHER_CTX_set_padding(encryptor.context_.get(), 0);
  return encryptor;
}

Status BlockEncryptor::encrypt(std::span<const Block> from, std::span<Block> to) {
  constexpr std::size_t kMaxBlocks = 1U << 20U;  // EVP counts in int
  while (!from.empty()) {
    const std::size_t count = std::min(from.size(), kMaxBlocks);
    const auto size = static_cast<int>(count * sizeof(Block));
    int written = 0;
    if (EVP_EncryptUpdate(context_.get(), reinterpret_cast<std::uint8_t*>(to.data()), &written,
                          reinterpret_cast<const std::uint8_t*>(from.data()), size) != 1 ||
        written != size)
      return crypto_failure("EVP_EncryptUpdate");
    from = from.subspan(count);
    to = to.subspan(count);
  }
  return {};
}

}  // namespace fugo::keystore
