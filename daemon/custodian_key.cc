#include "daemon/custodian_key.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"
#include "base/no_passphrase.h"
#include "base/owned.h"
#include "base/text.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMaxFileBytes = 64U << 10U;
constexpr int kMinimumRsaBits = 3072;

bool is_good(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return true;
  if (EVP_PKEY_is_a(key, "RSA") == 1) return EVP_PKEY_get_bits(key) >= kMinimumRsaBits;
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  std::array<char, 32> group{};
  return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                        nullptr) == 1 &&
         std::string(group.data()) == "prime256v1";
}

}  // namespace

Result<CustodianKey> CustodianKey::read(const std::filesystem::path& pem) {
  FUGO_ASSIGN(const auto text, read_small(pem, kMaxFileBytes));
  const Owned<BIO, BIO_free> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CustodianKey key;
  key.key_.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key.key_ || !is_good(key.key_.get()))
    return fail(ErrorCode::kUsage, "is no custodian's public key", pem.string(),
                "a PEM public key: EC P-256, RSA of at least 3072 bits, or Ed25519");
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.key_.get(), &der);
  if (size <= 0) return fail(ErrorCode::kInternal, "cannot encode a public key", pem.string());
  key.encoded_.assign(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return key;
}

Status CustodianKey::verify(const std::string& text, const std::filesystem::path& signature) const {
  FUGO_ASSIGN(const auto signed_by, read_small(signature, kMaxFileBytes));
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  const EVP_MD* digest = EVP_PKEY_is_a(key_.get(), "ED25519") == 1 ? nullptr : EVP_sha256();
  if (EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1)
    return fail(ErrorCode::kInternal, "cannot verify a signature", signature.string());
  const auto bytes = as_bytes(signed_by), message = as_bytes(text);
  if (EVP_DigestVerify(context.get(), bytes.data(), bytes.size(), message.data(), message.size()) ==
      1)
    return {};
  return fail(ErrorCode::kRefused, "the signature is not that custodian's over this request",
              signature.string(), "sign the request file as it is, with openssl");
}

Result<std::string> sha256_hex(const std::string& text) {
  std::array<std::uint8_t, 32> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    return fail(ErrorCode::kInternal, "cannot compute a SHA-256", "openssl");
  return hex(digest);
}

}  // namespace fugo::daemon
