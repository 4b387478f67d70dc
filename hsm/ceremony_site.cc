#include "hsm/ceremony_site.h"

#include <algorithm>

#include "hsm/find_token.h"

namespace fugo::hsm {
namespace {

constexpr CK_ULONG kCeremonyKeyBits = 3072;
constexpr std::uint8_t kPublicExponent[] = {0x01, 0x00, 0x01};
constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

constexpr CK_MECHANISM_TYPE kAesKeyWrapKwp = 0x210B;  // CKM_AES_KEY_WRAP_KWP of PKCS#11 3.0

// transport_rules is what the transport key may do in a target: unwrap, and vanish by itself.
std::vector<FlagRule> transport_rules() {
  auto rules = flag_rules(KeyAlgorithm::kAes256, {.unwrap = true});
  for (FlagRule& rule : rules)
    if (rule.type == CKA_TOKEN) rule.value = false;
  return rules;
}

Template transport_template(CK_MECHANISM_TYPE only, bool with_mechanisms) {
  Template journal;
  for (const FlagRule& rule : flag_rules(KeyAlgorithm::kEcP256, {.sign = true}))
    journal.flag(rule.type, rule.value);
  Template made;
  if (with_mechanisms) made.mechanisms({&only, 1});
  made.number(CKA_CLASS, CKO_SECRET_KEY)
      .number(CKA_KEY_TYPE, CKK_AES)
      .unwrap_template(std::move(journal));
  for (const FlagRule& rule : transport_rules()) made.flag(rule.type, rule.value);
  return made;
}

}  // namespace

CK_MECHANISM oaep() {
  static CK_RSA_PKCS_OAEP_PARAMS parameters{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr,
                                            0};
  return {CKM_RSA_PKCS_OAEP, &parameters, sizeof(parameters)};
}

CK_MECHANISM_TYPE wrap_with_padding(CK_FUNCTION_LIST* functions, CK_SLOT_ID slot) {
  CK_MECHANISM_INFO info{};
  const bool has = functions->C_GetMechanismInfo(slot, kAesKeyWrapKwp, &info) == CKR_OK;
  return has && (info.flags & CKF_UNWRAP) != 0 ? kAesKeyWrapKwp : CKM_AES_KEY_WRAP_PAD;
}

bool any_ec(const std::vector<KeyName>& names, TokenRole role) {
  return std::any_of(names.begin(), names.end(), [&](const KeyName& name) {
    return name.algorithm == KeyAlgorithm::kEcP256 && placement_of(name, role).present;
  });
}

Result<CeremonySite> CeremonySite::open(const TokenSettings& settings) {
  CeremonySite site;
  site.role_ = settings.role;
  FUGO_ASSIGN(auto pin, Pin::read(settings.pin_file));
  FUGO_ASSIGN(site.module_, Module::open(settings.module, settings.softhsm_conf));
  FUGO_ASSIGN(const auto found, find_token(*site.module_, settings.uri));
  site.slot_ = found.slot;
  site.description_ = describe(found.info);
  site.with_mechanisms_ = settings.allowed_mechanisms;
  site.wrap_with_padding_ = wrap_with_padding(site.module_->functions(), found.slot);
  FUGO_ASSIGN(site.cmac_only_, refuses_ecb(site.module_->functions(), found.slot));
  FUGO_ASSIGN(site.session_, Session::open(site.module_, site.slot_, Session::Access::kReadWrite));
  FUGO_TRY(site.session_.login(CKU_USER, pin));
  return site;
}

KeyUses CeremonySite::uses_of(const KeyName& name) const {
  const KeyUses uses = placement_of(name, role_).uses;
  return cmac_only_ ? by_cmac(name.algorithm, uses) : uses;
}

// Only the flags that have the same value in every key which the ceremony key may unwrap.
Template CeremonySite::shared_rules(const std::vector<KeyName>& names) const {
  std::vector<std::vector<FlagRule>> lists;
  for (const KeyName& name : names) {
    if (placement_of(name, role_).present && name.algorithm != KeyAlgorithm::kEcP256)
      lists.push_back(flag_rules(name.algorithm, uses_of(name)));
  }
  if (any_ec(names, role_)) lists.push_back(transport_rules());
  Template shared;
  if (lists.empty()) return shared;
  for (const FlagRule& rule : lists.front()) {
    const bool everywhere = std::all_of(lists.begin(), lists.end(), [&](const auto& list) {
      return std::any_of(list.begin(), list.end(), [&](const FlagRule& other) {
        return other.type == rule.type && other.value == rule.value;
      });
    });
    if (everywhere) shared.flag(rule.type, rule.value);
  }
  return shared;
}

Status CeremonySite::check_all_absent(const std::vector<KeyName>& names) {
  for (const KeyName& name : names)
    FUGO_TRY(check_absent(session_.functions(), session_.handle(), name));
  return {};
}

void CeremonySite::add_ceremony_uses(Template& key, const std::vector<KeyName>& names,
                                     const std::string& label, bool in_token) const {
  static constexpr CK_MECHANISM_TYPE kOnly[] = {CKM_RSA_PKCS_OAEP};
  if (with_mechanisms_) key.mechanisms(kOnly);
  key.bytes(CKA_LABEL, as_bytes(label))
      .flag(CKA_TOKEN, in_token)
      .flag(CKA_PRIVATE, true)
      .flag(CKA_SENSITIVE, true)
      .flag(CKA_EXTRACTABLE, false)
      .flag(CKA_UNWRAP, true);
  for (const CK_ATTRIBUTE_TYPE use : {CKA_DECRYPT, CKA_SIGN, CKA_SIGN_RECOVER, CKA_DERIVE})
    key.flag(use, false);
  key.unwrap_template(shared_rules(names)).flag(CKA_MODIFIABLE, false);
}

Result<RsaPublicKey> CeremonySite::make_ceremony_key(const std::vector<KeyName>& names,
                                                     const std::string& label) {
  Template open;
  open.number(CKA_MODULUS_BITS, kCeremonyKeyBits)
      .bytes(CKA_PUBLIC_EXPONENT, kPublicExponent)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, false);
  for (const CK_ATTRIBUTE_TYPE use : {CKA_ENCRYPT, CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP})
    open.flag(use, false);
  Template secret;
  add_ceremony_uses(secret, names, label, true);
  CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE private_key = CK_INVALID_HANDLE;
  FUGO_CK(session_.functions(), C_GenerateKeyPair, session_.handle(), &mechanism, open.data(),
          open.size(), secret.data(), secret.size(), &public_key, &private_key);
  RsaPublicKey key;
  FUGO_ASSIGN(key.modulus,
              read_attribute(session_.functions(), session_.handle(), public_key, CKA_MODULUS));
  FUGO_ASSIGN(key.exponent, read_attribute(session_.functions(), session_.handle(), public_key,
                                           CKA_PUBLIC_EXPONENT));
  return key;
}

Status CeremonySite::receive(const Delivery& delivery, const std::string& label) {
  Template wanted;
  wanted.bytes(CKA_LABEL, as_bytes(label)).number(CKA_CLASS, CKO_PRIVATE_KEY);
  FUGO_ASSIGN(const auto found, find_objects(session_.functions(), session_.handle(), wanted));
  if (found.size() != 1)
    return fail(ErrorCode::kHsm, "the ceremony key is gone from the token", "C_FindObjects");
  CK_OBJECT_HANDLE transport = CK_INVALID_HANDLE;
  if (!delivery.transport_key.empty()) {
    FUGO_ASSIGN(transport, unwrap(oaep(), found.front(), delivery.transport_key,
                                  transport_template(wrap_with_padding_, with_mechanisms_)));
  }
  for (const WrappedKey& key : delivery.keys) {
    const bool two_steps = key.name.algorithm == KeyAlgorithm::kEcP256;
    FUGO_TRY(unwrap(two_steps ? CK_MECHANISM{wrap_with_padding_, nullptr, 0} : oaep(),
                    two_steps ? transport : found.front(), key.blob,
                    final_template(key.name, uses_of(key.name), with_mechanisms_)));
    if (two_steps) FUGO_TRY(make_public_key(key));
  }
  if (transport != CK_INVALID_HANDLE)
    FUGO_CK(session_.functions(), C_DestroyObject, session_.handle(), transport);
  FUGO_CK(session_.functions(), C_DestroyObject, session_.handle(), found.front());
  return {};
}

Result<CK_OBJECT_HANDLE> CeremonySite::unwrap(CK_MECHANISM mechanism, CK_OBJECT_HANDLE by,
                                              const std::vector<std::uint8_t>& blob,
                                              Template made) {
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_CK(session_.functions(), C_UnwrapKey, session_.handle(), &mechanism, by,
          const_cast<CK_BYTE*>(blob.data()), blob.size(), made.data(), made.size(), &object);
  return object;
}

Status CeremonySite::make_public_key(const WrappedKey& key) {
  Template made;
  made.number(CKA_CLASS, CKO_PUBLIC_KEY)
      .number(CKA_KEY_TYPE, CKK_EC)
      .bytes(CKA_LABEL, as_bytes(key_label(key.name)))
      .bytes(CKA_ID, key_id(key.name))
      .bytes(CKA_EC_PARAMS, kP256)
      .bytes(CKA_EC_POINT, key.public_point)
      .flag(CKA_TOKEN, true)
      .flag(CKA_PRIVATE, false)
      .flag(CKA_VERIFY, true)
      .flag(CKA_ENCRYPT, false)
      .flag(CKA_VERIFY_RECOVER, false)
      .flag(CKA_WRAP, false)
      .flag(CKA_DERIVE, false)
      .flag(CKA_MODIFIABLE, false);
  CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
  FUGO_CK(session_.functions(), C_CreateObject, session_.handle(), made.data(), made.size(),
          &object);
  return {};
}

Status CeremonySite::destroy_all(Template& wanted) {
  FUGO_ASSIGN(const auto found, find_objects(session_.functions(), session_.handle(), wanted));
  CK_RV first = CKR_OK;
  for (const CK_OBJECT_HANDLE object : found) {
    const CK_RV rv = session_.functions()->C_DestroyObject(session_.handle(), object);
    if (first == CKR_OK) first = rv;
  }
  if (first != CKR_OK) return fail_rv(first, "C_DestroyObject");
  return {};
}

Status CeremonySite::remove(const std::vector<KeyName>& names) {
  Status first;
  const auto note = [&](Status done) {
    if (!done && first) first = std::move(done);
  };
  for (const KeyName& name : names) {
    Template by_label;
    by_label.bytes(CKA_LABEL, as_bytes(key_label(name)));
    Template by_id;
    by_id.bytes(CKA_ID, key_id(name));
    note(destroy_all(by_label));
    note(destroy_all(by_id));
  }
  return first;
}

Status CeremonySite::remove_ceremony_keys() {
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY).number(CKA_KEY_TYPE, CKK_RSA);
  FUGO_ASSIGN(const auto found, find_objects(session_.functions(), session_.handle(), wanted));
  Status first;
  for (const CK_OBJECT_HANDLE object : found) {
    const auto label = read_attribute(session_.functions(), session_.handle(), object, CKA_LABEL);
    if (!label || std::string_view(reinterpret_cast<const char*>(label->data()), label->size())
                          .substr(0, kCeremonyLabel.size()) != kCeremonyLabel)
      continue;
    const CK_RV rv = session_.functions()->C_DestroyObject(session_.handle(), object);
    if (rv != CKR_OK && first) first = fail_rv(rv, "C_DestroyObject");
  }
  return first;
}

}  // namespace fugo::hsm
