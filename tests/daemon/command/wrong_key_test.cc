// A key of the right name with the wrong attributes or value is never used.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <p11-kit/pkcs11.h>

#include <array>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

// KeyForger takes a key's place in a token, with PKCS#11 alone.
class KeyForger {
 public:
  KeyForger(const TestSite& site, const std::string& role) {
    const auto token = site.directory() / "tokens" / role;
    ::setenv("SOFTHSM2_CONF", (token / "softhsm2.conf").c_str(), 1);
    void* library = ::dlopen(kModule, RTLD_NOW | RTLD_LOCAL);
    auto get = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
    EXPECT_EQ(get(&calls_), CKR_OK);
    EXPECT_EQ(calls_->C_Initialize(nullptr), CKR_OK);
    std::array<CK_SLOT_ID, 4> slots{};
    CK_ULONG count = slots.size();
    EXPECT_EQ(calls_->C_GetSlotList(CK_TRUE, slots.data(), &count), CKR_OK);
    EXPECT_EQ(calls_->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr,
                                    &session_),
              CKR_OK);
    auto pin = read_file(token / "pin");
    pin.erase(pin.find_last_not_of("\r\n") + 1);
    EXPECT_EQ(calls_->C_Login(session_, CKU_USER, reinterpret_cast<CK_UTF8CHAR_PTR>(pin.data()),
                              pin.size()),
              CKR_OK);
  }
  ~KeyForger() {
    calls_->C_Finalize(nullptr);
    ::unsetenv("SOFTHSM2_CONF");
  }
  KeyForger(const KeyForger&) = delete;
  KeyForger& operator=(const KeyForger&) = delete;

  // replace puts a new AES key in the place of `label`: another value, and one that may decrypt.
  void replace(std::string label) {
    const auto id = remove(label);
    CK_ATTRIBUTE name{CKA_LABEL, label.data(), label.size()};
    auto bytes = id;
    CK_BBOOL yes = CK_TRUE;
    CK_ULONG length = 32;
    CK_OBJECT_HANDLE key = 0;
    std::array<CK_ATTRIBUTE, 6> wanted = {{name,
                                           {CKA_ID, bytes.data(), bytes.size()},
                                           {CKA_TOKEN, &yes, sizeof yes},
                                           {CKA_DECRYPT, &yes, sizeof yes},
                                           {CKA_ENCRYPT, &yes, sizeof yes},
                                           {CKA_VALUE_LEN, &length, sizeof length}}};
    CK_MECHANISM generate{CKM_AES_KEY_GEN, nullptr, 0};
    EXPECT_EQ(calls_->C_GenerateKey(session_, &generate, wanted.data(), wanted.size(), &key),
              CKR_OK);
  }

  // remove destroys the key of that label, and gives back its CKA_ID.
  std::array<CK_BYTE, 16> remove(std::string label) {
    CK_ATTRIBUTE name{CKA_LABEL, label.data(), label.size()};
    CK_OBJECT_HANDLE key = 0;
    CK_ULONG count = 0;
    EXPECT_EQ(calls_->C_FindObjectsInit(session_, &name, 1), CKR_OK);
    EXPECT_EQ(calls_->C_FindObjects(session_, &key, 1, &count), CKR_OK);
    EXPECT_EQ(calls_->C_FindObjectsFinal(session_), CKR_OK);
    EXPECT_EQ(count, 1U);
    std::array<CK_BYTE, 16> id{};
    CK_ATTRIBUTE identity{CKA_ID, id.data(), id.size()};
    EXPECT_EQ(calls_->C_GetAttributeValue(session_, key, &identity, 1), CKR_OK);
    EXPECT_EQ(calls_->C_DestroyObject(session_, key), CKR_OK);
    return id;
  }

 private:
  CK_FUNCTION_LIST* calls_ = nullptr;
  CK_SESSION_HANDLE session_ = 0;
};

TEST(WrongKey, IsRefusedBeforeAnythingIsDone) {
  const TestSite site;
  KeyForger(site, "issuing").replace("fugo-linkage-aes256-v1");
  write_file(site.scratch() / "request",
             "#fugo-request,version=1,id=J1,kind=issue,records=1\n"
             "processing_number,agency_code,resident_code\n1,131016,24727059608\n");
  const auto issued = site.run({"--json", "issue", (site.scratch() / "request").string(), "--out",
                                (site.scratch() / "answers").string()});
  EXPECT_EQ(issued.exit_code, 1) << issued.err;
  EXPECT_EQ(issued.json()["error"]["code"], "refused");
  EXPECT_THAT(issued.err, HasSubstr("fugo-linkage-aes256-v1"));
  EXPECT_THAT(issued.err, HasSubstr("nothing was applied"));
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "answers/J1"));
}

TEST(WrongKey, IsFoundByVerify) {
  const TestSite site;
  KeyForger(site, "linking").replace("fugo-record-aes256-v1");
  const auto verified = site.run({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 5) << verified.out << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("fugo-record-aes256-v1"));
  EXPECT_THAT(verified.out, HasSubstr("linking token"));
}

constexpr const char* kWrapKey = "fugo-data-wrap-aes256-v1";

TEST(WrongKey, AWrapKeyOfWrongAttributesOrNoneIsAFindingOfVerify) {
  const TestSite site;
  KeyForger(site, "issuing").replace(kWrapKey);
  const auto replaced = site.run({"--json", "verify"});
  EXPECT_EQ(replaced.exit_code, 5) << replaced.out << replaced.err;
  EXPECT_THAT(replaced.out, HasSubstr(kWrapKey));
  EXPECT_THAT(replaced.out, HasSubstr("issuing token"));
  EXPECT_EQ(replaced.json()["sound"], false);
  KeyForger(site, "issuing").remove(kWrapKey);
  const auto removed = site.run({"--json", "verify"});
  EXPECT_EQ(removed.exit_code, 5) << removed.out << removed.err;
  EXPECT_THAT(removed.out, HasSubstr(kWrapKey));
}

TEST(WrongKey, IsShownByTheListOfKeysBesideTheOthers) {
  const TestSite site;
  KeyForger(site, "issuing").remove("fugo-linkage-aes256-v1");
  KeyForger(site, "issuing").replace("fugo-record-aes256-v1");
  const auto listed = site.run({"--json", "keys", "list"});
  EXPECT_EQ(listed.exit_code, 1) << listed.err;
  ASSERT_EQ(listed.json()["keys"].size(), 10U) << listed.out << listed.err;
  const auto document = listed.json();
  for (const auto& key : document["keys"]) {
    const bool wrong =
        key["label"] == "fugo-linkage-aes256-v1" || key["label"] == "fugo-record-aes256-v1";
    EXPECT_EQ(key["as_expected"], !wrong) << key;
  }
}

}  // namespace
}  // namespace fugo::test
