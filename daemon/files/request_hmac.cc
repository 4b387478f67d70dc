#include "daemon/files/request_hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <memory>

namespace fugo::daemon {

Status request_hmac(std::string_view file, const SurveyOptions& options,
                    const std::atomic<bool>& stop, std::array<std::uint8_t, 32>& hmac) {
  const SecretBytes<32>& key = *options.hmac_key;
  const auto failed = [] {
    return fail(ErrorCode::kInternal, "HMAC-SHA-256 failed", "OpenSSL",
                "check the installation of OpenSSL");
  };
  const std::unique_ptr<EVP_MAC, decltype(&EVP_MAC_free)> mac(
      EVP_MAC_fetch(nullptr, "HMAC", nullptr), EVP_MAC_free);
  if (mac == nullptr) return failed();
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(
      EVP_MAC_CTX_new(mac.get()), EVP_MAC_CTX_free);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_END};
  if (context == nullptr || EVP_MAC_init(context.get(), key.data(), key.size(), parameters) != 1)
    return failed();
  constexpr std::size_t kStep = 1U << 20U;
  while (!file.empty() && !stop) {
    FUGO_TRY(options.going());
    const ByteView step = as_bytes(file.substr(0, kStep));
    if (EVP_MAC_update(context.get(), step.data(), step.size()) != 1) return failed();
    file.remove_prefix(step.size());
  }
  std::size_t size = 0;
  if (EVP_MAC_final(context.get(), hmac.data(), &size, hmac.size()) != 1 || size != hmac.size())
    return failed();
  return {};
}

}  // namespace fugo::daemon
