#include "hsm/exchange_key.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "hsm/exchange_rules.h"
#include "hsm/find_token.h"
#include "hsm/session.h"

namespace fugo::hsm {
namespace {

constexpr std::uint8_t kPublicExponent[] = {0x01, 0x00, 0x01};
constexpr CK_MECHANISM_TYPE kOnly[] = {CKM_RSA_PKCS_OAEP};
constexpr std::uint8_t kIdPurpose = 8, kIdAlgorithm = 4;

Result<Session> open_session(const TokenSettings& token) {
  FUGO_ASSIGN(auto pin, Pin::read(token.pin_file));
  FUGO_ASSIGN(auto module, Module::open(token.module, token.softhsm_conf));
  FUGO_ASSIGN(const auto found, find_token(*module, token.uri));
  FUGO_ASSIGN(auto session, Session::open(module, found.slot, Session::Access::kReadWrite));
  FUGO_TRY(session.login(CKU_USER, pin));
  return session;
}

Result<std::vector<CK_OBJECT_HANDLE>> find_labelled(const Session& session,
                                                    const std::string& label) {
  Template wanted;
  wanted.bytes(CKA_LABEL, as_bytes(label));
  return find_objects(session.functions(), session.handle(), wanted);
}

Result<std::string> label_of(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                             CK_OBJECT_HANDLE object) {
  FUGO_ASSIGN(const auto label, read_attribute(functions, session, object, CKA_LABEL));
  return std::string(label.begin(), label.end());
}

Result<RsaPublicKey> public_half(const Session& session, CK_OBJECT_HANDLE object) {
  RsaPublicKey key;
  FUGO_ASSIGN(key.modulus,
              read_attribute(session.functions(), session.handle(), object, CKA_MODULUS));
  FUGO_ASSIGN(key.exponent,
              read_attribute(session.functions(), session.handle(), object, CKA_PUBLIC_EXPONENT));
  return key;
}

tl::unexpected<Error> wrong(std::string_view attribute) {
  return fail(ErrorCode::kRefused,
              fmt::format("an exchange key: {} is not as it was made", attribute),
              "C_GetAttributeValue", "do not use this token before you know who changed the key");
}

// Boolean attributes that the token gave the key itself.
constexpr FlagRule kTold[] = {{CKA_LOCAL, "CKA_LOCAL", true},
                              {CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true},
                              {CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true}};

Status check_flag(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                  const FlagRule& rule) {
  FUGO_ASSIGN(const auto value, read_attribute(functions, session, object, rule.type));
  if (value.size() == sizeof(CK_BBOOL) && (value[0] != CK_FALSE) == rule.value) return {};
  return wrong(rule.name);
}

Status check_mechanisms(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                        CK_OBJECT_HANDLE object) {
  FUGO_ASSIGN(const auto mechanisms,
              read_attribute(functions, session, object, CKA_ALLOWED_MECHANISMS));
  const ByteView only(reinterpret_cast<const std::uint8_t*>(kOnly), sizeof(kOnly));
  if (std::equal(mechanisms.begin(), mechanisms.end(), only.begin(), only.end())) return {};
  return wrong("CKA_ALLOWED_MECHANISMS");
}

}  // namespace

std::string exchange_label(std::uint16_t number) {
  return fmt::format("{}{}", kExchangeLabel, number);
}

const std::vector<FlagRule>& exchange_flags() {
  static const std::vector<FlagRule> rules = {
      {CKA_TOKEN, "CKA_TOKEN", true},
      {CKA_PRIVATE, "CKA_PRIVATE", true},
      {CKA_SENSITIVE, "CKA_SENSITIVE", true},
      {CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false},
      {CKA_DECRYPT, "CKA_DECRYPT", true},
      {CKA_SIGN, "CKA_SIGN", false},
      {CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false},
      {CKA_UNWRAP, "CKA_UNWRAP", false},
      {CKA_DERIVE, "CKA_DERIVE", false},
      {CKA_MODIFIABLE, "CKA_MODIFIABLE", false},  // last: see final_template
  };
  return rules;
}

Status check_exchange_key(CK_FUNCTION_LIST* functions, CK_SESSION_HANDLE session,
                          CK_OBJECT_HANDLE object, bool with_mechanisms) {
  FUGO_ASSIGN(const auto label, label_of(functions, session, object));
  if (std::string_view(label).substr(0, kExchangeLabel.size()) != kExchangeLabel)
    return wrong("CKA_LABEL");
  for (const FlagRule& rule : exchange_flags())
    FUGO_TRY(check_flag(functions, session, object, rule));
  for (const FlagRule& rule : kTold) FUGO_TRY(check_flag(functions, session, object, rule));
  if (with_mechanisms) FUGO_TRY(check_mechanisms(functions, session, object));
  FUGO_ASSIGN(const auto modulus, read_attribute(functions, session, object, CKA_MODULUS));
  if (modulus.size() != kExchangeKeyBits / 8 || modulus[0] < 0x80) return wrong("CKA_MODULUS");
  return {};
}

Result<RsaPublicKey> make_exchange_key(const TokenSettings& token, std::uint16_t number) {
  const std::string label = exchange_label(number);
  const std::uint8_t id[] = {kIdPurpose, kIdAlgorithm, static_cast<std::uint8_t>(number >> 8U),
                             static_cast<std::uint8_t>(number)};
  FUGO_ASSIGN(const auto session, open_session(token));
  FUGO_ASSIGN(const auto there, find_labelled(session, label));
  if (!there.empty())
    return fail(ErrorCode::kRefused, fmt::format("{} is in the token already", label),
                "C_FindObjects");
  Template open;
  open.number(CKA_MODULUS_BITS, kExchangeKeyBits)
      .bytes(CKA_PUBLIC_EXPONENT, kPublicExponent)
      .flag(CKA_TOKEN, false)
      .flag(CKA_PRIVATE, false);
  // NSS tries a pair by encrypting, when it makes one. This half goes with the session.
  open.flag(CKA_ENCRYPT, true);
  for (const CK_ATTRIBUTE_TYPE use : {CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_WRAP})
    open.flag(use, false);
  Template secret;
  secret.bytes(CKA_LABEL, as_bytes(label)).bytes(CKA_ID, id);
  if (token.allowed_mechanisms) secret.mechanisms(kOnly);
  for (const FlagRule& rule : exchange_flags()) secret.flag(rule.type, rule.value);
  CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE, private_key = CK_INVALID_HANDLE;
  FUGO_CK(session.functions(), C_GenerateKeyPair, session.handle(), &mechanism, open.data(),
          open.size(), secret.data(), secret.size(), &public_key, &private_key);
  const auto checked = check_exchange_key(session.functions(), session.handle(), private_key,
                                          token.allowed_mechanisms);
  if (checked) return public_half(session, public_key);
  // A key that is not as it must be is not left there under our label.
  session.functions()->C_DestroyObject(session.handle(), private_key);
  return tl::unexpected<Error>(checked.error());
}

Result<std::vector<ExchangeKey>> list_exchange_keys(const TokenSettings& token) {
  FUGO_ASSIGN(const auto session, open_session(token));
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY).number(CKA_KEY_TYPE, CKK_RSA);
  FUGO_ASSIGN(const auto found, find_objects(session.functions(), session.handle(), wanted));
  std::vector<ExchangeKey> keys;
  for (const CK_OBJECT_HANDLE object : found) {
    ExchangeKey key;
    FUGO_ASSIGN(key.label, label_of(session.functions(), session.handle(), object));
    if (std::string_view(key.label).substr(0, kExchangeLabel.size()) != kExchangeLabel) continue;
    FUGO_ASSIGN(key.public_key, public_half(session, object));
    const auto checked =
        check_exchange_key(session.functions(), session.handle(), object, token.allowed_mechanisms);
    if (!checked) key.fault = checked.error().message();
    keys.push_back(std::move(key));
  }
  std::sort(keys.begin(), keys.end(),
            [](const ExchangeKey& a, const ExchangeKey& b) { return a.label < b.label; });
  return keys;
}

Result<bool> destroy_exchange_key(const TokenSettings& token, const std::string& label) {
  if (std::string_view(label).substr(0, kExchangeLabel.size()) != kExchangeLabel)
    return fail(ErrorCode::kUsage, "is not the label of an exchange key", label);
  FUGO_ASSIGN(const auto session, open_session(token));
  FUGO_ASSIGN(const auto found, find_labelled(session, label));
  for (const CK_OBJECT_HANDLE object : found)
    FUGO_CK(session.functions(), C_DestroyObject, session.handle(), object);
  FUGO_ASSIGN(const auto left, find_labelled(session, label));
  if (!left.empty())
    return fail(ErrorCode::kHsm, fmt::format("{} is still in the token", label), "C_DestroyObject");
  return !found.empty();
}

}  // namespace fugo::hsm
