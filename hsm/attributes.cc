#include "hsm/attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/secret.h"

namespace fugo::hsm {
namespace {

constexpr CK_ULONG kSecretKeyBytes = 32;
// More than any answer that makes sense: beyond them the module is at fault.
constexpr std::size_t kMostObjects = 100'000;
constexpr CK_ULONG kLongestAttribute = CK_ULONG{1} << 16U;
// secp256r1, 1.2.840.10045.3.1.7, in DER.
constexpr std::uint8_t kP256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

template <typename T>
ByteView view_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(value)};
}

tl::unexpected<Error> wrong(const KeyName& name, std::string_view attribute, std::string_view is) {
  return fail(ErrorCode::kRefused, fmt::format("key {}: {} {}", key_label(name), attribute, is),
              "C_GetAttributeValue", "do not use this token before you know who changed the key");
}

Status check_number(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                    const KeyName& name, CK_ATTRIBUTE_TYPE type, std::string_view attribute,
                    CK_ULONG expected) {
  CK_ULONG value = 0;
  CK_ATTRIBUTE query{type, &value, sizeof(value)};
  const CK_RV rv = functions->C_GetAttributeValue(session, object, &query, 1);
  if (spoils_session(rv)) return fail_rv(rv, "C_GetAttributeValue");
  if (rv != CKR_OK || query.ulValueLen != sizeof(value))
    return wrong(name, attribute, "cannot be read: " + rv_name(rv));
  if (value != expected)
    return wrong(name, attribute, fmt::format("is {}, not {}", value, expected));
  return {};
}

// SoftHSM tells no length of a key that came by C_UnwrapKey, and takes none in its template: it
// reports 0. There the fingerprint proves the length, since the key was made with 32 bytes.
Status check_length(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                    const KeyName& name) {
  auto untold = check_number(functions, session, object, name, CKA_VALUE_LEN, "CKA_VALUE_LEN", 0);
  if (untold) return untold;
  return check_number(functions, session, object, name, CKA_VALUE_LEN, "CKA_VALUE_LEN",
                      kSecretKeyBytes);
}

Status check_flag(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                  const KeyName& name, const FlagRule& rule) {
  CK_BBOOL value = CK_FALSE;
  CK_ATTRIBUTE query{rule.type, &value, sizeof(value)};
  const CK_RV rv = functions->C_GetAttributeValue(session, object, &query, 1);
  if (spoils_session(rv)) return fail_rv(rv, "C_GetAttributeValue");
  if (rv != CKR_OK || query.ulValueLen != sizeof(value))
    return wrong(name, rule.name, "cannot be read: " + rv_name(rv));
  if ((value != CK_FALSE) != rule.value)
    return wrong(name, rule.name, rule.value ? "is FALSE, not TRUE" : "is TRUE, not FALSE");
  return {};
}

Status check_mechanisms(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                        CK_OBJECT_HANDLE object, const KeyName& name, const KeyUses& uses) {
  CK_MECHANISM_TYPE list[16] = {};
  CK_ATTRIBUTE query{CKA_ALLOWED_MECHANISMS, list, sizeof(list)};
  const CK_RV rv = functions->C_GetAttributeValue(session, object, &query, 1);
  if (spoils_session(rv)) return fail_rv(rv, "C_GetAttributeValue");
  if (rv != CKR_OK || query.ulValueLen > sizeof(list))
    return wrong(name, "CKA_ALLOWED_MECHANISMS", "cannot be read or is too long: " + rv_name(rv));
  std::vector<CK_MECHANISM_TYPE> has(list, list + query.ulValueLen / sizeof(CK_MECHANISM_TYPE));
  std::sort(has.begin(), has.end());
  if (has != mechanisms_of(name.algorithm, uses))
    return wrong(name, "CKA_ALLOWED_MECHANISMS", "is not exactly what the key's use needs");
  return {};
}

Template by_name(const KeyName& name) {
  Template wanted;
  wanted.bytes(CKA_LABEL, as_bytes(key_label(name))).bytes(CKA_ID, key_id(name));
  return wanted;
}

}  // namespace

Template::~Template() {
  for (auto& value : values_) wipe(value.data(), value.size());
}

Template& Template::bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
  auto& kept = values_.emplace_back(value.begin(), value.end());
  attributes_.push_back({type, kept.data(), kept.size()});
  return *this;
}

Template& Template::flag(CK_ATTRIBUTE_TYPE type, bool value) {
  const CK_BBOOL flag = value ? CK_TRUE : CK_FALSE;
  return bytes(type, view_of(flag));
}

Template& Template::number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
  return bytes(type, view_of(value));
}

Template& Template::mechanisms(std::span<const CK_MECHANISM_TYPE> list) {
  return bytes(CKA_ALLOWED_MECHANISMS,
               {reinterpret_cast<const std::uint8_t*>(list.data()), list.size_bytes()});
}

Template& Template::unwrap_template(Template inner) {
  Template& kept = nested_.emplace_back(std::move(inner));
  attributes_.push_back({CKA_UNWRAP_TEMPLATE, kept.attributes_.data(),
                         kept.attributes_.size() * sizeof(CK_ATTRIBUTE)});
  return *this;
}

std::vector<FlagRule> flag_rules(KeyAlgorithm algorithm, const KeyUses& uses) {
  std::vector<FlagRule> rules = {
      {CKA_TOKEN, "CKA_TOKEN", true},
      {CKA_PRIVATE, "CKA_PRIVATE", true},
      {CKA_SENSITIVE, "CKA_SENSITIVE", true},
      {CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false},
      {CKA_DECRYPT, "CKA_DECRYPT", uses.decrypt},
      {CKA_SIGN, "CKA_SIGN", uses.sign},
      {CKA_UNWRAP, "CKA_UNWRAP", uses.unwrap},
      {CKA_DERIVE, "CKA_DERIVE", false},
  };
  if (class_of(algorithm) == CKO_SECRET_KEY) {
    rules.push_back({CKA_ENCRYPT, "CKA_ENCRYPT", uses.encrypt});
    rules.push_back({CKA_VERIFY, "CKA_VERIFY", false});
    rules.push_back({CKA_WRAP, "CKA_WRAP", false});
  } else {
    rules.push_back({CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false});
  }
  rules.push_back({CKA_MODIFIABLE, "CKA_MODIFIABLE", false});  // last: see final_template
  return rules;
}

std::vector<CK_MECHANISM_TYPE> mechanisms_of(KeyAlgorithm algorithm, const KeyUses& uses) {
  if (algorithm == KeyAlgorithm::kHmacSha256) return {CKM_SHA256_HMAC};
  if (algorithm == KeyAlgorithm::kEcP256) return {CKM_ECDSA};
  if (uses.sign) return {CKM_AES_CMAC};
  return {uses.unwrap ? CKM_AES_KEY_WRAP : CKM_AES_ECB};
}

CK_OBJECT_CLASS class_of(KeyAlgorithm algorithm) {
  return algorithm == KeyAlgorithm::kEcP256 ? CKO_PRIVATE_KEY : CKO_SECRET_KEY;
}

CK_KEY_TYPE type_of(KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::kEcP256) return CKK_EC;
  return algorithm == KeyAlgorithm::kAes256 ? CKK_AES : CKK_GENERIC_SECRET;
}

Template final_template(const KeyName& name, const KeyUses& uses, bool with_mechanisms) {
  Template made;
  made.number(CKA_CLASS, class_of(name.algorithm))
      .number(CKA_KEY_TYPE, type_of(name.algorithm))
      .bytes(CKA_LABEL, as_bytes(key_label(name)))
      .bytes(CKA_ID, key_id(name));
  const auto mechanisms = mechanisms_of(name.algorithm, uses);
  if (with_mechanisms) made.mechanisms(mechanisms);
  for (const FlagRule& rule : flag_rules(name.algorithm, uses)) made.flag(rule.type, rule.value);
  return made;
}

Result<std::vector<CK_OBJECT_HANDLE>> find_objects(CK_FUNCTION_LIST* functions,
                                                   CK_SESSION_HANDLE session, Template& wanted) {
  FUGO_CK(functions, C_FindObjectsInit, session, wanted.data(), wanted.size());
  std::vector<CK_OBJECT_HANDLE> found;
  CK_RV rv = CKR_OK;
  for (;;) {
    CK_OBJECT_HANDLE some[16];
    CK_ULONG count = 0;
    rv = functions->C_FindObjects(session, some, std::size(some), &count);
    if (rv == CKR_OK && (count > std::size(some) || found.size() > kMostObjects))
      rv = CKR_GENERAL_ERROR;  // a search that never ends, or writes past its room
    if (rv != CKR_OK || count == 0) break;
    found.insert(found.end(), some, some + count);
  }
  const CK_RV final_rv = functions->C_FindObjectsFinal(session);
  if (rv != CKR_OK) return fail_rv(rv, "C_FindObjects");
  if (final_rv != CKR_OK) return fail_rv(final_rv, "C_FindObjectsFinal");
  return found;
}

Result<CK_OBJECT_HANDLE> find_one_key(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                                      const KeyName& name) {
  Template wanted = by_name(name);
  wanted.number(CKA_CLASS, class_of(name.algorithm));
  FUGO_ASSIGN(const auto found, find_objects(functions, session, wanted));
  if (found.size() == 1) return found.front();
  return fail(ErrorCode::kRefused,
              fmt::format("key {}: {} such objects in the token", key_label(name), found.size()),
              "C_FindObjects");
}

Status check_absent(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session, const KeyName& name) {
  Template by_label;
  by_label.bytes(CKA_LABEL, as_bytes(key_label(name)));
  Template by_id;
  by_id.bytes(CKA_ID, key_id(name));
  for (Template* wanted : {&by_label, &by_id}) {
    FUGO_ASSIGN(const auto found, find_objects(functions, session, *wanted));
    if (!found.empty())
      return fail(ErrorCode::kRefused,
                  fmt::format("key {} is in the token and must not be", key_label(name)),
                  "C_FindObjects");
  }
  return {};
}

Status check_attributes(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                        CK_OBJECT_HANDLE object, const KeyName& name, const KeyUses& uses,
                        bool with_mechanisms) {
  FUGO_TRY(check_number(functions, session, object, name, CKA_KEY_TYPE, "CKA_KEY_TYPE",
                        type_of(name.algorithm)));
  if (name.algorithm == KeyAlgorithm::kEcP256) {
    auto curve = read_attribute(functions, session, object, CKA_EC_PARAMS);
    if (!curve || !std::equal(curve->begin(), curve->end(), std::begin(kP256), std::end(kP256)))
      return wrong(name, "CKA_EC_PARAMS", "is not secp256r1");
  } else {
    FUGO_TRY(check_length(functions, session, object, name));
  }
  for (const FlagRule& rule : flag_rules(name.algorithm, uses))
    FUGO_TRY(check_flag(functions, session, object, name, rule));
  if (!with_mechanisms) return {};
  return check_mechanisms(functions, session, object, name, uses);
}

Result<bool> is_for_cmac(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                         CK_OBJECT_HANDLE object) {
  CK_BBOOL sign = CK_FALSE, encrypt = CK_FALSE;
  CK_ATTRIBUTE query[] = {{CKA_SIGN, &sign, sizeof(sign)},
                          {CKA_ENCRYPT, &encrypt, sizeof(encrypt)}};
  FUGO_CK(functions, C_GetAttributeValue, session, object, query, 2);
  return sign != CK_FALSE && encrypt == CK_FALSE;
}

Result<bool> refuses_ecb(CK_FUNCTION_LIST* functions, CK_SLOT_ID slot) {
  const auto allows = [&](CK_MECHANISM_TYPE mechanism, CK_FLAGS use) -> Result<bool> {
    CK_MECHANISM_INFO info{};
    const CK_RV rv = functions->C_GetMechanismInfo(slot, mechanism, &info);
    if (rv == CKR_MECHANISM_INVALID) return false;
    if (rv != CKR_OK) return fail_rv(rv, "C_GetMechanismInfo");
    return (info.flags & use) == use;
  };
  FUGO_ASSIGN(const bool ecb, allows(CKM_AES_ECB, CKF_ENCRYPT));
  if (ecb) return false;
  FUGO_ASSIGN(const bool cmac, allows(CKM_AES_CMAC, CKF_SIGN));
  if (cmac) return true;
  return fail_rv(CKR_MECHANISM_INVALID, "C_GetMechanismInfo",
                 "the token has neither CKM_AES_ECB nor CKM_AES_CMAC: see docs/tokens.md");
}

Result<std::vector<std::uint8_t>> read_attribute(CK_FUNCTION_LIST* functions,
                                                 CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                                 CK_ATTRIBUTE_TYPE type) {
  CK_ATTRIBUTE query{type, nullptr, 0};
  FUGO_CK(functions, C_GetAttributeValue, session, object, &query, 1);
  if (query.ulValueLen == CK_UNAVAILABLE_INFORMATION)
    return fail_rv(CKR_ATTRIBUTE_SENSITIVE, "C_GetAttributeValue");
  if (query.ulValueLen > kLongestAttribute)
    return fail_rv(CKR_GENERAL_ERROR, "C_GetAttributeValue");
  std::vector<std::uint8_t> value(query.ulValueLen);
  query.pValue = value.data();
  FUGO_CK(functions, C_GetAttributeValue, session, object, &query, 1);
  if (query.ulValueLen != value.size()) return fail_rv(CKR_GENERAL_ERROR, "C_GetAttributeValue");
  return value;
}

}  // namespace fugo::hsm
