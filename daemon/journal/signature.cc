#include "daemon/journal/signature.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

#include "base/owned.h"
#include "daemon/key_making.h"
#include "daemon/site_access.h"
#include "hsm/ec_check.h"

namespace fugo::daemon {
namespace {

using Bytes = std::vector<std::uint8_t>;
using PublicKey = Owned<EVP_PKEY, EVP_PKEY_free>;

constexpr std::size_t kHalf = 32;  // bytes of r, and of s
using RawSignature = std::array<std::uint8_t, 2 * kHalf>;

tl::unexpected<Error> cannot(const char* what) {
  return fail(ErrorCode::kInternal, what, "journal key");
}

bool is_journal_key(const keystore::KeyRow& row) {
  return name_of(row).purpose == hsm::KeyPurpose::kJournal;
}

// der_signature turns r and s, as PKCS#11 gives them, into what openssl takes.
Result<Bytes> der_signature(const RawSignature& raw) {
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(raw.data(), kHalf, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + kHalf, kHalf, nullptr);
  if (!signature || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return cannot("cannot encode the signature");
  }
  Bytes der(2 * kHalf + 16);
  unsigned char* at = der.data();
  const int size = i2d_ECDSA_SIG(signature.get(), &at);
  if (size <= 0) return cannot("cannot encode the signature");
  der.resize(static_cast<std::size_t>(size));
  return der;
}

// raw_signature is the other way round; false for what is not exactly one signature.
bool raw_signature(ByteView der, RawSignature& raw) {
  constexpr int kSize = static_cast<int>(kHalf);
  const unsigned char* at = der.data();
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  return signature && at == der.data() + der.size() &&
         BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), kSize) == kSize &&
         BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), &raw[kHalf], kSize) == kSize;
}

// public_key makes a key of CKA_EC_POINT (an OCTET STRING in DER around the point).
Result<PublicKey> public_key(const keystore::KeyRow& row) {
  constexpr std::size_t kHeader = 2, kPoint = 65;
  if (row.public_key.size() != kHeader + kPoint)
    return cannot("the journal key's point is not one");
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> build(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                   row.public_key.data() + kHeader, kPoint);
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(build.get()));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return cannot("the journal key's point is not one");
  return PublicKey(made);
}

}  // namespace

Result<keystore::KeyRow> signing_key(const std::vector<keystore::KeyRow>& rows) {
  const keystore::KeyRow* newest = nullptr;
  for (const auto& row : rows)
    if (is_journal_key(row) && row.state == keystore::KeyState::kActive &&
        (newest == nullptr || row.version > newest->version))
      newest = &row;
  if (newest != nullptr) return *newest;
  return fail(ErrorCode::kRefused, "there is no active journal key", "key registry");
}

Result<Bytes> sign_text(hsm::Token& token, const keystore::KeyRow& journal_key,
                        std::string_view text) {
  const auto expected = expected_key(journal_key);
  FUGO_ASSIGN(const auto key, token.find_key(expected.name, expected.fingerprint));
  RawSignature raw{};
  FUGO_TRY(token.sign(key, as_bytes(text), raw));
  return der_signature(raw);
}

Result<bool> is_signed(const keystore::KeyRow& journal_key, std::string_view text, ByteView der) {
  RawSignature raw{};
  if (!raw_signature(der, raw)) return false;
  return hsm::verify_p256(journal_key.public_key, as_bytes(text), raw);
}

Result<keystore::KeyRow> find_signer(const std::vector<keystore::KeyRow>& rows,
                                     std::string_view text, ByteView der,
                                     const std::string& where) {
  for (const auto& row : rows) {
    if (!is_journal_key(row) || row.public_key.empty()) continue;
    FUGO_ASSIGN(const bool right, is_signed(row, text, der));
    if (right) return row;
  }
  return fail(ErrorCode::kDamaged, "is not signed by a journal key of this ledger", where);
}

Result<Bytes> public_key_der(const keystore::KeyRow& journal_key) {
  FUGO_ASSIGN(const auto key, public_key(journal_key));
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return cannot("cannot encode the public key");
  Bytes encoded(der, der + size);
  OPENSSL_free(der);
  return encoded;
}

Result<std::string> public_key_pem(const keystore::KeyRow& journal_key) {
  FUGO_ASSIGN(const auto key, public_key(journal_key));
  const Owned<BIO, BIO_free> text(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (PEM_write_bio_PUBKEY(text.get(), key.get()) != 1) return cannot("cannot write PEM");
  const long size = BIO_get_mem_data(text.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace fugo::daemon
