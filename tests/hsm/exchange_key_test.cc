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
  Result<RsaPublicKey> result = make_exchange_key(token.settings, 1);
  RsaPublicKey key = result ? *result : RsaPublicKey{};
};

const Made& made() {
  static const Made instance;
  return instance;
}

// refused_here: where a token does not say that it made a key itself, the key is refused when it is
// made, and the rest has nothing to ask for.
bool refused_here() {
  EXPECT_EQ(made().result.has_value(), abilities().tells_local);
  if (made().result) return false;
  const Error& refused = made().result.error();
  EXPECT_EQ(refused.code, ErrorCode::kRefused);
  EXPECT_NE(refused.what.find("CKA_LOCAL"), std::string::npos) << refused.message();
  EXPECT_TRUE(list_exchange_keys(made().token.settings)->empty()) << "nothing is left";
  const auto token = Token::open(made().token.settings);
  const RsaPublicKey none{std::vector<std::uint8_t>(384, 0xC1), {1, 0, 1}};
  const auto opened = (*token)->decrypt_oaep(none, std::vector<std::uint8_t>(384, 1));
  EXPECT_FALSE(opened);
  EXPECT_EQ(opened ? ErrorCode::kInternal : opened.error().code, ErrorCode::kRefused);
  return true;
}

Result<CK_OBJECT_HANDLE> private_key(Session& session, const RsaPublicKey& key) {
  Template wanted;
  wanted.number(CKA_CLASS, CKO_PRIVATE_KEY).bytes(CKA_MODULUS, key.modulus);
  FUGO_ASSIGN(const auto found, find_objects(session.functions(), session.handle(), wanted));
  if (found.size() != 1) return fail(ErrorCode::kRefused, "not one key");
  return found.front();
}

TEST(ExchangeKey, OpensWhatWasEncryptedToIt) {
  if (refused_here()) return;
  ASSERT_TRUE(made().result) << made().result.error().message();
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
  if (refused_here()) return;
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
  if (refused_here()) return;
  const auto token = Token::open(made().token.settings);
  ASSERT_TRUE(token);
  RsaPublicKey other = made().key;
  other.modulus[10] ^= 1;
  const auto opened = (*token)->decrypt_oaep(other, std::vector<std::uint8_t>(384, 1));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
  // Two good keys, and the text of one given to the other: that is the text's fault.
  const auto second = make_exchange_key(made().token.settings, 5);
  ASSERT_TRUE(second) << second.error().message();
  const auto text = encrypt_oaep(second->modulus, second->exponent, kText).value();
  EXPECT_TRUE((*token)->decrypt_oaep(*second, text));
  const auto wrong = (*token)->decrypt_oaep(made().key, text);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kRefused);
  EXPECT_EQ(wrong.error().where, "C_Decrypt");
  EXPECT_TRUE(destroy_exchange_key(made().token.settings, exchange_label(5)).value());
}

TEST(ExchangeKey, MayDoNothingElse) {
  if (refused_here()) return;
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

// Wish is a key that somebody with the PIN makes, like ours but for one thing.
struct Wish {
  CK_ATTRIBUTE_TYPE flipped = CK_UNAVAILABLE_INFORMATION;  // a flag the other way round
  std::string label = exchange_label(9);
  CK_ULONG bits = kExchangeKeyBits;
  CK_MECHANISM_TYPE mechanism = CKM_RSA_PKCS_OAEP;
};

// Foreign is such a key in the token, for as long as this object is there.
class Foreign {
 public:
  Foreign(Session& session, const Wish& wish) : session_(session) {
    Template open;
    const CK_BYTE exponent[] = {1, 0, 1};
    open.number(CKA_MODULUS_BITS, wish.bits).bytes(CKA_PUBLIC_EXPONENT, exponent);
    open.flag(CKA_TOKEN, false).flag(CKA_PRIVATE, false);
    Template secret;
    secret.bytes(CKA_LABEL, as_bytes(wish.label)).mechanisms({&wish.mechanism, 1});
    for (const FlagRule& rule : exchange_flags())
      secret.flag(rule.type, rule.value != (rule.type == wish.flipped));
    CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
    made_ = session_.functions()->C_GenerateKeyPair(session_.handle(), &mechanism, open.data(),
                                                    open.size(), secret.data(), secret.size(),
                                                    &public_, &private_);
  }
  ~Foreign() {
    if (made_ != CKR_OK) return;
    for (const CK_OBJECT_HANDLE object : {public_, private_})
      EXPECT_EQ(session_.functions()->C_DestroyObject(session_.handle(), object), CKR_OK);
  }
  Foreign(const Foreign&) = delete;
  Foreign& operator=(const Foreign&) = delete;

  [[nodiscard]] CK_RV made() const { return made_; }
  // fault is what check_exchange_key says of it.
  [[nodiscard]] std::string fault() const {
    const auto checked =
        check_exchange_key(session_.functions(), session_.handle(), private_, true);
    if (checked) return {};
    EXPECT_EQ(checked.error().code, ErrorCode::kRefused);
    return checked.error().message();
  }

 private:
  Session& session_;
  CK_RV made_ = CKR_OK;
  CK_OBJECT_HANDLE public_ = CK_INVALID_HANDLE, private_ = CK_INVALID_HANDLE;
};

// A key under our label that somebody else made is found out, whatever it differs in: by that.
TEST(ExchangeKey, AKeyThatMayDoMoreIsRefused) {
  if (refused_here()) return;
  auto session = open_raw(made().token.settings);
  ASSERT_TRUE(session);
  const auto fault_of = [&](const Wish& wish) {
    const Foreign foreign(*session, wish);
    EXPECT_EQ(foreign.made(), CKR_OK);
    return foreign.made() == CKR_OK ? foreign.fault() : "not made";
  };
  EXPECT_EQ(fault_of({}), "");  // nothing is wrong with one that differs in nothing
  // Flags are looked at before the length: short keys are made quickly.
  for (const FlagRule& rule : exchange_flags())
    EXPECT_NE(fault_of({.flipped = rule.type, .bits = 1024}).find(rule.name), std::string::npos)
        << rule.name;
  EXPECT_NE(fault_of({.label = "somebody-v1", .bits = 1024}).find("CKA_LABEL"), std::string::npos);
  EXPECT_NE(fault_of({.bits = 2048}).find("CKA_MODULUS"), std::string::npos);
  EXPECT_NE(fault_of({.bits = 1024, .mechanism = CKM_RSA_PKCS}).find("CKA_ALLOWED_MECHANISMS"),
            std::string::npos);
}

TEST(ExchangeKey, WorksInATokenThatDoesNotKeepAllowedMechanisms) {
  if (refused_here()) return;
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
  if (refused_here()) return;
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
