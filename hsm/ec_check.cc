#include "hsm/ec_check.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <vector>

#include "base/owned.h"

namespace fugo::hsm {
namespace {

constexpr std::size_t kPointSize = 65;  // 0x04, x, y

using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;

Result<OwnedKey> public_key(ByteView raw) {
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  char group[] = "P-256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
                                        const_cast<std::uint8_t*>(raw.data()), raw.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    return fail(ErrorCode::kRefused, "not a point of secp256r1", "CKA_EC_POINT");
  return OwnedKey(key);
}

// to_der rewrites r and s as the DER sequence that OpenSSL takes.
std::vector<std::uint8_t> to_der(ByteView signature) {
  const Owned<ECDSA_SIG, ECDSA_SIG_free> pair(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(signature.data(), 32, nullptr);
  BIGNUM* s = BN_bin2bn(signature.data() + 32, 32, nullptr);
  if (!pair || r == nullptr || s == nullptr || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(pair.get(), &der);
  if (size <= 0) return {};
  std::vector<std::uint8_t> out(der, der + size);
  OPENSSL_free(der);
  return out;
}

}  // namespace

Result<bool> verify_p256(ByteView point, ByteView message, ByteView signature) {
  if (signature.size() != 64) return false;
  if (point.size() != kPointSize + 2 || point[0] != 0x04 || point[1] != kPointSize)
    return fail(ErrorCode::kRefused, "not a DER octet string of 65 bytes", "CKA_EC_POINT");
  FUGO_ASSIGN(const auto key, public_key(point.subspan(2)));
  const auto der = to_der(signature);
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  if (der.empty() || !context ||
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) != 1)
    return fail(ErrorCode::kInternal, "cannot verify", "EVP_DigestVerifyInit");
  return EVP_DigestVerify(context.get(), der.data(), der.size(), message.data(), message.size()) ==
         1;
}

}  // namespace fugo::hsm
