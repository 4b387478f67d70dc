// Exchange keys in a real token: what they may do, and what the token answers to wrong texts.
#include "hsm/exchange_key.h"

#include <gtest/gtest.h>

#include "hsm/exchange_rules.h"
#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

constexpr std::uint8_t kText[32] = {1, 2, 3, 4, 5, 6, 7, 8};

// One token with one key for the whole program: RSA keys take their time.
struct Made {
  ScratchToken token = make_scratch_token("exchange", TokenRole::kIssuing);
  RsaPublicKey key;
  Made() {
    auto made = make_exchange_key(token.settings, 1);
    if (!made) throw std::runtime_error(made.error().message());
    key = *made;
  }
};

const Made& made() {
  static const Made instance;
  return instance;
}

Result<CK_OBJECT_HANDLE> private_key(Session& session, const RsaPublicKey& key) {
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY).bytes(CKA_MODULUS, key.modulus);
  FUGO_ASSIGN(const auto found, find_objects(session.functions(), session.handle(), wanted));
  if (found.size() != 1) return fail(ErrorCode::kRefused, "not one key");
  return found.front();
}

TEST(ExchangeKey, OpensWhatWasEncryptedToIt) {
  const auto token = Token::open(made().token.settings);
  ASSERT_TRUE(token) << token.error().message();
  const auto sealed = encrypt_oaep(made().key.modulus, made().key.exponent, kText);
  ASSERT_TRUE(sealed);
  const auto opened = (*token)->decrypt_oaep(made().key, *sealed);
  ASSERT_TRUE(opened) << opened.error().message();
  ASSERT_EQ(opened->size(), sizeof(kText));
  EXPECT_TRUE(std::equal(std::begin(kText), std::end(kText), opened->data()));
}

TEST(ExchangeKey, AWrongTextIsRefusedAndIsNoTroubleOfTheToken) {
  const auto token = Token::open(made().token.settings);
  ASSERT_TRUE(token);
  auto sealed = encrypt_oaep(made().key.modulus, made().key.exponent, kText).value();
  const auto before = (*token)->health();
  for (const std::size_t at : {std::size_t{1}, sealed.size() / 2, sealed.size() - 1}) {
    auto changed = sealed;
    changed[at] ^= 1;
    const auto opened = (*token)->decrypt_oaep(made().key, changed);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kRefused) << opened.error().message();
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{16}, sealed.size() - 1}) {
    const auto opened = (*token)->decrypt_oaep(made().key, ByteView(sealed.data(), size));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kRefused) << size << opened.error().message();
  }
  EXPECT_EQ((*token)->health().reinitialisations, before.reinitialisations);
  EXPECT_TRUE((*token)->decrypt_oaep(made().key, sealed));
}

TEST(ExchangeKey, AnotherKeysTextAndAnotherKeyAreRefused) {
  const auto token = Token::open(made().token.settings);
  ASSERT_TRUE(token);
  RsaPublicKey other = made().key;
  other.modulus[10] ^= 1;
  const auto opened = (*token)->decrypt_oaep(other, std::vector<std::uint8_t>(384, 1));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
}

TEST(ExchangeKey, MayDoNothingElse) {
  auto session = open_raw(made().token.settings);
  ASSERT_TRUE(session) << session.error().message();
  const auto key = private_key(*session, made().key);
  ASSERT_TRUE(key) << key.error().message();
  auto& functions = *session->functions();
  EXPECT_TRUE(check_exchange_key(&functions, session->handle(), *key, true));
  for (const CK_MECHANISM_TYPE type : {CKM_RSA_PKCS, CKM_RSA_X_509}) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    EXPECT_NE(functions.C_DecryptInit(session->handle(), &mechanism, *key), CKR_OK);
    EXPECT_NE(functions.C_SignInit(session->handle(), &mechanism, *key), CKR_OK);
  }
  CK_BYTE room[512];
  for (const CK_ATTRIBUTE_TYPE secret : {CKA_PRIVATE_EXPONENT, CKA_PRIME_1}) {
    CK_ATTRIBUTE query{secret, room, sizeof(room)};
    EXPECT_EQ(functions.C_GetAttributeValue(session->handle(), *key, &query, 1),
              CKR_ATTRIBUTE_SENSITIVE);
  }
  for (const CK_ATTRIBUTE_TYPE use : {CKA_SIGN, CKA_UNWRAP, CKA_EXTRACTABLE}) {
    Template change;
    change.flag(use, true);
    EXPECT_NE(functions.C_SetAttributeValue(session->handle(), *key, change.data(), 1), CKR_OK);
  }
}

// A key under our label that somebody else made is found out, whatever it differs in.
TEST(ExchangeKey, AKeyThatMayDoMoreIsRefused) {
  auto session = open_raw(made().token.settings);
  ASSERT_TRUE(session);
  auto& functions = *session->functions();
  const auto& rules = exchange_flags();
  for (std::size_t flipped = 2; flipped + 1 < rules.size(); ++flipped) {
    Template open;
    CK_BYTE exponent[] = {1, 0, 1};
    open.number(CKA_MODULUS_BITS, kExchangeKeyBits).bytes(CKA_PUBLIC_EXPONENT, exponent);
    open.flag(CKA_TOKEN, false);
    Template secret;
    const CK_MECHANISM_TYPE only[] = {CKM_RSA_PKCS_OAEP};
    secret.bytes(CKA_LABEL, as_bytes(exchange_label(9))).mechanisms(only);
    for (std::size_t i = 0; i < rules.size(); ++i)
      secret.flag(rules[i].type,
                  rules[i].type == CKA_TOKEN ? false : rules[i].value != (i == flipped));
    CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
    CK_OBJECT_HANDLE one = CK_INVALID_HANDLE, two = CK_INVALID_HANDLE;
    if (functions.C_GenerateKeyPair(session->handle(), &mechanism, open.data(), open.size(),
                                    secret.data(), secret.size(), &one, &two) != CKR_OK)
      continue;  // the token itself refuses it
    const auto checked = check_exchange_key(&functions, session->handle(), two, true);
    ASSERT_FALSE(checked) << rules[flipped].name;
    EXPECT_EQ(checked.error().code, ErrorCode::kRefused);
  }
}

TEST(ExchangeKey, WorksInATokenThatDoesNotKeepAllowedMechanisms) {
  auto settings = made().token.settings;
  settings.allowed_mechanisms = false;
  const auto key = make_exchange_key(settings, 7);
  ASSERT_TRUE(key) << key.error().message();
  const auto sealed = encrypt_oaep(key->modulus, key->exponent, kText).value();
  EXPECT_TRUE((*Token::open(settings))->decrypt_oaep(*key, sealed));
  const auto strict = (*Token::open(made().token.settings))->decrypt_oaep(*key, sealed);
  ASSERT_FALSE(strict);
  EXPECT_NE(strict.error().message().find("CKA_ALLOWED_MECHANISMS"), std::string::npos);
  EXPECT_TRUE(destroy_exchange_key(settings, exchange_label(7)).value());
}

TEST(ExchangeKey, IsListedAndDestroyed) {
  const auto& settings = made().token.settings;
  const auto second = make_exchange_key(settings, 2);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(make_exchange_key(settings, 2).error().code, ErrorCode::kRefused);
  const auto listed = list_exchange_keys(settings);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 2U);
  EXPECT_EQ((*listed)[1].label, exchange_label(2));
  EXPECT_EQ((*listed)[1].fault, "");
  EXPECT_EQ((*listed)[1].public_key.modulus, second->modulus);
  EXPECT_EQ(destroy_exchange_key(settings, "fugo-record-aes256-v1").error().code,
            ErrorCode::kUsage);
  EXPECT_TRUE(destroy_exchange_key(settings, exchange_label(2)).value());
  EXPECT_FALSE(destroy_exchange_key(settings, exchange_label(2)).value());
  EXPECT_EQ(list_exchange_keys(settings)->size(), 1U);
}

}  // namespace
}  // namespace fugo::hsm::testing
