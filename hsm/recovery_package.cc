#include "hsm/recovery_package.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "base/no_passphrase.h"
#include "base/owned.h"
#include "base/text.h"

namespace fugo::hsm {
namespace {

using nlohmann::json;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedBio = Owned<BIO, BIO_free>;

constexpr int kMinimumRsaBits = 3072;
constexpr std::size_t kLargestFile = 1 << 20;
constexpr const char* kFormat = "fugo-recovery-package";
constexpr const char* kOaep = "RSAES-OAEP with SHA-1 and MGF1-SHA-1, empty label";
constexpr const char* kTwoStep =
    "AES-256 key wrap with padding (RFC 5649) under transport_key; transport_key: RSAES-OAEP";

OwnedKey parse_pem(const std::string& text) {
  const OwnedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  OwnedKey key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (key) return key;
  const OwnedBio again(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const Owned<X509, X509_free> certificate(
      PEM_read_bio_X509(again.get(), nullptr, no_passphrase, nullptr));
  if (certificate) key.reset(X509_get_pubkey(certificate.get()));
  return key;
}

std::vector<std::uint8_t> big_number(const EVP_PKEY* key, const char* parameter) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, parameter, &number) != 1) return {};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, bytes.data());
  BN_free(number);
  return bytes;
}

json to_json(const RecoveryEntry& entry) {
  json out = {{"label", key_label(entry.name)},
              {"purpose", static_cast<int>(entry.name.purpose)},
              {"algorithm", static_cast<int>(entry.name.algorithm)},
              {"version", entry.name.version},
              {"fingerprint", hex(entry.fingerprint.bytes)},
              {"wrapping", entry.transport_key.empty() ? kOaep : kTwoStep},
              {"wrapped", hex(entry.wrapped)}};
  if (!entry.transport_key.empty()) out["transport_key"] = hex(entry.transport_key);
  if (!entry.public_point.empty()) out["public_point"] = hex(entry.public_point);
  return out;
}

// Fields that cannot be read throw json::exception, which read_recovery_package catches.
std::vector<std::uint8_t> bytes_of(const json& object, const char* field) {
  const auto raw = unhex(object.at(field).get<std::string>());
  if (!raw)
    throw json::other_error::create(501, std::string(field) + " is not hexadecimal", nullptr);
  return {raw->begin(), raw->end()};
}

RecoveryEntry from_json(const json& object) {
  RecoveryEntry entry;
  entry.name = {static_cast<KeyPurpose>(object.at("purpose").get<std::uint8_t>()),
                static_cast<KeyAlgorithm>(object.at("algorithm").get<std::uint8_t>()),
                object.at("version").get<std::uint16_t>()};
  const auto fingerprint = bytes_of(object, "fingerprint");
  if (!is_valid(entry.name) || object.at("label") != key_label(entry.name) ||
      fingerprint.size() != entry.fingerprint.bytes.size())
    throw json::other_error::create(502, "a key's name or fingerprint is not understood", nullptr);
  std::copy(fingerprint.begin(), fingerprint.end(), entry.fingerprint.bytes.begin());
  entry.wrapped = bytes_of(object, "wrapped");
  if (object.contains("transport_key")) entry.transport_key = bytes_of(object, "transport_key");
  if (object.contains("public_point")) entry.public_point = bytes_of(object, "public_point");
  if (object.at("wrapping") != (entry.transport_key.empty() ? kOaep : kTwoStep))
    throw json::other_error::create(503, "an unknown wrapping", nullptr);
  return entry;
}

}  // namespace

Result<RsaPublicKey> read_rsa_public_key(const std::filesystem::path& pem) {
  FUGO_ASSIGN(const std::string text, read_small(pem, kLargestFile));
  const OwnedKey key = parse_pem(text);
  if (!key || EVP_PKEY_is_a(key.get(), "RSA") != 1)
    return fail(ErrorCode::kUsage, "neither an RSA public key nor a certificate of one, in PEM",
                pem.string());
  if (EVP_PKEY_get_bits(key.get()) < kMinimumRsaBits)
    return fail(ErrorCode::kUsage,
                fmt::format("an RSA key of {} bits; {} are the least", EVP_PKEY_get_bits(key.get()),
                            kMinimumRsaBits),
                pem.string());
  return RsaPublicKey{big_number(key.get(), OSSL_PKEY_PARAM_RSA_N),
                      big_number(key.get(), OSSL_PKEY_PARAM_RSA_E)};
}

Status write_recovery_package(const RecoveryPackage& package, const RsaPublicKey& recipient,
                              const std::filesystem::path& file) {
  if (std::error_code ignored; std::filesystem::exists(file, ignored))
    return fail(ErrorCode::kRefused, "there is a recovery package already", file.string());
  json out = {{"format", kFormat},
              {"version", 1},
              {"recipient_modulus", hex(recipient.modulus)},
              {"fingerprint_input", hex(kFingerprintInput.bytes)},
              {"keys", json::array()}};
  for (const auto& entry : package.keys) out["keys"].push_back(to_json(entry));
  if (!package.data_key.empty())
    out["data_key"] = {{"wrapping", kOaep}, {"wrapped", hex(package.data_key)}};
  return write_durably(file, as_bytes(out.dump(2) + "\n"), 0600);
}

Result<RecoveryPackage> read_recovery_package(const std::filesystem::path& file) {
  FUGO_ASSIGN(const std::string text, read_small(file, kLargestFile));
  try {
    const json in = json::parse(text);
    if (in.at("format") != kFormat || in.at("version") != 1)
      return fail(ErrorCode::kDamaged, "not a recovery package of version 1", file.string());
    RecoveryPackage package;
    package.recipient_modulus = bytes_of(in, "recipient_modulus");
    for (const json& key : in.at("keys")) package.keys.push_back(from_json(key));
    if (in.contains("data_key")) package.data_key = bytes_of(in.at("data_key"), "wrapped");
    return package;
  } catch (const json::exception& e) {
    return fail(ErrorCode::kDamaged,
                std::string("the recovery package cannot be read: ") + e.what(), file.string());
  }
}

}  // namespace fugo::hsm
