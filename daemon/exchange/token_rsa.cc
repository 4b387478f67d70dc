// libcrypto 3 has two ways to keep a private key elsewhere: a provider, which is a library of its
// own, or the RSA methods of before, which 3.x calls deprecated and keeps. CMS works with both.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "daemon/exchange/token_rsa.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>

namespace fugo::daemon {

// TokenRsaCall is what libcrypto calls.
struct TokenRsaCall {
  // For OAEP libcrypto asks for the bare RSA operation and takes the padding off itself. A token's
  // key that may do the bare operation may do everything; ours takes the padding off in the token.
  // So it is put on again here, in memory, for libcrypto to find.
  static int decrypt(int size, const unsigned char* from, unsigned char* to, RSA* rsa,
                     int padding) {
    auto* self = static_cast<TokenRsa*>(RSA_get_app_data(rsa));
    if (self == nullptr || padding != RSA_NO_PADDING) return -1;
    const auto text =
        self->token_.decrypt_oaep(self->public_, {from, static_cast<std::size_t>(size)});
    if (!text) {
      self->error_ = text.error();
      return -1;
    }
    const int whole = RSA_size(rsa);
    if (RSA_padding_add_PKCS1_OAEP_mgf1(to, whole, text->data(), static_cast<int>(text->size()),
                                        nullptr, 0, EVP_sha1(), EVP_sha1()) != 1)
      return -1;
    return whole;
  }

  static int sign(int, const unsigned char*, unsigned char*, RSA*, int) { return -1; }

  static const RSA_METHOD* method() {
    static const Owned<RSA_METHOD, RSA_meth_free> made = [] {
      Owned<RSA_METHOD, RSA_meth_free> method(RSA_meth_dup(RSA_PKCS1_OpenSSL()));
      if (method) {
        RSA_meth_set1_name(method.get(), "fugo token");
        RSA_meth_set_flags(method.get(), RSA_METHOD_FLAG_NO_CHECK);
        RSA_meth_set_priv_dec(method.get(), decrypt);
        RSA_meth_set_priv_enc(method.get(), sign);
      }
      return method;
    }();
    return made.get();
  }
};

Result<std::unique_ptr<TokenRsa>> TokenRsa::create(hsm::Token& token, hsm::RsaPublicKey key) {
  std::unique_ptr<TokenRsa> made(new TokenRsa(token, std::move(key)));
  const auto number = [](const std::vector<std::uint8_t>& bytes) {
    return BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  };
  Owned<RSA, RSA_free> rsa(RSA_new());
  made->key_.reset(EVP_PKEY_new());
  BIGNUM *n = number(made->public_.modulus), *e = number(made->public_.exponent);
  if (!rsa || !made->key_ || TokenRsaCall::method() == nullptr ||
      RSA_set_method(rsa.get(), TokenRsaCall::method()) != 1 ||
      RSA_set0_key(rsa.get(), n, e, nullptr) != 1) {
    BN_free(n);
    BN_free(e);
    return fail(ErrorCode::kInternal, "cannot make an RSA key for libcrypto", "OpenSSL");
  }
  RSA_set_app_data(rsa.get(), made.get());
  if (EVP_PKEY_set1_RSA(made->key_.get(), rsa.get()) != 1)
    return fail(ErrorCode::kInternal, "cannot make an RSA key for libcrypto", "OpenSSL");
  return made;
}

TokenRsa::~TokenRsa() = default;

}  // namespace fugo::daemon
