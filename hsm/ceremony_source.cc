// The making of the keys, in the first target, as session objects.
#include <openssl/evp.h>

#include <algorithm>

#include "hsm/ceremony_site.h"
#include "hsm/cmac_subkey.h"
#include "hsm/find_token.h"

namespace fugo::hsm {
namespace {

constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr CK_ATTRIBUTE_TYPE kSecretUses[] = {CKA_ENCRYPT, CKA_DECRYPT, CKA_SIGN,  CKA_VERIFY,
                                             CKA_WRAP,    CKA_UNWRAP,  CKA_DERIVE};

// Source is the visit to the first target that makes the keys. Every object of it is a session
// object and ends with it.
class Source {
 public:
  static Result<Source> open(const CeremonyTarget& target, bool with_transport_key,
                             const std::vector<Delivery>& deliveries,
                             const RsaPublicKey& recovery_key);

  Status make(const KeyName& name, const std::vector<CeremonyTarget>& targets, SourceKeys& out);
  Status wrap_transport_key(const std::vector<CeremonyTarget>& targets,
                            const std::vector<KeyName>& names, SourceKeys& out);

 private:
  // Made is a key object, and of a key pair the point.
  struct Made {
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    std::vector<std::uint8_t> point;
  };
  Status make_trusted(bool with_transport_key, const std::vector<Delivery>& deliveries,
                      const RsaPublicKey& recovery_key);
  Result<CK_OBJECT_HANDLE> import_trusted(const RsaPublicKey& key);
  Result<Made> make_secret(const KeyName& name);
  Result<Made> make_pair();
  Status make_data_key(CK_OBJECT_HANDLE wrap_key, SourceKeys& out);
  Status mac(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, Block message, SecretBytes<32>& to);
  Result<Block> encrypt(CK_OBJECT_HANDLE key, Block block);
  Result<Block> fingerprint(const KeyName& name, const Made& made);
  Result<std::vector<std::uint8_t>> wrap(CK_MECHANISM mechanism, CK_OBJECT_HANDLE by,
                                         CK_OBJECT_HANDLE key);

  CK_FUNCTION_LIST* functions() { return session_.functions(); }

  Session session_;
  CK_MECHANISM_TYPE wrap_with_padding_ = CKM_AES_KEY_WRAP_PAD;
  bool cmac_only_ = false;                     // the token refuses CKM_AES_ECB
  std::vector<CK_OBJECT_HANDLE> target_keys_;  // trusted RSA public keys, one a target
  CK_OBJECT_HANDLE recovery_key_ = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE transport_key_ = CK_INVALID_HANDLE;
};

Result<Source> Source::open(const CeremonyTarget& target, bool with_transport_key,
                            const std::vector<Delivery>& deliveries,
                            const RsaPublicKey& recovery_key) {
  Source source;
  FUGO_ASSIGN(auto so_pin, Pin::read(target.so_pin_file));
  FUGO_ASSIGN(auto pin, Pin::read(target.settings.pin_file));
  FUGO_ASSIGN(auto module, Module::open(target.settings.module, target.settings.softhsm_conf));
  FUGO_ASSIGN(const auto found, find_token(*module, target.settings.uri));
  source.wrap_with_padding_ = wrap_with_padding(module->functions(), found.slot);
  FUGO_ASSIGN(source.cmac_only_, refuses_ecb(module->functions(), found.slot));
  FUGO_ASSIGN(source.session_,
              Session::open(std::move(module), found.slot, Session::Access::kReadWrite));
  // Only the security officer may set CKA_TRUSTED (PKCS#11 2.40 section 4.6.1); what is made then
  // is public and stays when the officer logs out.
  FUGO_TRY(source.session_.login(CKU_SO, so_pin));
  FUGO_TRY(source.make_trusted(with_transport_key, deliveries, recovery_key));
  FUGO_CK(source.functions(), C_Logout, source.session_.handle());
  FUGO_TRY(source.session_.login(CKU_USER, pin));
  return source;
}

Status Source::make_trusted(bool with_transport_key, const std::vector<Delivery>& deliveries,
                            const RsaPublicKey& recovery_key) {
  for (const Delivery& delivery : deliveries) {
    FUGO_ASSIGN(const auto key, import_trusted(delivery.ceremony_key));
    target_keys_.push_back(key);
  }
  FUGO_ASSIGN(recovery_key_, import_trusted(recovery_key));
  if (!with_transport_key) return {};
  Template made;
  made.number(CKA_VALUE_LEN, 32)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, false)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, true)
      .flag(CKA_TRUSTED, true)
      .flag(CKA_WRAP_WITH_TRUSTED, true);
  for (const CK_ATTRIBUTE_TYPE use : kSecretUses) made.flag(use, use == CKA_WRAP);
  made.flag(CKA_MODIFIABLE, false);
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  FUGO_CK(functions(), C_GenerateKey, session_.handle(), &mechanism, made.data(), made.size(),
          &transport_key_);
  return {};
}

Result<CK_OBJECT_HANDLE> Source::import_trusted(const RsaPublicKey& key) {
  Template made;
  made.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, CKK_RSA)
      .bytes(CKA_MODULUS, key.modulus)
      .bytes(CKA_PUBLIC_EXPONENT, key.exponent)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, false)
      .flag(CKA_TRUSTED, true)
      .flag(CKA_WRAP, true)
      .flag(CKA_ENCRYPT, false)
      .flag(CKA_VERIFY, false)
      .flag(CKA_VERIFY_RECOVER, false)
      .flag(CKA_MODIFIABLE, false);
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_CK(functions(), C_CreateObject, session_.handle(), made.data(), made.size(), &object);
  return object;
}

Result<Source::Made> Source::make_secret(const KeyName& name) {
  const bool aes = name.algorithm == KeyAlgorithm::kAes256;
  const KeyUses placed = placement_of(name, TokenRole::kStandby).uses;
  const KeyUses uses = cmac_only_ ? by_cmac(name.algorithm, placed) : placed;
  Template made;
  made.number(CKA_VALUE_LEN, 32)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, true)
      .flag(CKA_WRAP_WITH_TRUSTED, true);
  // As much as the fingerprint needs; the data-key wrap key wraps the new data key here.
  for (const CK_ATTRIBUTE_TYPE use : kSecretUses)
    made.flag(use, (use == CKA_ENCRYPT && uses.encrypt) || (use == CKA_SIGN && uses.sign) ||
                       (use == CKA_WRAP && uses.unwrap));
  made.mechanisms(mechanisms_of(name.algorithm, uses)).flag(CKA_MODIFIABLE, false);
  CK_MECHANISM mechanism{aes ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
  Made key;
  FUGO_CK(functions(), C_GenerateKey, session_.handle(), &mechanism, made.data(), made.size(),
          &key.object);
  return key;
}

Result<Source::Made> Source::make_pair() {
  Template open;
  open.bytes(CKA_EC_PARAMS, kP256).flag(CKA_TOKEN, false).flag(CKA_PRIVATE, false);
  Template secret;
  secret.flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, true)
      .flag(CKA_WRAP_WITH_TRUSTED, true);
  for (const CK_ATTRIBUTE_TYPE use :
       {CKA_DECRYPT, CKA_SIGN, CKA_SIGN_RECOVER, CKA_UNWRAP, CKA_DERIVE})
    secret.flag(use, false);
  secret.flag(CKA_MODIFIABLE, false);
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  Made key;
  FUGO_CK(functions(), C_GenerateKeyPair, session_.handle(), &mechanism, open.data(), open.size(),
          secret.data(), secret.size(), &public_key, &key.object);
  FUGO_ASSIGN(key.point, read_attribute(functions(), session_.handle(), public_key, CKA_EC_POINT));
  return key;
}

Status Source::mac(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, Block message,
                   SecretBytes<32>& to) {
  CK_MECHANISM mechanism{type, nullptr, 0};
  CK_ULONG size = to.size();
  FUGO_CK(functions(), C_SignInit, session_.handle(), &mechanism, key);
  FUGO_CK(functions(), C_Sign, session_.handle(), message.bytes.data(), sizeof(message), to.data(),
          &size);
  return {};
}

Result<Block> Source::encrypt(CK_OBJECT_HANDLE key, Block block) {
  CK_MECHANISM mechanism{CKM_AES_ECB, nullptr, 0};
  CK_ULONG size = sizeof(block);
  FUGO_CK(functions(), C_EncryptInit, session_.handle(), &mechanism, key);
  FUGO_CK(functions(), C_Encrypt, session_.handle(), block.bytes.data(), sizeof(block),
          block.bytes.data(), &size);
  return block;
}

Result<Block> Source::fingerprint(const KeyName& name, const Made& made) {
  Block out;
  if (placement_of(name, TokenRole::kStandby).uses.unwrap) return out;
  SecretBytes<32> whole;
  const Block input = kFingerprintInput;
  if (name.algorithm == KeyAlgorithm::kEcP256) {
    unsigned digest_size = 0;
    if (EVP_Digest(made.point.data(), made.point.size(), whole.data(), &digest_size, EVP_sha256(),
                   nullptr) != 1)
      return fail(ErrorCode::kInternal, "SHA-256 failed", "EVP_Digest");
  } else if (name.algorithm == KeyAlgorithm::kHmacSha256) {
    FUGO_TRY(mac(CKM_SHA256_HMAC, made.object, input, whole));
  } else if (cmac_only_) {
    FUGO_TRY(mac(CKM_AES_CMAC, made.object, input, whole));
  } else {
    Block subkey;
    FUGO_ASSIGN(subkey, encrypt(made.object, Block{}));
    FUGO_ASSIGN(out, encrypt(made.object, input ^ doubled(subkey)));
    return out;
  }
  std::copy_n(whole.data(), out.bytes.size(), out.bytes.begin());
  return out;
}

Result<std::vector<std::uint8_t>> Source::wrap(CK_MECHANISM mechanism, CK_OBJECT_HANDLE by,
                                               CK_OBJECT_HANDLE key) {
  CK_ULONG size = 0;
  FUGO_CK(functions(), C_WrapKey, session_.handle(), &mechanism, by, key, nullptr, &size);
  std::vector<std::uint8_t> blob(size);
  FUGO_CK(functions(), C_WrapKey, session_.handle(), &mechanism, by, key, blob.data(), &size);
  blob.resize(size);
  return blob;
}

Status Source::make(const KeyName& name, const std::vector<CeremonyTarget>& targets,
                    SourceKeys& out) {
  const bool two_steps = name.algorithm == KeyAlgorithm::kEcP256;
  FUGO_ASSIGN(const Made made, two_steps ? make_pair() : make_secret(name));
  FUGO_ASSIGN(const Block print, fingerprint(name, made));
  out.keys.push_back({name, print});
  std::vector<std::uint8_t> under_transport;
  if (two_steps) {
    FUGO_ASSIGN(under_transport,
                wrap({wrap_with_padding_, nullptr, 0}, transport_key_, made.object));
    out.journal_public_key = made.point;
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!placement_of(name, targets[i].settings.role).present) continue;
    WrappedKey wrapped{name, under_transport, made.point};
    if (!two_steps) {
      FUGO_ASSIGN(wrapped.blob, wrap(oaep(), target_keys_[i], made.object));
    }
    out.deliveries[i].keys.push_back(std::move(wrapped));
  }
  RecoveryEntry entry{name, print, under_transport, {}, made.point};
  if (two_steps) {
    FUGO_ASSIGN(entry.transport_key, wrap(oaep(), recovery_key_, transport_key_));
  } else {
    FUGO_ASSIGN(entry.wrapped, wrap(oaep(), recovery_key_, made.object));
  }
  out.recovery.keys.push_back(std::move(entry));
  if (name.purpose == KeyPurpose::kDataWrap) FUGO_TRY(make_data_key(made.object, out));
  return {};
}

Status Source::make_data_key(CK_OBJECT_HANDLE wrap_key, SourceKeys& out) {
  Template made;
  made.number(CKA_VALUE_LEN, 32)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, true);
  for (const CK_ATTRIBUTE_TYPE use : kSecretUses) made.flag(use, false);
  CK_MECHANISM mechanism{CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  FUGO_CK(functions(), C_GenerateKey, session_.handle(), &mechanism, made.data(), made.size(),
          &key);
  FUGO_ASSIGN(out.wrapped_data_key, wrap({CKM_AES_KEY_WRAP, nullptr, 0}, wrap_key, key));
  FUGO_ASSIGN(out.recovery.data_key, wrap(oaep(), recovery_key_, key));
  return {};
}

Status Source::wrap_transport_key(const std::vector<CeremonyTarget>& targets,
                                  const std::vector<KeyName>& names, SourceKeys& out) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!any_ec(names, targets[i].settings.role)) continue;
    FUGO_ASSIGN(out.deliveries[i].transport_key, wrap(oaep(), target_keys_[i], transport_key_));
  }
  return {};
}

}  // namespace

Result<SourceKeys> make_source_keys(const CeremonyTarget& source_target,
                                    const std::vector<CeremonyTarget>& targets,
                                    std::vector<Delivery> deliveries,
                                    const std::vector<KeyName>& names,
                                    const RsaPublicKey& recovery_key) {
  const bool with_transport_key = std::any_of(names.begin(), names.end(), [](const KeyName& name) {
    return name.algorithm == KeyAlgorithm::kEcP256;
  });
  FUGO_ASSIGN(auto source,
              Source::open(source_target, with_transport_key, deliveries, recovery_key));
  SourceKeys out;
  out.deliveries = std::move(deliveries);
  if (with_transport_key) FUGO_TRY(source.wrap_transport_key(targets, names, out));
  for (const KeyName& name : names) FUGO_TRY(source.make(name, targets, out));
  return out;
}

}  // namespace fugo::hsm
