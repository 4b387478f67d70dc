#include "daemon/exchange/site_certificate.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <vector>

#include "daemon/exchange/openssl.h"
#include "daemon/journal/signature.h"

namespace fugo::daemon {
namespace {

constexpr long kVersion3 = 2;
constexpr std::size_t kSerialBytes = 16;

tl::unexpected<Error> cannot(const char* what) {
  return fail(ErrorCode::kInternal, what, "certificate of an exchange key");
}

Result<OwnedKey> rsa_public(const hsm::RsaPublicKey& key) {
  using Number = Owned<BIGNUM, BN_free>;
  const auto number = [](const std::vector<std::uint8_t>& bytes) {
    return Number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  };
  const Number n = number(key.modulus), e = number(key.exponent);
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> build(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(build.get()));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return cannot("the token's public key is none");
  return OwnedKey(made);
}

bool set_name(X509_NAME* name, const std::string& common_name) {
  const auto add = [name](const char* field, const std::string& text) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC,
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()), -1, 0) == 1;
  };
  return add("O", "fugo") && add("CN", common_name);
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, nullptr, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  std::array<std::uint8_t, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7FU) | 0x40U);  // positive, of full length
  const Owned<BIGNUM, BN_free> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

Result<OwnedX509> unsigned_certificate(const CertificateWish& wish) {
  FUGO_ASSIGN(const auto key, rsa_public(wish.key));
  OwnedX509 certificate(X509_new());
  X509* x509 = certificate.get();
  // This layer owns the object; libcrypto has no setter for a signature that was made elsewhere.
  auto* const inner = const_cast<X509_ALGOR*>(X509_get0_tbs_sigalg(x509));
  if (X509_set_version(x509, kVersion3) != 1 || !set_serial(x509) ||
      !set_name(X509_get_subject_name(x509), wish.label) ||
      !set_name(X509_get_issuer_name(x509), "journal key of ledger " + wish.ledger) ||
      ASN1_TIME_set(X509_getm_notBefore(x509), wish.from) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(x509), wish.until) == nullptr ||
      X509_set_pubkey(x509, key.get()) != 1 ||
      !add_extension(x509, NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(x509, NID_key_usage, "critical,keyEncipherment") ||
      !add_extension(x509, NID_subject_key_identifier, "hash") ||
      X509_ALGOR_set0(inner, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, nullptr) != 1)
    return cannot("cannot be made");
  return certificate;
}

Status put_signature(X509* certificate, const std::vector<std::uint8_t>& der) {
  const ASN1_BIT_STRING* signature = nullptr;
  const X509_ALGOR* algorithm = nullptr;
  X509_get0_signature(&signature, &algorithm, certificate);
  auto* const bits = const_cast<ASN1_BIT_STRING*>(signature);
  if (X509_ALGOR_set0(const_cast<X509_ALGOR*>(algorithm), OBJ_nid2obj(NID_ecdsa_with_SHA256),
                      V_ASN1_UNDEF, nullptr) != 1 ||
      ASN1_STRING_set(bits, der.data(), static_cast<int>(der.size())) != 1)
    return cannot("cannot be signed");
  bits->flags = (bits->flags & ~0x07L) | ASN1_STRING_FLAG_BITS_LEFT;  // no unused bits
  return {};
}

}  // namespace

Result<std::string> make_site_certificate(const CertificateWish& wish, hsm::Token& token,
                                          const keystore::KeyRow& journal_key) {
  FUGO_ASSIGN(const auto certificate, unsigned_certificate(wish));
  unsigned char* bytes = nullptr;
  const int size = i2d_re_X509_tbs(certificate.get(), &bytes);
  if (size <= 0) return cannot("cannot be encoded");
  const std::string text(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  FUGO_ASSIGN(const auto signature, sign_text(token, journal_key, text));
  FUGO_TRY(put_signature(certificate.get(), signature));
  FUGO_ASSIGN(const auto signer_der, public_key_der(journal_key));
  const unsigned char* at = signer_der.data();
  const OwnedKey signer(d2i_PUBKEY(nullptr, &at, static_cast<long>(signer_der.size())));
  if (!signer || X509_verify(certificate.get(), signer.get()) != 1)
    return cannot("does not verify");
  const OwnedBio out(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (!out || PEM_write_bio_X509(out.get(), certificate.get()) != 1)
    return cannot("cannot be written");
  const long length = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(length));
}

}  // namespace fugo::daemon
