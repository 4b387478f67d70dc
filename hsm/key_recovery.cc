#include "hsm/key_recovery.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/no_passphrase.h"
#include "base/owned.h"
#include "base/secret.h"
#include "hsm/ceremony_site.h"

namespace fugo::hsm {
namespace {

constexpr int kMinimumRsaBits = 3072;
constexpr std::size_t kMostPemBytes = 64U << 10U;
constexpr const char* kSessionLabel = "fugo-ceremony-recovery";

const RecoveryEntry* find_entry(const RecoveryPackage& package, const KeyName& name) {
  for (const auto& entry : package.keys)
    if (entry.name == name) return &entry;
  return nullptr;
}

// delivery_of is what a ceremony would have sent to a target of this role.
Result<Delivery> delivery_of(const RecoveryPackage& package, const std::vector<KeyName>& names,
                             TokenRole role) {
  Delivery delivery;
  for (const KeyName& name : names) {
    if (!placement_of(name, role).present) continue;
    const auto* const entry = find_entry(package, name);
    if (entry == nullptr)
      return fail(ErrorCode::kRefused, "the package does not have " + key_label(name),
                  "recovery package", "give the package of that version too");
    if (!entry->transport_key.empty()) delivery.transport_key = entry->transport_key;
    delivery.keys.push_back({name, entry->wrapped, entry->public_point});
  }
  return delivery;
}

}  // namespace

void RecoveryKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

Result<RecoveryKey> RecoveryKey::parse(ByteView pem, const std::string& where) {
  const Owned<BIO, BIO_free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  RecoveryKey key;
  key.key_.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key.key_ || EVP_PKEY_is_a(key.key_.get(), "RSA") != 1 ||
      EVP_PKEY_get_bits(key.key_.get()) < kMinimumRsaBits)
    return fail(ErrorCode::kUsage, "is no RSA private key of at least 3072 bits", where,
                "PEM, without a passphrase: the recovery key that the packages are wrapped to");
  return key;
}

Result<RecoveryKey> RecoveryKey::read(const std::filesystem::path& file) {
  FUGO_ASSIGN(const auto fd, open_file(file, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read", file.string(), errno);
  if ((info.st_mode & 077U) != 0)
    return fail(ErrorCode::kUsage, "may be read or written by others", file.string(),
                "chmod 600, and think about who has read it");
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0 || size > kMostPemBytes)
    return fail(ErrorCode::kUsage, "is no private key", file.string());
  FUGO_ASSIGN(auto pem, SecretBuffer::create(size));
  for (std::size_t done = 0; done < size;) {
    const auto got = ::read(fd.get(), pem.data() + done, size - done);
    if (got <= 0) return fail_errno("cannot read", file.string(), got < 0 ? errno : EIO);
    done += static_cast<std::size_t>(got);
  }
  return parse(pem.bytes(), file.string());
}

std::vector<std::uint8_t> RecoveryKey::modulus() const {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key_.get(), OSSL_PKEY_PARAM_RSA_N, &number) != 1) return {};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, bytes.data());
  BN_free(number);
  return bytes;
}

Status CeremonySite::import_recovery_key(const RecoveryKey& key, const std::vector<KeyName>& names,
                                         const std::string& label) {
  struct Part {
    CK_ATTRIBUTE_TYPE type;
    const char* name;
  };
  static constexpr std::array<Part, 8> kParts = {{
      {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
      {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
      {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
      {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
      {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
      {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
      {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
      {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
  }};
  Template made;
  made.number(CKA_CLASS, CKO_PRIVATE_KEY).number(CKA_KEY_TYPE, CKK_RSA);
  for (const Part& part : kParts) {
    BIGNUM* number = nullptr;
    if (EVP_PKEY_get_bn_param(key.get(), part.name, &number) != 1)
      return fail(ErrorCode::kUsage, "the recovery key is incomplete", part.name);
    SecretBytes<2048> bytes;
    const int size = BN_num_bytes(number);
    const bool fits =
        size <= static_cast<int>(bytes.size()) && BN_bn2bin(number, bytes.data()) == size;
    BN_clear_free(number);
    if (!fits) return fail(ErrorCode::kUsage, "the recovery key is too large", part.name);
    made.bytes(part.type, bytes.bytes().first(static_cast<std::size_t>(size)));
  }
  add_ceremony_uses(made, names, label, false);
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_CK(session_.functions(), C_CreateObject, session_.handle(), made.data(), made.size(),
          &object);
  return {};
}

Status recover_keys(const TokenSettings& token, const RecoveryPackage& package,
                    const std::vector<KeyName>& names, const RecoveryKey& key) {
  if (package.recipient_modulus != key.modulus())
    return fail(ErrorCode::kRefused, "the package is wrapped to another recovery key",
                "recovery package", "give the private key that it was made for");
  FUGO_ASSIGN(const auto delivery, delivery_of(package, names, token.role));
  if (delivery.keys.empty()) return {};
  FUGO_ASSIGN(auto site, CeremonySite::open(token));
  if (auto absent = site.check_all_absent(names); !absent) {
    if (absent.error().code == ErrorCode::kRefused)
      absent.error().hint =
          "it is half made by a run that died, or another's: when this is the new token, "
          "initialise the token anew with its maker's tool, and run this again";
    return absent;
  }
  FUGO_TRY(site.import_recovery_key(key, names, kSessionLabel));
  auto done = site.receive(delivery, kSessionLabel);
  if (done) return {};
  if (const auto removed = site.remove(names); !removed)
    done.error().hint += "; and objects may be left in the token: " + removed.error().message();
  return done;
}

}  // namespace fugo::hsm
