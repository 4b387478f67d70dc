// What each key of a token may be used for: every function with every mechanism that the token has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string_view>

#include "tests/hsm/raw_session.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::hsm::testing {
namespace {

// The table of docs/spec/keys.md once more, in letters: Encrypt and Decrypt with CKM_AES_ECB, Sign
// with the algorithm's mechanism, Unwrap; a dash where the key must be absent. Everything below is
// judged by this, not by the table that makes the keys.
struct Allowed {
  const char* label;
  std::array<std::string_view, 3> uses;  // issuing, linking, standby
};
constexpr std::array<Allowed, 10> kAllowed{{{"fugo-linkage-aes256-v1", {"E", "-", "E"}},
                                            {"fugo-linkage-hmac-v1", {"S", "-", "S"}},
                                            {"fugo-agency-aes256-v1", {"E", "E", "E"}},
                                            {"fugo-agency-hmac-v1", {"S", "S", "S"}},
                                            {"fugo-agency-xts-data-aes256-v1", {"E", "ED", "ED"}},
                                            {"fugo-agency-xts-tweak-aes256-v1", {"E", "E", "E"}},
                                            {"fugo-record-aes256-v1", {"E", "E", "E"}},
                                            {"fugo-record-hmac-v1", {"S", "S", "S"}},
                                            {"fugo-data-wrap-aes256-v1", {"U", "U", "U"}},
                                            {"fugo-journal-p256-v1", {"S", "-", "S"}}}};

std::string_view allowed(const KeyName& name, TokenRole role) {
  for (const Allowed& row : kAllowed)
    if (row.label == key_label(name)) return row.uses.at(static_cast<std::size_t>(role) - 1);
  ADD_FAILURE() << key_label(name) << " is not in the table";
  return "-";
}

// begin tries one operation, in a session of its own, which one that did begin does not outlive.
CK_RV begin(CK_FUNCTION_LIST& f, CK_SLOT_ID slot, CK_OBJECT_HANDLE key, CK_C_EncryptInit function,
            CK_MECHANISM_TYPE mechanism) {
  CK_SESSION_HANDLE own = CK_INVALID_HANDLE;
  EXPECT_EQ(f.C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &own), CKR_OK);
  // Where every mechanism is let as far as its parameter, there is one: NSS reads it unasked.
  CK_BYTE parameter[64] = {};
  const bool without = abilities().keeps_allowed_mechanisms;
  CK_MECHANISM with{mechanism, without ? nullptr : parameter, without ? 0 : sizeof(parameter)};
  const CK_RV rv = function(own, &with, key);
  EXPECT_EQ(f.C_CloseSession(own), CKR_OK);
  return rv;
}

// begun are the operations that a key begins, of all functions and all mechanisms of the token.
std::vector<std::string> begun(Session& session, const KeyName& name) {
  const auto found = find_one_key(session.functions(), session.handle(), name);
  EXPECT_TRUE(found) << found.error().message();
  if (!found) return {};
  auto& f = *session.functions();
  CK_SESSION_INFO info{};
  EXPECT_EQ(f.C_GetSessionInfo(session.handle(), &info), CKR_OK);
  CK_ULONG count = 0;
  EXPECT_EQ(f.C_GetMechanismList(info.slotID, nullptr, &count), CKR_OK);
  std::vector<CK_MECHANISM_TYPE> mechanisms(count);
  EXPECT_EQ(f.C_GetMechanismList(info.slotID, mechanisms.data(), &count), CKR_OK);
  EXPECT_GE(count, 20U);
  std::vector<std::string> begun;
  for (const CK_MECHANISM_TYPE mechanism : mechanisms)
    for (const auto& [function, word] : {std::pair{f.C_EncryptInit, "encrypt"},
                                         {f.C_DecryptInit, "decrypt"},
                                         {f.C_SignInit, "sign"},
                                         {f.C_VerifyInit, "verify"},
                                         {f.C_SignRecoverInit, "sign-recover"},
                                         {f.C_VerifyRecoverInit, "verify-recover"}}) {
      const CK_RV rv = begin(f, info.slotID, *found, function, mechanism);
      EXPECT_TRUE(std::string(rv_name(rv)) != "CKR_MECHANISM_PARAM_INVALID" ||
                  !abilities().keeps_allowed_mechanisms)
          << word << " was let as far as that";
      if (rv == CKR_OK) begun.push_back(std::string(word) + " " + std::to_string(mechanism));
    }
  return begun;
}

std::vector<std::string> wanted(const KeyName& name, std::string_view uses) {
  std::vector<std::string> words;
  // Where the token refuses CKM_AES_ECB, CKM_AES_CMAC stands for both directions of it.
  if (!abilities().blocks && uses.starts_with('E')) return {"sign " + std::to_string(CKM_AES_CMAC)};
  const auto sign = name.algorithm == KeyAlgorithm::kEcP256 ? CKM_ECDSA : CKM_SHA256_HMAC;
  for (const char use : uses) {
    if (use == 'E') words.push_back("encrypt " + std::to_string(CKM_AES_ECB));
    if (use == 'D') words.push_back("decrypt " + std::to_string(CKM_AES_ECB));
    if (use == 'S') words.push_back("sign " + std::to_string(sign));
  }
  return words;
}

std::string function_of(const std::string& begun) { return begun.substr(0, begun.find(' ')); }

// expect_functions: where a key has no mechanism of its own, the functions are as the table says,
// and what it says is among what they begin. CKM_AES_XCBC_MAC asks for no CKA_SIGN in NSS.
void expect_functions(const KeyName& name, const std::vector<std::string>& begun,
                      const std::vector<std::string>& wanted) {
  std::set<std::string> functions, excess;
  for (const auto& one : wanted) {
    functions.insert(function_of(one));
    EXPECT_THAT(begun, ::testing::Contains(one));
  }
  for (const auto& one : begun)
    if (!functions.contains(function_of(one))) excess.insert(one);
  std::set<std::string> known;
  if (!abilities().keeps_uses && name.algorithm == KeyAlgorithm::kAes256)
    known = {"sign " + std::to_string(CKM_AES_XCBC_MAC),
             "sign " + std::to_string(CKM_AES_XCBC_MAC_96)};
  EXPECT_EQ(excess, known);
}

class AllowedUses : public ::testing::TestWithParam<TokenRole> {};
INSTANTIATE_TEST_SUITE_P(Roles, AllowedUses,
                         ::testing::Values(TokenRole::kIssuing, TokenRole::kLinking,
                                           TokenRole::kStandby));

TEST_P(AllowedUses, EachKeyBeginsWhatTheTableAllowsAndNothingElse) {
  auto session = open_raw(shared_tokens().settings(GetParam()));
  ASSERT_TRUE(session) << session.error().message();
  for (const KeyName& name : shared_tokens().names) {
    SCOPED_TRACE(key_label(name));
    const auto uses = allowed(name, GetParam());
    if (uses == "-") {
      EXPECT_TRUE(check_absent(session->functions(), session->handle(), name));
      continue;
    }
    const auto can = begun(*session, name);
    if (abilities().keeps_allowed_mechanisms)
      EXPECT_EQ(can, wanted(name, uses));
    else
      expect_functions(name, can, wanted(name, uses));
    EXPECT_EQ(placement_of(name, GetParam()).uses.unwrap, uses == "U");
  }
}

}  // namespace
}  // namespace fugo::hsm::testing
