// The ceremony's results: the recovery package, and targets of different configurations.
#include "hsm/ceremony.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstdio>

#include "hsm/recovery_package.h"
#include "hsm/setup.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;
using OwnedKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using OwnedContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
using OwnedCipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

OwnedKey private_key() {
  std::FILE* file = std::fopen(shared_tokens().recovery_private_key.c_str(), "re");
  OwnedKey key(PEM_read_PrivateKey(file, nullptr, nullptr, nullptr), &EVP_PKEY_free);
  std::fclose(file);
  return key;
}

// open_oaep opens a blob with the recovery private key, as the custodians would; empty on failure.
Bytes open_oaep(const Bytes& blob) {
  const auto key = private_key();
  const OwnedContext context(EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
  EVP_PKEY_decrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
  Bytes out(1024);
  std::size_t size = out.size();
  if (EVP_PKEY_decrypt(context.get(), out.data(), &size, blob.data(), blob.size()) != 1) return {};
  out.resize(size);
  return out;
}

Bytes evp(const EVP_CIPHER* cipher, const Bytes& key, ByteView input, bool encrypt) {
  const OwnedCipher context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), nullptr, encrypt ? 1 : 0) != 1)
    return {};
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  Bytes out(input.size() + 32);
  int size = 0;
  if (EVP_CipherUpdate(context.get(), out.data(), &size, input.data(),
                       static_cast<int>(input.size())) != 1)
    return {};
  out.resize(static_cast<std::size_t>(size));
  return out;
}

TEST(Ceremony, ThePackageGivesBackEveryKey) {
  const auto package = read_recovery_package(shared_tokens().recovery_package);
  ASSERT_TRUE(package) << package.error().message();
  ASSERT_EQ(package->keys.size(), shared_tokens().names.size());
  Bytes data_wrap_key;
  for (const RecoveryEntry& entry : package->keys) {
    SCOPED_TRACE(key_label(entry.name));
    EXPECT_EQ(entry.fingerprint, shared_tokens().fingerprint(entry.name));
    if (entry.name.algorithm == KeyAlgorithm::kEcP256) {
      const auto transport = open_oaep(entry.transport_key);
      ASSERT_EQ(transport.size(), 32U);
      const auto pkcs8 = evp(EVP_aes_256_wrap_pad(), transport, entry.wrapped, false);
      const unsigned char* at = pkcs8.data();
      const OwnedKey key(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(pkcs8.size())),
                         &EVP_PKEY_free);
      ASSERT_TRUE(key);
      Bytes point(200);
      std::size_t size = 0;
      ASSERT_EQ(
          EVP_PKEY_get_octet_string_param(key.get(), "pub", point.data(), point.size(), &size), 1);
      point.resize(size);
      EXPECT_EQ(Bytes(entry.public_point.begin() + 2, entry.public_point.end()), point);
      continue;
    }
    const auto key = open_oaep(entry.wrapped);
    ASSERT_EQ(key.size(), 32U);
    if (entry.name.purpose == KeyPurpose::kDataWrap) {
      data_wrap_key = key;
    } else if (entry.name.algorithm == KeyAlgorithm::kAes256) {
      Bytes mac(16);
      std::size_t size = 0;
      ASSERT_NE(EVP_Q_mac(nullptr, "CMAC", nullptr, "AES-256-CBC", nullptr, key.data(), key.size(),
                          kFingerprintInput.bytes.data(), 16, mac.data(), mac.size(), &size),
                nullptr);
      EXPECT_TRUE(equal_in_constant_time(mac, entry.fingerprint.bytes));
    } else {
      Bytes mac(32);
      std::size_t size = 0;
      ASSERT_NE(EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(),
                          kFingerprintInput.bytes.data(), 16, mac.data(), mac.size(), &size),
                nullptr);
      mac.resize(16);
      EXPECT_TRUE(equal_in_constant_time(mac, entry.fingerprint.bytes));
    }
  }
  const auto data_key = open_oaep(package->data_key);
  ASSERT_EQ(data_key.size(), 32U);
  EXPECT_EQ(
      evp(EVP_aes_256_wrap(), data_wrap_key, shared_tokens().ceremony.wrapped_data_key, false),
      data_key);
}

TEST(Ceremony, TargetsMayHaveConfigurationsOfTheirOwn) {
  // Of SoftHSM, which has configurations, by whatever module it is reached here.
  const auto module = abilities().in_files ? shared_tokens().issuing.module : kSoftHsm;
  std::vector<CeremonyTarget> targets;
  for (const auto role : {TokenRole::kIssuing, TokenRole::kLinking}) {
    const auto name = std::string("apart-") + std::to_string(static_cast<int>(role));
    const auto base = shared_directory() / name;
    std::filesystem::create_directory(base);
    CeremonyTarget target;
    target.so_pin_file = base / "so-pin";
    target.settings = {.module = module,
                       .uri = "pkcs11:token=" + name,
                       .pin_file = base / "pin",
                       .softhsm_conf = base / "softhsm2.conf",
                       .role = role};
    ASSERT_TRUE(write_softhsm_conf(target.settings.softhsm_conf, base / "tokens"));
    ASSERT_TRUE(make_pin_file(target.so_pin_file));
    ASSERT_TRUE(make_pin_file(target.settings.pin_file));
    const auto done = initialise_token(module, target.settings.softhsm_conf, name,
                                       target.so_pin_file, target.settings.pin_file);
    ASSERT_TRUE(done) << done.error().message();
    targets.push_back(target);
  }
  const KeyName agency{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1};
  const auto made = run_ceremony(targets, {agency}, shared_tokens().recovery_public_key,
                                 shared_directory() / "apart.json");
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(made->wrapped_data_key.empty());
  for (const auto& target : targets) {
    const auto token = Token::open(target.settings);
    ASSERT_TRUE(token);
    EXPECT_TRUE((*token)->find_key(agency, made->keys[0].fingerprint));
    // While it is open, a token of another configuration is refused.
    const auto& other = &target == &targets[0] ? targets[1] : targets[0];
    const auto both = Token::open(other.settings);
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, ErrorCode::kUsage);
  }
}

// Keys are made where an officer marks those that they are wrapped to: a token without one may only
// receive them.
TEST(Ceremony, KeysAreMadeOnlyWhereThereIsAnOfficer) {
  const auto token = make_scratch_token("officer", TokenRole::kLinking);
  const KeyName agency{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 3};
  const auto made =
      run_ceremony({{token.settings, token.so_pin_file}}, {agency},
                   shared_tokens().recovery_public_key, shared_directory() / "officer.json");
  EXPECT_EQ(made.has_value(), abilities().security_officer) << made.error().message();
  if (made) return;
  EXPECT_EQ(made.error().code, ErrorCode::kHsm);
  EXPECT_EQ(made.error().where, "C_Login") << made.error().message();
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session);
  Template anything;
  EXPECT_TRUE(find_objects(session->functions(), session->handle(), anything)->empty());
  EXPECT_FALSE(std::filesystem::exists(shared_directory() / "officer.json"));
}

TEST(Ceremony, RefusesWhatItCannotDo) {
  const auto code_of = [](const Result<CeremonyResult>& result) {
    return result ? ErrorCode::kInternal : result.error().code;
  };
  const KeyName agency{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 9};
  const KeyName ec_agency{KeyPurpose::kAgency, KeyAlgorithm::kEcP256, 9};
  const auto& recovery = shared_tokens().recovery_public_key;
  const auto out = shared_directory() / "refused.json";
  const std::vector<CeremonyTarget> targets = {{shared_tokens().issuing, {}}};
  EXPECT_EQ(code_of(run_ceremony({}, {agency}, recovery, out)), ErrorCode::kUsage);
  EXPECT_EQ(code_of(run_ceremony(targets, {agency, agency}, recovery, out)), ErrorCode::kUsage);
  EXPECT_EQ(code_of(run_ceremony(targets, {ec_agency}, recovery, out)), ErrorCode::kUsage);
  EXPECT_EQ(code_of(run_ceremony(targets, {agency}, shared_conf(), out)), ErrorCode::kUsage);
  EXPECT_EQ(code_of(run_ceremony(targets, {agency}, recovery, shared_tokens().recovery_package)),
            ErrorCode::kRefused);
  const KeyName there{KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1};
  EXPECT_EQ(code_of(run_ceremony(targets, {there}, recovery, out)), ErrorCode::kRefused);
}

}  // namespace
}  // namespace fugo::hsm::testing
