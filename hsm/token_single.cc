// What a token does one call at a time: fingerprints, signatures, the data key, random bytes.
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "hsm/ec_check.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {
namespace {

// Signer is how keys of one algorithm sign.
struct Signer {
  KeyAlgorithm algorithm;
  CK_MECHANISM_TYPE mechanism;
  std::size_t output_size;
  bool digest_first;
};
constexpr std::array kSigners = {
    Signer{KeyAlgorithm::kAes256, CKM_AES_CMAC, 16, false},
    Signer{KeyAlgorithm::kHmacSha256, CKM_SHA256_HMAC, 32, false},
    Signer{KeyAlgorithm::kEcP256, CKM_ECDSA, 64, true},
};

Result<std::array<std::uint8_t, 32>> sha256(ByteView bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    return fail(ErrorCode::kInternal, "SHA-256 failed", "EVP_Digest");
  return digest;
}

}  // namespace

Result<Block> Pkcs11Token::evaluate_fingerprint(const Entry& entry) {
  Block out;
  if (entry.uses.unwrap) return out;  // none: see kFingerprintInput
  if (entry.name.algorithm == KeyAlgorithm::kEcP256) return ec_fingerprint(entry);
  if (entry.name.algorithm == KeyAlgorithm::kHmacSha256) {
    FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, out.bytes));
    return out;
  }
  FUGO_ASSIGN(auto lease, pool_.acquire());
  CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
  FUGO_TRY(lease.check(lease.functions()->C_EncryptInit(lease.handle(), &mechanism, entry.handle),
                       "C_EncryptInit"));
  out = kFingerprintInput;
  CK_ULONG size = sizeof(out);
  const CK_RV rv =
      lease.functions()->C_Encrypt(lease.handle(), out.bytes.data(), size, out.bytes.data(), &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK || size != sizeof(out)) lease.spoil();
  FUGO_TRY(lease.check(rv == CKR_OK && size != sizeof(out) ? CKR_DATA_LEN_RANGE : rv, "C_Encrypt"));
  return out;
}

Result<Block> Pkcs11Token::ec_fingerprint(const Entry& entry) {
  FUGO_ASSIGN(const auto point, read_public_point(entry.name));
  // The public key is an object of its own: let the private key prove that it belongs to it.
  SecretBytes<64> signature;
  FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, signature.bytes()));
  FUGO_ASSIGN(const bool matches, verify_p256(point, kFingerprintInput.bytes, signature.bytes()));
  if (!matches)
    return fail(ErrorCode::kRefused, fmt::format("key {}: its public key in the token is another's",
                                                 key_label(entry.name)));
  FUGO_ASSIGN(const auto digest, sha256(point));
  Block out;
  std::copy_n(digest.begin(), out.bytes.size(), out.bytes.begin());
  return out;
}

Result<std::vector<std::uint8_t>> Pkcs11Token::read_public_point(const KeyName& name) {
  const std::lock_guard lock(admin_mutex_);
  FUGO_ASSIGN(auto lease, pool_.acquire());
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .bytes(CKA_LABEL, as_bytes(key_label(name)))
      .bytes(CKA_ID, key_id(name));
  auto found = find_objects(lease.functions(), lease.handle(), wanted);
  if (!found) {
    lease.spoil();
    return tl::unexpected<Error>(std::move(found).error());
  }
  if (found->size() != 1)
    return fail(ErrorCode::kRefused, fmt::format("key {}: {} public keys of that name in the token",
                                                 key_label(name), found->size()));
  return read_attribute(lease.functions(), lease.handle(), found->front(), CKA_EC_POINT);
}

Result<std::vector<std::uint8_t>> Pkcs11Token::public_point(const Key& key) {
  FUGO_TRY(entry_of(key));
  return with_recovery([&] { return read_public_point(key.name); });
}

Status Pkcs11Token::sign(const Key& key, ByteView message, MutableByteView to) {
  return with_recovery([&]() -> Status {
    FUGO_ASSIGN(const auto entry, entry_of(key));
    return sign_once(entry, message, to);
  });
}

Status Pkcs11Token::sign_once(const Entry& entry, ByteView message, MutableByteView to) {
  const auto* signer = std::find_if(kSigners.begin(), kSigners.end(), [&](const Signer& row) {
    return row.algorithm == entry.name.algorithm;
  });
  if (signer == kSigners.end() || to.size() > signer->output_size)
    return fail(ErrorCode::kInternal, "a signature is not that long", key_label(entry.name));
  std::array<std::uint8_t, 32> digest{};
  if (signer->digest_first) {
    FUGO_ASSIGN(digest, sha256(message));
    message = digest;
  }
  FUGO_ASSIGN(auto lease, pool_.acquire());
  CK_MECHANISM mechanism{signer->mechanism, nullptr, 0};
  FUGO_TRY(lease.check(lease.functions()->C_SignInit(lease.handle(), &mechanism, entry.handle),
                       "C_SignInit"));
  SecretBytes<64> output;
  CK_ULONG size = output.size();
  // C_Sign takes its input without const, and does not write to it.
  const CK_RV rv = lease.functions()->C_Sign(lease.handle(), const_cast<CK_BYTE*>(message.data()),
                                             message.size(), output.data(), &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK) lease.spoil();
  FUGO_TRY(lease.check(rv, "C_Sign"));
  if (size != signer->output_size)
    return fail(ErrorCode::kHsm, "the token gave a signature of the wrong length", "C_Sign");
  std::copy_n(output.data(), to.size(), to.begin());
  return {};
}

Result<SecretBytes<32>> Pkcs11Token::unwrap_data_key(const Key& wrap_key, ByteView wrapped) {
  return with_recovery([&]() -> Result<SecretBytes<32>> {
    FUGO_ASSIGN(const auto entry, entry_of(wrap_key));
    return unwrap_once(entry, wrapped);
  });
}

Result<SecretBytes<32>> Pkcs11Token::unwrap_once(const Entry& entry, ByteView wrapped) {
  FUGO_ASSIGN(auto lease, pool_.acquire());
  // A session object that may be read: the data key is the one key that works outside the token.
  Template made;
  made.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, false)
      .flag(CKA_EXTRACTABLE, true);
  for (const CK_ATTRIBUTE_TYPE use :
       {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN, CKA_VERIFY, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE})
    made.flag(use, false);
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_TRY(
      lease.check(lease.functions()->C_UnwrapKey(lease.handle(), &mechanism, entry.handle,
                                                 const_cast<CK_BYTE*>(wrapped.data()),
                                                 wrapped.size(), made.data(), made.size(), &object),
                  "C_UnwrapKey"));
  SecretBytes<32> key;
  CK_ATTRIBUTE query{CKA_VALUE, key.data(), key.size()};
  const CK_RV rv = lease.functions()->C_GetAttributeValue(lease.handle(), object, &query, 1);
  const CK_RV destroyed = lease.functions()->C_DestroyObject(lease.handle(), object);
  if (destroyed != CKR_OK) lease.spoil();  // closing the session destroys it
  FUGO_TRY(lease.check(rv, "C_GetAttributeValue"));
  if (query.ulValueLen != key.size())
    return fail(ErrorCode::kDamaged, "the wrapped data key is not of 32 bytes",
                key_label(entry.name));
  return key;
}

Status Pkcs11Token::random(MutableByteView to) {
  return with_recovery([&]() -> Status {
    FUGO_ASSIGN(auto lease, pool_.acquire());
    return lease.check(lease.functions()->C_GenerateRandom(lease.handle(), to.data(), to.size()),
                       "C_GenerateRandom");
  });
}

}  // namespace fugo::hsm
