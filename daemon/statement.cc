#include "daemon/statement.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include <array>
#include <memory>
#include <string>

#include "base/file.h"
#include "daemon/key_making.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

using Bytes = std::vector<std::uint8_t>;
template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
template <typename T, auto release>
using Owned = std::unique_ptr<T, Release<release>>;

constexpr std::size_t kHalf = 32;  // bytes of r, and of s

tl::unexpected<Error> cannot(const char* what) {
  return fail(ErrorCode::kInternal, what, "signed statement");
}

// der_signature turns r and s, as PKCS#11 gives them, into what openssl takes.
Result<Bytes> der_signature(const std::array<std::uint8_t, 2 * kHalf>& raw) {
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

// public_pem turns CKA_EC_POINT (an OCTET STRING in DER around the point) into a PEM file.
Result<std::string> public_pem(const Bytes& der_point) {
  constexpr std::size_t kHeader = 2, kPoint = 65;
  if (der_point.size() != kHeader + kPoint) return cannot("the journal key's point is not one");
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> build(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
  OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, der_point.data() + kHeader,
                                   kPoint);
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(build.get()));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return cannot("the journal key's point is not one");
  const Owned<EVP_PKEY, EVP_PKEY_free> key(made);
  const Owned<BIO, BIO_free> text(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (PEM_write_bio_PUBKEY(text.get(), key.get()) != 1) return cannot("cannot write PEM");
  const long size = BIO_get_mem_data(text.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::filesystem::path beside(std::filesystem::path path, const char* ending) {
  return path += ending;
}

}  // namespace

Status write_statement(hsm::Token& token, const keystore::KeyRow& journal_key,
                       const nlohmann::ordered_json& document, const std::filesystem::path& path) {
  const std::string text =
      document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const auto expected = expected_key(journal_key);
  FUGO_ASSIGN(const auto key, token.find_key(expected.name, expected.fingerprint));
  std::array<std::uint8_t, 2 * kHalf> raw{};
  FUGO_TRY(token.sign(key, as_bytes(text), raw));
  FUGO_ASSIGN(const auto signature, der_signature(raw));
  FUGO_ASSIGN(const auto point, token.public_point(key));
  FUGO_ASSIGN(const auto pem, public_pem(point));
  FUGO_TRY(write_durably(beside(path, ".sig"), signature));
  FUGO_TRY(write_durably(beside(path, ".pem"), as_bytes(pem)));
  return write_durably(path, as_bytes(text));
}

Result<keystore::KeyRow> signing_key(const std::vector<keystore::KeyRow>& rows) {
  const keystore::KeyRow* newest = nullptr;
  for (const auto& row : rows)
    if (name_of(row).purpose == hsm::KeyPurpose::kJournal &&
        row.state == keystore::KeyState::kActive &&
        (newest == nullptr || row.version > newest->version))
      newest = &row;
  if (newest != nullptr) return *newest;
  return fail(ErrorCode::kRefused, "there is no active journal key", "key registry");
}

}  // namespace fugo::daemon
