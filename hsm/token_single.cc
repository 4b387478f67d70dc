// What a token does one call at a time: fingerprints, the data key, random bytes.
#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "hsm/cmac_subkey.h"
#include "hsm/ec_check.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {
namespace {

constexpr std::size_t kWrappedDataKeyBytes = 40;  // 32, and RFC 3394's 8

}  // namespace

Status Pkcs11Token::prove_fingerprint(Entry& entry) {
  if (entry.uses.unwrap) return {};  // none: see kFingerprintInput
  if (entry.name.algorithm == KeyAlgorithm::kEcP256) return prove_public_point(entry);
  if (entry.name.algorithm == KeyAlgorithm::kAes256 && !signs_blocks(entry))
    return prove_links(entry);
  Block again;
  FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, entry.fingerprint.bytes));
  FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, again.bytes));
  if (equal_in_constant_time(entry.fingerprint.bytes, again.bytes)) return {};
  return wrong_answer("one message gave two results", key_label(entry.name));
}

Status Pkcs11Token::prove_links(Entry& entry) {
  auto& links = entry.links;
  // CMAC of one whole block is its encryption, the subkey K1 = dbl(E_K(0)) added before.
  FUGO_ASSIGN(const Block zero, encrypt_agreed(entry, Block{}));
  links[0] = kFingerprintInput ^ doubled(zero);
  for (std::size_t i = 1; i < links.size(); ++i) {
    FUGO_ASSIGN(links[i], encrypt_agreed(entry, links[i - 1]));
    if (equal_in_constant_time(links[i].bytes, links[i - 1].bytes))
      return wrong_answer("two blocks gave one result", key_label(entry.name));
  }
  entry.fingerprint = links[1];
  return {};
}

Result<Block> Pkcs11Token::encrypt_agreed(const Entry& entry, const Block& in) {
  FUGO_ASSIGN(const Block once, encrypt_one(entry, in));
  FUGO_ASSIGN(const Block again, encrypt_one(entry, in));
  if (equal_in_constant_time(once.bytes, again.bytes)) return once;
  return wrong_answer("one block gave two results", key_label(entry.name));
}

Result<Block> Pkcs11Token::encrypt_one(const Entry& entry, const Block& in) {
  FUGO_ASSIGN(auto lease, acquire(entry));
  CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
  FUGO_TRY(lease.check(lease.functions()->C_EncryptInit(lease.handle(), &mechanism, entry.handle),
                       "C_EncryptInit"));
  Block input = in;  // C_Encrypt takes it without const
  Block out;
  prefill(out.bytes);
  CK_ULONG size = sizeof(out);
  const CK_RV rv = lease.functions()->C_Encrypt(lease.handle(), input.bytes.data(), sizeof(input),
                                                out.bytes.data(), &size);
  calls_.fetch_add(1, std::memory_order_relaxed);
  if (rv != CKR_OK || size != sizeof(out)) lease.spoil();
  FUGO_TRY(lease.check(rv, "C_Encrypt"));
  if (size != sizeof(out))
    return wrong_answer("the token did not encrypt one block", key_label(entry.name));
  return out;
}

Status Pkcs11Token::prove_public_point(Entry& entry) {
  FUGO_ASSIGN(entry.public_point, read_public_point(entry.name));
  // The public key is an object of its own: let the private key prove that it belongs to it.
  SecretBytes<64> signature;
  FUGO_TRY(sign_once(entry, kFingerprintInput.bytes, signature.bytes()));
  FUGO_ASSIGN(const bool matches,
              verify_p256(entry.public_point, kFingerprintInput.bytes, signature.bytes()));
  if (!matches)
    return fail(ErrorCode::kRefused, fmt::format("key {}: its public key in the token is another's",
                                                 key_label(entry.name)));
  FUGO_ASSIGN(const auto digest, sha256(entry.public_point));
  std::copy_n(digest.begin(), entry.fingerprint.bytes.size(), entry.fingerprint.bytes.begin());
  return {};
}

Result<Block> Pkcs11Token::fingerprint_of(const Key& key) {
  return with_recovery([&]() -> Result<Block> {
    FUGO_ASSIGN(const auto entry, entry_of(key));
    Entry now = entry;
    FUGO_TRY(prove_fingerprint(now));
    if (equal_in_constant_time(now.fingerprint.bytes, entry.fingerprint.bytes))
      return entry.fingerprint;
    return wrong_answer("the fingerprint is not what it was", key_label(key.name));
  });
}

Result<std::vector<std::uint8_t>> Pkcs11Token::read_public_point(const KeyName& name) {
  FUGO_ASSIGN(const auto lock, lock_within(admin_mutex_));
  FUGO_ASSIGN(auto lease, pool_.acquire());
  const auto read = [&]() -> Result<std::vector<std::uint8_t>> {
    Template wanted;
    wanted.number(CKA_CLASS, CKO_PUBLIC_KEY)
        .bytes(CKA_LABEL, as_bytes(key_label(name)))
        .bytes(CKA_ID, key_id(name));
    FUGO_ASSIGN(const auto found, find_objects(lease.functions(), lease.handle(), wanted));
    if (found.size() != 1)
      return fail(ErrorCode::kRefused,
                  fmt::format("key {}: {} public keys of that name in the token", key_label(name),
                              found.size()));
    return read_attribute(lease.functions(), lease.handle(), found.front(), CKA_EC_POINT);
  };
  auto point = read();
  if (!point && point.error().code == ErrorCode::kHsm) lease.spoil(point.error().native);
  return point;
}

Result<std::vector<std::uint8_t>> Pkcs11Token::public_point(const Key& key) {
  FUGO_ASSIGN(auto entry, entry_of(key));
  if (!entry.public_point.empty()) return std::move(entry.public_point);
  return fail(ErrorCode::kInternal, "a key without a public key", key_label(key.name));
}

Result<SecretBytes<32>> Pkcs11Token::unwrap_data_key(const Key& wrap_key, ByteView wrapped) {
  return with_recovery([&]() -> Result<SecretBytes<32>> {
    FUGO_ASSIGN(const auto entry, entry_of(wrap_key));
    FUGO_ASSIGN(const auto once, unwrap_once(entry, wrapped));
    FUGO_ASSIGN(const auto twice, unwrap_once(entry, wrapped));
    if (equal_in_constant_time(once.bytes(), twice.bytes())) return once;
    return wrong_answer("the data key came out in two ways", key_label(entry.name));
  });
}

Result<SecretBytes<32>> Pkcs11Token::unwrap_once(const Entry& entry, ByteView wrapped) {
  FUGO_ASSIGN(auto lease, acquire(entry));
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
  prefill(key.bytes());
  CK_ATTRIBUTE query{CKA_VALUE, key.data(), key.size()};
  const CK_RV rv = lease.functions()->C_GetAttributeValue(lease.handle(), object, &query, 1);
  const CK_RV destroyed = lease.functions()->C_DestroyObject(lease.handle(), object);
  if (destroyed != CKR_OK) lease.spoil(destroyed);  // closing the session destroys it
  FUGO_TRY(lease.check(rv, "C_GetAttributeValue"));
  if (query.ulValueLen == key.size()) return key;
  if (wrapped.size() == kWrappedDataKeyBytes)
    return wrong_answer("the token did not unwrap 32 bytes", key_label(entry.name));
  return fail(ErrorCode::kDamaged, "the wrapped data key is not of 32 bytes",
              key_label(entry.name));
}

Status Pkcs11Token::random(MutableByteView to) {
  return with_recovery([&]() -> Status {
    SecretBytes<16> least;  // what is tested below
    if (to.size() >= least.size()) return random_once(to);
    FUGO_TRY(random_once(least.bytes()));
    std::copy_n(least.data(), to.size(), to.begin());
    return {};
  });
}

Status Pkcs11Token::random_once(MutableByteView to) {
  // What the token leaves as it was is random all the same.
  if (::getrandom(to.data(), std::min<std::size_t>(to.size(), 256), 0) < 0)
    return fail_errno("cannot get random bytes", "getrandom", errno);
  {
    FUGO_ASSIGN(auto lease, pool_.acquire());
    FUGO_TRY(lease.check(lease.functions()->C_GenerateRandom(lease.handle(), to.data(), to.size()),
                         "C_GenerateRandom"));
  }
  constexpr std::size_t kWindow = sizeof(Block);
  const std::lock_guard lock(random_mutex_);
  bool stuck = equal_in_constant_time(to.first(kWindow), last_random_.bytes().first(kWindow)) ||
               equal_in_constant_time(to.first(kWindow), last_random_.bytes().last(kWindow));
  for (std::size_t at = 0; at < to.size(); at += kWindow) {
    // The last window reaches back where the size is no multiple.
    const auto window = to.subspan(std::min(at, to.size() - kWindow), kWindow);
    stuck = stuck || equal_in_constant_time(window.first(kWindow - 1), window.last(kWindow - 1));
    if (at >= kWindow && at + kWindow <= to.size())
      stuck = stuck || equal_in_constant_time(window, to.subspan(at - kWindow, kWindow));
  }
  std::copy_n(to.begin(), kWindow, last_random_.data());
  std::copy_n(to.end() - kWindow, kWindow, last_random_.data() + kWindow);
  if (!stuck) return {};
  wipe(to.data(), to.size());
  return wrong_answer("the token's random numbers repeat themselves", "C_GenerateRandom");
}

}  // namespace fugo::hsm
