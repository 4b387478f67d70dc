// What somebody with the PIN might try: refused by the token itself, or found out by fugo.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "hsm/ceremony_site.h"
#include "hsm/exchange_rules.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

constexpr KeyName kLinkageKey{KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1};
constexpr KeyName kSpare{KeyPurpose::kRecord, KeyAlgorithm::kAes256, 77};

using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string text(CK_RV rv) { return rv_name(rv); }

// Attempts is what each key of a token is tried with.
class Attempts {
 public:
  Attempts(Session& session, CK_OBJECT_HANDLE key) : session_(session), key_(key) {}
  // In a session of its own, which an operation that did begin does not outlive.
  CK_RV init(CK_C_EncryptInit function, CK_MECHANISM_TYPE mechanism) {
    CK_SESSION_INFO info{};
    CK_SESSION_HANDLE own = CK_INVALID_HANDLE;
    EXPECT_EQ(functions().C_GetSessionInfo(session_.handle(), &info), CKR_OK);
    EXPECT_EQ(functions().C_OpenSession(info.slotID, CKF_SERIAL_SESSION, nullptr, nullptr, &own),
              CKR_OK);
    CK_BYTE iv[16] = {};
    const bool cbc = mechanism == CKM_AES_CBC;
    CK_MECHANISM with{mechanism, cbc ? iv : nullptr, cbc ? sizeof(iv) : 0};
    const CK_RV rv = function(own, &with, key_);
    EXPECT_EQ(functions().C_CloseSession(own), CKR_OK);
    return rv;
  }
  CK_RV value() {
    CK_BYTE bytes[512];
    CK_ATTRIBUTE query{CKA_VALUE, bytes, sizeof(bytes)};
    return functions().C_GetAttributeValue(session_.handle(), key_, &query, 1);
  }
  CK_RV set(CK_ATTRIBUTE_TYPE type, bool to) {
    Template change;
    change.flag(type, to);
    return functions().C_SetAttributeValue(session_.handle(), key_, change.data(), 1);
  }
  CK_RV copy(CK_ATTRIBUTE_TYPE type, bool to) {
    Template change;
    change.flag(CKA_TOKEN, false).flag(type, to);
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    return functions().C_CopyObject(session_.handle(), key_, change.data(), change.size(), &made);
  }
  CK_RV wrap_by(CK_OBJECT_HANDLE wrapping) {
    CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
    CK_BYTE blob[512];
    CK_ULONG size = sizeof(blob);
    return functions().C_WrapKey(session_.handle(), &mechanism, wrapping, key_, blob, &size);
  }
  CK_RV wrap(CK_OBJECT_HANDLE other) {
    CK_MECHANISM mechanism{CKM_AES_KEY_WRAP, nullptr, 0};
    CK_BYTE blob[512];
    CK_ULONG size = sizeof(blob);
    return functions().C_WrapKey(session_.handle(), &mechanism, key_, other, blob, &size);
  }
  // Of a blob that no key made: who may unwrap is told so, everybody else that they may not.
  CK_RV unwrap(CK_MECHANISM_TYPE type) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    CK_BYTE blob[40] = {};
    Template made = secret_template();
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    return functions().C_UnwrapKey(session_.handle(), &mechanism, key_, blob, sizeof(blob),
                                   made.data(), made.size(), &object);
  }
  CK_RV derive_by_encryption(CK_MECHANISM_TYPE type) {
    CK_BYTE data[32] = {};
    CK_KEY_DERIVATION_STRING_DATA parameter{data, sizeof(data)};
    return derive({type, &parameter, sizeof(parameter)});
  }
  CK_RV derive_by_agreement() {
    // The generator of P-256, as somebody else's public key.
    const auto point = unhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    std::string bytes = *point;
    CK_ECDH1_DERIVE_PARAMS parameter{CKD_NULL, 0, nullptr, bytes.size(),
                                     reinterpret_cast<CK_BYTE*>(bytes.data())};
    return derive({CKM_ECDH1_DERIVE, &parameter, sizeof(parameter)});
  }
  CK_FUNCTION_LIST& functions() { return *session_.functions(); }

 private:
  static Template secret_template() {
    Template made;
    made.number(CKA_CLASS, CKO_SECRET_KEY)
        .number(CKA_KEY_TYPE, CKK_GENERIC_SECRET)
        .number(CKA_VALUE_LEN, 32)
        .flag(CKA_TOKEN, false)
        .flag(CKA_SENSITIVE, false)
        .flag(CKA_EXTRACTABLE, true);
    return made;
  }
  CK_RV derive(CK_MECHANISM mechanism) {
    Template made = secret_template();
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    return functions().C_DeriveKey(session_.handle(), &mechanism, key_, made.data(), made.size(),
                                   &object);
  }

  Session& session_;
  CK_OBJECT_HANDLE key_;
};

CK_OBJECT_HANDLE make_wrapping_key(Session& session) {
  Template made;
  made.number(CKA_VALUE_LEN, 32)
      .flag(CKA_TOKEN, false)
      .flag(CKA_WRAP, true)
      .flag(CKA_EXTRACTABLE, true)
      .flag(CKA_SENSITIVE, false);
  CK_MECHANISM mechanism{CKM_AES_KEY_GEN, nullptr, 0};
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  EXPECT_EQ(session.functions()->C_GenerateKey(session.handle(), &mechanism, made.data(),
                                               made.size(), &key),
            CKR_OK);
  return key;
}

void try_everything(Session& session, const KeyName& name, const KeyUses& uses,
                    CK_OBJECT_HANDLE wrapping) {
  const auto found = find_one_key(session.functions(), session.handle(), name);
  ASSERT_TRUE(found) << found.error().message();
  Attempts key(session, *found);
  auto& f = key.functions();
  const bool aes = name.algorithm == KeyAlgorithm::kAes256;
  const auto mechanism = mechanisms_of(name.algorithm, uses).front();
  EXPECT_EQ(key.init(f.C_EncryptInit, CKM_AES_ECB) == CKR_OK, aes && uses.encrypt);
  EXPECT_EQ(key.init(f.C_DecryptInit, CKM_AES_ECB) == CKR_OK, aes && uses.decrypt);
  const bool any_mechanism = !abilities().keeps_allowed_mechanisms;
  EXPECT_EQ(key.init(f.C_EncryptInit, CKM_AES_CBC) == CKR_OK, any_mechanism && uses.encrypt);
  EXPECT_EQ(key.init(f.C_DecryptInit, CKM_AES_CBC) == CKR_OK, any_mechanism && uses.decrypt);
  EXPECT_NE(key.init(f.C_SignRecoverInit, mechanism), CKR_OK);
  EXPECT_NE(key.init(f.C_VerifyRecoverInit, mechanism), CKR_OK);
  // A key that may unwrap is let as far as the blob, which is none.
  const std::string refusal = text(key.unwrap(CKM_AES_KEY_WRAP));
  EXPECT_NE(refusal, "CKR_OK");
  EXPECT_EQ(refusal != "CKR_KEY_FUNCTION_NOT_PERMITTED" && refusal != "CKR_MECHANISM_INVALID" &&
                refusal != "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT" &&
                refusal != "CKR_KEY_TYPE_INCONSISTENT",
            uses.unwrap)
      << refusal;
  EXPECT_NE(key.unwrap(CKM_AES_KEY_WRAP_PAD), CKR_OK);
  const bool ec = name.algorithm == KeyAlgorithm::kEcP256;
  const bool any_use = !abilities().keeps_uses;
  EXPECT_EQ(key.derive_by_encryption(CKM_AES_ECB_ENCRYPT_DATA) == CKR_OK, any_use);
  EXPECT_NE(key.derive_by_encryption(CKM_CONCATENATE_BASE_AND_DATA), CKR_OK);
  EXPECT_EQ(key.derive_by_agreement() == CKR_OK, any_use && ec);
  EXPECT_EQ(key.init(f.C_SignInit, CKM_AES_CMAC) == CKR_OK, (aes || any_use) && uses.sign);
  EXPECT_NE(key.init(f.C_VerifyInit, aes ? CKM_AES_CMAC : mechanism), CKR_OK);
  EXPECT_NE(key.value(), CKR_OK);
  EXPECT_NE(key.wrap(wrapping), CKR_OK);
  EXPECT_EQ(text(key.wrap_by(wrapping)),
            abilities().keeps_unextractable ? "CKR_KEY_UNEXTRACTABLE" : "CKR_OK");
  for (const FlagRule& rule : flag_rules(name.algorithm, uses)) {
    EXPECT_NE(key.set(rule.type, !rule.value), CKR_OK) << rule.name;
    // Whatever else a copy is let do, its bytes stay sensitive.
    const bool copied = key.copy(rule.type, !rule.value) == CKR_OK;
    EXPECT_EQ(copied, !abilities().keeps_copies && rule.type != CKA_SENSITIVE) << rule.name;
  }
}

class MisuseOfEachRole : public ::testing::TestWithParam<TokenRole> {};
INSTANTIATE_TEST_SUITE_P(Roles, MisuseOfEachRole,
                         ::testing::Values(TokenRole::kIssuing, TokenRole::kLinking,
                                           TokenRole::kStandby));

TEST_P(MisuseOfEachRole, EveryForbiddenUseIsRefusedByTheToken) {
  auto session = open_raw(shared_tokens().settings(GetParam()));
  ASSERT_TRUE(session) << session.error().message();
  const auto wrapping = make_wrapping_key(*session);
  for (const KeyName& name : shared_tokens().names) {
    SCOPED_TRACE(key_label(name));
    const auto placement = placement_of(name, GetParam());
    if (placement.present)
      try_everything(*session, name, uses_here(name, GetParam()), wrapping);
    else
      EXPECT_TRUE(check_absent(session->functions(), session->handle(), name));
  }
}

TEST_P(MisuseOfEachRole, TheCeremonyKeysAreGone) {
  auto session = open_raw(shared_tokens().settings(GetParam()));
  ASSERT_TRUE(session);
  Template rsa;
  rsa.number(CKA_KEY_TYPE, CKK_RSA);
  EXPECT_TRUE(find_objects(session->functions(), session->handle(), rsa)->empty());
}

// The two refusals that separate the roles, by the token's own words.
TEST(Misuse, TheIssuingTokenDoesNotDecrypt) {
  for (const auto role : {TokenRole::kIssuing, TokenRole::kLinking}) {
    auto session = open_raw(shared_tokens().settings(role));
    ASSERT_TRUE(session) << session.error().message();
    const auto found = find_one_key(session->functions(), session->handle(),
                                    {KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1});
    ASSERT_TRUE(found) << found.error().message();
    Attempts key(*session, *found);
    const auto begins = text(key.init(key.functions().C_DecryptInit, CKM_AES_ECB));
    if (!abilities().blocks)
      EXPECT_EQ(begins, "CKR_MECHANISM_INVALID");
    else if (role == TokenRole::kLinking)
      EXPECT_EQ(begins, "CKR_OK");
    else
      EXPECT_THAT(begins, AnyOf("CKR_KEY_FUNCTION_NOT_PERMITTED", "CKR_KEY_TYPE_INCONSISTENT"));
  }
}

// Of all objects that whoever has the linking PIN can see, by label, by id, or by looking at each.
TEST(Misuse, TheLinkingTokenHasNoKeyThatMakesLinkageSymbols) {
  const auto count = [](TokenRole role, Template& wanted) {
    auto session = open_raw(shared_tokens().settings(role));
    EXPECT_TRUE(session) << session.error().message();
    return find_objects(session->functions(), session->handle(), wanted)->size();
  };
  for (const auto algorithm : {KeyAlgorithm::kAes256, KeyAlgorithm::kHmacSha256}) {
    const KeyName name{KeyPurpose::kLinkage, algorithm, 1};
    Template by_label, by_id;
    by_label.bytes(CKA_LABEL, as_bytes(key_label(name)));
    by_id.bytes(CKA_ID, key_id(name));
    EXPECT_EQ(count(TokenRole::kIssuing, by_label), 1U);
    EXPECT_EQ(count(TokenRole::kIssuing, by_id), 1U);
    EXPECT_EQ(count(TokenRole::kLinking, by_label), 0U);
    EXPECT_EQ(count(TokenRole::kLinking, by_id), 0U);
  }
  std::size_t expected = 0;
  for (const KeyName& name : shared_tokens().names)
    expected += placement_of(name, TokenRole::kLinking).present ? 1 : 0;
  Template anything;
  EXPECT_EQ(count(TokenRole::kLinking, anything), expected);  // and nothing beside them
}

KeyUses symbol_uses() { return uses_here(KeyAlgorithm::kAes256, {.encrypt = true}); }

// other_use: a symbol key that may sign instead of encrypt, or both, is found out by the one or the
// other, since the key tells by them what it is for.
std::string other_use(const FlagRule& rule) {
  if (abilities().blocks || (rule.type != CKA_SIGN && rule.type != CKA_ENCRYPT))
    return std::string(rule.name);
  return rule.type == CKA_SIGN ? "CKA_ENCRYPT" : "CKA_SIGN";
}

// A blob on its way to a token is for one use: whoever unwraps it there gets a key that neither
// leaves nor shows itself, where the token keeps to CKA_UNWRAP_TEMPLATE.
TEST(Misuse, AnInterceptedBlobIsUnwrappedAsOursOrNotAtAll) {
  const auto token = make_scratch_token("intercepted", TokenRole::kIssuing);
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session) << session.error().message();
  auto& f = *session->functions();
  const CK_BYTE exponent[] = {1, 0, 1};
  Template open, secret, ours, theirs;
  open.number(CKA_MODULUS_BITS, 2048).bytes(CKA_PUBLIC_EXPONENT, exponent).flag(CKA_TOKEN, false);
  ours.flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false);
  secret.flag(CKA_TOKEN, false).flag(CKA_UNWRAP, true).unwrap_template(std::move(ours));
  CK_MECHANISM make{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
  CK_OBJECT_HANDLE public_key = CK_INVALID_HANDLE, private_key = CK_INVALID_HANDLE;
  ASSERT_EQ(f.C_GenerateKeyPair(session->handle(), &make, open.data(), open.size(), secret.data(),
                                secret.size(), &public_key, &private_key),
            CKR_OK);
  const auto modulus = read_attribute(&f, session->handle(), public_key, CKA_MODULUS);
  auto blob = encrypt_oaep(*modulus, exponent, std::vector<std::uint8_t>(32, 9)).value();
  const auto unwrap = [&](Template& made) {
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    auto mechanism = oaep();
    return text(f.C_UnwrapKey(session->handle(), &mechanism, private_key, blob.data(), blob.size(),
                              made.data(), made.size(), &object));
  };
  const auto aes = [](Template& made) -> Template& {
    return made.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES);
  };
  Template good;
  aes(good).flag(CKA_TOKEN, false).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false);
  EXPECT_EQ(unwrap(good), "CKR_OK");
  aes(theirs).flag(CKA_TOKEN, false).flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  EXPECT_EQ(unwrap(theirs) == "CKR_OK", !abilities().keeps_unwrap_template);
}

// A key that differs in one flag only, for each flag.
TEST(Misuse, EveryWrongFlagIsFoundAndNamed) {
  auto token = make_scratch_token("flags", TokenRole::kIssuing);
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session) << session.error().message();
  const auto opened = Token::open(token.settings);
  ASSERT_TRUE(opened);
  const std::vector<std::uint8_t> value(32, 7);
  for (const auto& [name, uses] :
       {std::pair{kSpare, symbol_uses()},
        {KeyName{KeyPurpose::kRecord, KeyAlgorithm::kHmacSha256, 77}, KeyUses{.sign = true}},
        {KeyName{KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 77}, KeyUses{.unwrap = true}}})
    for (const FlagRule& rule : flag_rules(name.algorithm, uses)) {
      const auto object = import_key(*session, name, uses, value, {rule.type});
      ASSERT_TRUE(object) << rule.name << ": " << object.error().message();
      const auto found = (*opened)->find_key(name, std::nullopt);
      if ((rule.type == CKA_PRIVATE || rule.type == CKA_SENSITIVE) &&
          !abilities().keeps_open_secrets) {
        EXPECT_TRUE(found) << "made as it must be all the same";
        ASSERT_EQ(session->functions()->C_DestroyObject(session->handle(), *object), CKR_OK);
        continue;
      }
      ASSERT_FALSE(found) << key_label(name) << " " << rule.name;
      EXPECT_EQ(found.error().code, ErrorCode::kRefused);
      EXPECT_THAT(found.error().what, AnyOf(HasSubstr(rule.name), HasSubstr(other_use(rule))));
      EXPECT_NE(found.error().what.find(key_label(name)), std::string::npos);
      ASSERT_EQ(session->functions()->C_DestroyObject(session->handle(), *object), CKR_OK);
    }
}

TEST(Misuse, WrongLengthMechanismsFingerprintAndDoublesAreFound) {
  auto token = make_scratch_token("shapes", TokenRole::kIssuing);
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session);
  const auto opened = *Token::open(token.settings);
  const KeyUses uses = symbol_uses();
  const auto refusal = [&](const std::optional<Block>& fingerprint) {
    const auto found = opened->find_key(kSpare, fingerprint);
    return found ? std::string("found") : found.error().what;
  };
  const auto destroy = [&](CK_OBJECT_HANDLE object) {
    EXPECT_EQ(session->functions()->C_DestroyObject(session->handle(), object), CKR_OK);
  };
  EXPECT_NE(refusal({}).find("0 such objects"), std::string::npos);

  const auto shorter = import_key(*session, kSpare, uses, std::vector<std::uint8_t>(16, 7));
  ASSERT_TRUE(shorter);
  EXPECT_NE(refusal({}).find("CKA_VALUE_LEN"), std::string::npos) << refusal({});
  destroy(*shorter);

  const std::vector<std::uint8_t> value(32, 7);
  const auto wider = import_key(*session, kSpare, uses, value, {}, {CKM_AES_ECB, CKM_AES_CBC});
  if (abilities().keeps_allowed_mechanisms) {
    ASSERT_TRUE(wider);
    EXPECT_NE(refusal({}).find("CKA_ALLOWED_MECHANISMS"), std::string::npos);
    destroy(*wider);
  } else {
    ASSERT_FALSE(wider);
    EXPECT_EQ(wider.error().native, CKR_GENERAL_ERROR);
  }

  ASSERT_TRUE(import_key(*session, kSpare, uses, value));
  EXPECT_EQ(refusal({}), "found");
  EXPECT_NE(refusal(Block{}).find("fingerprint"), std::string::npos);
  ASSERT_TRUE(import_key(*session, kSpare, uses, std::vector<std::uint8_t>(32, 8)));
  // NSS puts the second in the place of the first: then the fingerprint tells.
  EXPECT_THAT(refusal({}), HasSubstr(abilities().keeps_doubles ? "2 such objects" : "found"));
}

TEST(Misuse, AKeyThatMustBeAbsentIsReported) {
  auto token = make_scratch_token("intruder", TokenRole::kLinking);
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session);
  const auto opened = *Token::open(token.settings);
  const std::vector<ExpectedKey> expected = {{kLinkageKey, std::nullopt}};
  EXPECT_TRUE(opened->verify_keys(expected).empty());
  ASSERT_TRUE(import_key(*session, kLinkageKey, symbol_uses(), std::vector<std::uint8_t>(32, 1)));
  const auto faults = opened->verify_keys(expected);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].code, ErrorCode::kRefused);
  EXPECT_NE(faults[0].what.find("fugo-linkage-aes256-v1"), std::string::npos);
}

// Keys swapped by their names: the fingerprints tell.
TEST(Misuse, SwappedKeysAreFoundByTheirFingerprints) {
  auto token = make_scratch_token("swapped", TokenRole::kIssuing);
  auto session = open_raw(token.settings);
  ASSERT_TRUE(session);
  const KeyUses uses = symbol_uses();
  ASSERT_TRUE(import_key(*session, kSpare, uses, std::vector<std::uint8_t>(32, 1)));
  ASSERT_TRUE(import_key(*session, kLinkageKey, uses, std::vector<std::uint8_t>(32, 2)));
  const auto opened = *Token::open(token.settings);
  const auto spare = opened->find_key(kSpare, std::nullopt);
  const auto linkage = opened->find_key(kLinkageKey, std::nullopt);
  ASSERT_TRUE(spare && linkage);
  const Block of_spare = *opened->fingerprint_of(*spare);
  const Block of_linkage = *opened->fingerprint_of(*linkage);
  EXPECT_TRUE(opened->find_key(kSpare, of_spare));
  EXPECT_FALSE(opened->find_key(kSpare, of_linkage));
  EXPECT_FALSE(opened->find_key(kLinkageKey, of_spare));
}

}  // namespace
}  // namespace fugo::hsm::testing
