// What was encrypted to an exchange key, opened in the token.
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <memory>

#include "base/owned.h"
#include "hsm/ceremony_site.h"
#include "hsm/exchange_rules.h"
#include "hsm/pkcs11_token.h"
#include "hsm/recovery_package.h"

namespace fugo::hsm {
namespace {

constexpr std::size_t kMostKeyBytes = 1024;  // of a modulus
constexpr const char* kWhere = "C_Decrypt";

using Number = Owned<BIGNUM, BN_free>;

tl::unexpected<Error> cannot() { return fail(ErrorCode::kInternal, "cannot encrypt", "RSA-OAEP"); }

Result<Owned<EVP_PKEY, EVP_PKEY_free>> public_key(ByteView modulus, ByteView exponent) {
  const Number n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const Number e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr));
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> build(OSSL_PARAM_BLD_new());
  if (!n || !e || !build ||
      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return cannot();
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(build.get()));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return cannot();
  return Owned<EVP_PKEY, EVP_PKEY_free>(made);
}

}  // namespace

Result<std::vector<std::uint8_t>> encrypt_oaep(ByteView modulus, ByteView exponent, ByteView text) {
  FUGO_ASSIGN(const auto key, public_key(modulus, exponent));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  std::vector<std::uint8_t> out(modulus.size());
  std::size_t size = out.size();
  if (!context || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_encrypt(context.get(), out.data(), &size, text.data(), text.size()) != 1)
    return cannot();
  out.resize(size);
  return out;
}

Result<SecretArray<std::uint8_t>> Pkcs11Token::decrypt_oaep(const RsaPublicKey& key,
                                                            ByteView encrypted) {
  return with_recovery([&] { return decrypt_oaep_once(key, encrypted); });
}

Result<SecretArray<std::uint8_t>> Pkcs11Token::decrypt_oaep_in(SessionPool::Lease& lease,
                                                               CK_OBJECT_HANDLE key,
                                                               ByteView encrypted) {
  CK_MECHANISM mechanism = oaep();
  FUGO_TRY(lease.check(lease.functions()->C_DecryptInit(lease.handle(), &mechanism, key),
                       "C_DecryptInit"));
  FUGO_ASSIGN(auto room, SecretArray<std::uint8_t>::create(kMostKeyBytes));
  prefill({room.data(), room.size()});
  CK_ULONG size = room.size();
  // C_Decrypt takes its input without const, and does not write to it.
  const CK_RV rv = lease.functions()->C_Decrypt(
      lease.handle(), const_cast<CK_BYTE*>(encrypted.data()), encrypted.size(), room.data(), &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK) lease.spoil(rv);
  if (rv != CKR_OK) return fail_rv(rv, kWhere);
  if (size > kMostKeyBytes) return wrong_answer("the token wrote past its room", kWhere);
  FUGO_ASSIGN(auto text, SecretArray<std::uint8_t>::create(size));
  std::copy_n(room.data(), size, text.data());
  return text;
}

// A token says CKR_GENERAL_ERROR (SoftHSM) or anything else of a text that was not encrypted to the
// key, as it may when it is in trouble itself. So where it fails it is given a text that was.
Result<SecretArray<std::uint8_t>> Pkcs11Token::decrypt_oaep_once(const RsaPublicKey& key,
                                                                 ByteView encrypted) {
  const auto find = [&](SessionPool::Lease& lease) -> Result<CK_OBJECT_HANDLE> {
    FUGO_TRY(lease.session().check_logged_in());
    Template wanted;
    wanted.number(CKA_CLASS, CKO_PRIVATE_KEY)
        .number(CKA_KEY_TYPE, CKK_RSA)
        .bytes(CKA_MODULUS, key.modulus);
    FUGO_ASSIGN(const auto found, find_objects(lease.functions(), lease.handle(), wanted));
    if (found.size() != 1)
      return fail(ErrorCode::kRefused, "the exchange key of this certificate is not in the token",
                  "C_FindObjects", "fugo exchange list shows those that are");
    FUGO_TRY(check_exchange_key(lease.functions(), lease.handle(), found.front(),
                                settings_.allowed_mechanisms));
    return found.front();
  };
  const auto open = [&](ByteView text) -> Result<SecretArray<std::uint8_t>> {
    FUGO_ASSIGN(const auto lock, lock_within(admin_mutex_));
    FUGO_ASSIGN(auto lease, pool_.acquire());
    auto object = find(lease);
    if (!object && object.error().code == ErrorCode::kHsm) lease.spoil(object.error().native);
    if (!object) return tl::unexpected<Error>(std::move(object).error());
    return decrypt_oaep_in(lease, *object, text);
  };
  auto once = open(encrypted);
  if (once) {
    FUGO_ASSIGN(const auto twice, open(encrypted));
    if (equal_in_constant_time({once->data(), once->size()}, {twice.data(), twice.size()}))
      return once;
    return wrong_answer("one text was decrypted in two ways", kWhere);
  }
  if (once.error().code != ErrorCode::kHsm) return once;
  FUGO_ASSIGN(const auto known, encrypt_oaep(key.modulus, key.exponent, kFingerprintInput.bytes));
  const auto proof = open(known);
  if (!proof || !equal_in_constant_time({proof->data(), proof->size()}, kFingerprintInput.bytes))
    return once;
  return fail(ErrorCode::kRefused, "was not encrypted to this site's key, or was changed", kWhere);
}

}  // namespace fugo::hsm
