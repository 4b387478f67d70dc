#include "daemon/exchange/certificate.h"

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <string_view>

#include "base/file.h"
#include "base/no_passphrase.h"
#include "base/text.h"
#include "daemon/utf8.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = 64U << 10U;
constexpr int kMinimumRsaBits = 2048;

bool is_good(const EVP_PKEY* key) {
  if (key == nullptr) return false;
  if (EVP_PKEY_is_a(key, "RSA") == 1) return EVP_PKEY_get_bits(key) >= kMinimumRsaBits;
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  std::array<char, 32> group{};
  if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                     nullptr) != 1)
    return false;
  const std::string_view name(group.data());
  return name == "prime256v1" || name == "secp384r1" || name == "secp521r1";
}

bool has_usage(X509* certificate, std::uint32_t usage) {
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0) return false;  // one that cannot be read says nothing
  if ((flags & EXFLAG_KUSAGE) == 0) return true;
  return (X509_get_key_usage(certificate) & usage) != 0;
}

Status check_writers(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail_errno("cannot examine", path.string(), errno);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(ErrorCode::kUsage, "may be written by group or others", path.string(),
                "chmod go-w it, and look at what is in it: fugo trusts these certificates");
  const uid_t me = ::geteuid();
  if (status.st_uid == 0 || status.st_uid == me || me == 0) return {};
  return fail(ErrorCode::kUsage, "belongs to another account", path.string(),
              "chown it to root or to the account that fugo runs for");
}

Result<std::vector<fs::path>> certificate_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return files;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".pem" && at->path().filename().native().front() != '.')
      files.push_back(at->path());
  if (error) return fail_errno("cannot list the folder", folder.string(), error.value());
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::vector<std::uint8_t>> number_of(const EVP_PKEY* key, const char* parameter) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, parameter, &number) != 1)
    return fail(ErrorCode::kInternal, "cannot read a public key", parameter);
  const Owned<BIGNUM, BN_free> owner(number);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, bytes.data());
  return bytes;
}

}  // namespace

Result<Certificate> Certificate::parse(ByteView der, const std::string& where) {
  const unsigned char* at = der.data();
  Certificate certificate;
  certificate.x509_.reset(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate.x509_ || at != der.data() + der.size())
    return fail(ErrorCode::kUsage, "is no X.509 certificate", where, "PEM or DER");
  if (!is_good(X509_get0_pubkey(certificate.get())))
    return fail(ErrorCode::kUsage, "is a certificate of a key that is not taken", where,
                "RSA of at least 2048 bits, or EC on P-256, P-384 or P-521");
  return certificate;
}

Result<Certificate> Certificate::read(const fs::path& file) {
  // The journal and messages name a sender by it.
  if (!is_presentable(file.filename().string()))
    return fail(ErrorCode::kUsage, "has a certificate with a name that is not readable UTF-8",
                file.parent_path().string(), "rename it");
  FUGO_ASSIGN(const auto text, read_small(file, kMaxFileBytes));
  const OwnedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const OwnedX509 pem(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  std::vector<std::uint8_t> der(text.begin(), text.end());
  if (pem) {
    unsigned char* bytes = nullptr;
    const int size = i2d_X509(pem.get(), &bytes);
    if (size <= 0) return fail(ErrorCode::kInternal, "cannot encode a certificate", file.string());
    der.assign(bytes, bytes + size);
    OPENSSL_free(bytes);
  }
  FUGO_ASSIGN(auto certificate, parse(der, file.string()));
  certificate.name_ = file.stem().string();
  return certificate;
}

Result<std::vector<std::uint8_t>> Certificate::der() const {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(get(), &bytes);
  if (size <= 0) return fail(ErrorCode::kInternal, "cannot encode a certificate", name_);
  std::vector<std::uint8_t> der(bytes, bytes + size);
  OPENSSL_free(bytes);
  return der;
}

Result<std::string> Certificate::fingerprint() const {
  std::array<std::uint8_t, 32> digest{};
  if (X509_digest(get(), EVP_sha256(), digest.data(), nullptr) != 1)
    return fail(ErrorCode::kInternal, "cannot compute a SHA-256", name_);
  return hex(digest);
}

Status Certificate::check_valid(std::int64_t time) const {
  std::time_t at = time;
  // 0 is a time that cannot be read: X509_cmp_time has no "equal".
  const bool begun = X509_cmp_time(X509_get0_notBefore(get()), &at) < 0;
  at = time;
  const bool over = X509_cmp_time(X509_get0_notAfter(get()), &at) <= 0;
  if (begun && !over) return {};
  return fail(ErrorCode::kRefused, over ? "the certificate " + name_ + " has expired"
                                        : "the certificate " + name_ + " is not valid yet");
}

bool Certificate::may_sign() const {
  return has_usage(get(), KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION);
}

bool Certificate::may_receive() const {
  const bool rsa = EVP_PKEY_is_a(X509_get0_pubkey(get()), "RSA") == 1;
  return has_usage(get(), rsa ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT);
}

std::int64_t Certificate::not_after() const {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(get()), &parts) != 1) return 0;
  return ::timegm(&parts);
}

Result<hsm::RsaPublicKey> Certificate::rsa_key() const {
  const EVP_PKEY* key = X509_get0_pubkey(get());
  hsm::RsaPublicKey numbers;
  if (EVP_PKEY_is_a(key, "RSA") != 1) return numbers;
  FUGO_ASSIGN(numbers.modulus, number_of(key, OSSL_PKEY_PARAM_RSA_N));
  FUGO_ASSIGN(numbers.exponent, number_of(key, OSSL_PKEY_PARAM_RSA_E));
  return numbers;
}

Result<std::vector<Certificate>> read_certificates(const fs::path& folder) {
  FUGO_ASSIGN(const auto files, certificate_files(folder));
  std::vector<Certificate> certificates;
  for (const fs::path& file : files) {
    FUGO_ASSIGN(auto read, Certificate::read(file));
    for (const Certificate& other : certificates)
      if (X509_issuer_and_serial_cmp(other.get(), read.get()) == 0)
        return fail(ErrorCode::kUsage,
                    "has the issuer and the serial number of " + other.name() + ".pem",
                    file.string(), "keep one of them");
    certificates.push_back(std::move(read));
  }
  return certificates;
}

Status check_trusted(const fs::path& folder) {
  FUGO_ASSIGN(const auto files, certificate_files(folder));
  std::error_code ignored;
  if (fs::exists(folder, ignored)) FUGO_TRY(check_writers(folder));
  for (const fs::path& file : files) FUGO_TRY(check_writers(file));
  return {};
}

Result<std::string> digest_of_certificates(const std::vector<Certificate>& certificates) {
  std::string lines;  // in the order of the files' names
  for (const Certificate& certificate : certificates) {
    FUGO_ASSIGN(const auto fingerprint, certificate.fingerprint());
    lines += certificate.name() + " " + fingerprint + "\n";
  }
  std::array<std::uint8_t, 32> digest{};
  if (EVP_Digest(lines.data(), lines.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    return fail(ErrorCode::kInternal, "cannot compute a SHA-256", "OpenSSL");
  return hex(digest);
}

}  // namespace fugo::daemon
