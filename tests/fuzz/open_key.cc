#include "tests/fuzz/open_key.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/owned.h"
#include "base/text.h"
#include "hsm/recovery_package.h"
#include "tests/fuzz/target.h"

namespace fugo::fuzz {
namespace {

using Number = Owned<BIGNUM, BN_free>;

constexpr const char* kOrder = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
constexpr const char* kGeneratorX =
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
// DER of an OCTET STRING with the point.
constexpr const char* kPointOne =
    "0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
constexpr const char* kPointTwo =
    "0441047cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
    "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1";

Number from_hex(const char* digits) {
  BIGNUM* number = nullptr;
  must(BN_hex2bn(&number, digits) != 0, "a constant is a number");
  return Number(number);
}

std::vector<std::uint8_t> point_of(OpenKey key) {
  const auto point = unhex(key == OpenKey::kOne ? kPointOne : kPointTwo);
  return {point->begin(), point->end()};
}

}  // namespace

// With 1 for the number that is to be random, r is the generator's x and s = e + r * secret.
std::array<std::uint8_t, 64> sign_openly(OpenKey key, ByteView text) {
  static const Number order = from_hex(kOrder), x = from_hex(kGeneratorX);
  std::array<std::uint8_t, 32> digest{};
  must(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) == 1,
       "SHA-256 is there");
  const Owned<BN_CTX, BN_CTX_free> context(BN_CTX_new());
  const Number s(BN_bin2bn(digest.data(), digest.size(), nullptr));
  for (int i = 0; i < static_cast<int>(key); ++i)
    must(BN_mod_add(s.get(), s.get(), x.get(), order.get(), context.get()) == 1, "numbers add");
  std::array<std::uint8_t, 64> raw{};
  BN_bn2binpad(x.get(), raw.data(), 32);
  BN_bn2binpad(s.get(), &raw[32], 32);
  return raw;
}

std::vector<std::uint8_t> openly_signed(OpenKey key, ByteView text) {
  const auto raw = sign_openly(key, text);
  const Owned<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  ECDSA_SIG_set0(signature.get(), BN_bin2bn(raw.data(), 32, nullptr),
                 BN_bin2bn(&raw[32], 32, nullptr));
  std::vector<std::uint8_t> der(80);
  unsigned char* at = der.data();
  der.resize(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), &at)));
  return der;
}

keystore::KeyRow open_journal_key(OpenKey key) {
  keystore::KeyRow row;
  row.purpose = 7;
  row.algorithm = 3;
  row.version = 1;
  row.state = keystore::KeyState::kActive;
  row.label = "fugo-journal-p256-v1";
  row.public_key = point_of(key);
  return row;
}

Result<hsm::Key> OpenToken::find_key(const hsm::KeyName& name, const std::optional<Block>&) {
  if (name.purpose != hsm::KeyPurpose::kJournal || name.version != 1)
    return fail(ErrorCode::kRefused, "there is no such key", "open token");
  return hsm::Key{name};
}

Status OpenToken::sign(const hsm::Key&, ByteView message, MutableByteView to) {
  const auto raw = sign_openly(OpenKey::kOne, message);
  std::copy_n(raw.begin(), std::min(raw.size(), to.size()), to.begin());
  return {};
}

Result<std::vector<std::uint8_t>> OpenToken::public_point(const hsm::Key&) {
  return point_of(OpenKey::kOne);
}

// What no key can have encrypted is refused, as a token does.
Result<SecretArray<std::uint8_t>> OpenToken::decrypt_oaep(const hsm::RsaPublicKey& key,
                                                          ByteView encrypted) {
  if (encrypted.size() != key.modulus.size())
    return fail(ErrorCode::kRefused, "is not encrypted to this key", "open token");
  FUGO_ASSIGN(auto opened, SecretArray<std::uint8_t>::create(content_key.size()));
  std::copy(content_key.begin(), content_key.end(), opened.data());
  return opened;
}

}  // namespace fugo::fuzz
