// Who has every file of a site but what unlocks the issuing role cannot issue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Roles is a site from which everything that opens an issuing role was taken: the PINs of the
// issuing and the standby token, which has the same keys, of their security officers, who could
// set a new PIN, and the recovery key, which opens the package with all keys.
class RolesTest : public testing::Test {
 protected:
  RolesTest() {
    issue(site_.config(), "FIRST", "131016", 0);
    pin_ = read_file(token("issuing") / "pin");
    for (const char* role : {"issuing", "standby"})
      for (const char* name : {"pin", "so-pin"}) fs::remove(token(role) / name);
    fs::remove(site_.directory() / "recovery/recovery-private.pem");
    write_config(site_.scratch() / "linking.toml", section("linking", "linking", "linking"));
    before_ = digest();
  }
  fs::path token(const std::string& name) const { return site_.directory() / "tokens" / name; }

  // section is [hsm.ROLE] with one token's objects and another's PIN.
  std::string section(const std::string& role, const std::string& objects,
                      const std::string& pin) const {
    return "\n[hsm." + role + "]\nuri = \"pkcs11:token=fugo-" + objects + "\"\npin_file = \"" +
           (token(pin) / "pin").string() + "\"\nsofthsm_conf = \"" +
           (token(objects) / "softhsm2.conf").string() + "\"\n";
  }
  void write_config(const fs::path& path, const std::string& sections) const {
    write_file(path, "environment = \"test\"\n[ledger]\ndirectory = \"" +
                         (site_.directory() / "ledger").string() +
                         "\"\n[hsm]\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\n" + sections);
  }
  CommandResult issue(const fs::path& config, const std::string& id, const std::string& agency,
                      int expected = -1) const {
    write_file(site_.scratch() / id,
               "#fugo-request,version=1,id=" + id +
                   ",kind=issue,records=1\nprocessing_number,agency_code,resident_code\n1," +
                   agency + ",24727059608\n");
    auto result =
        run_fugo({"--json", "--config", config.string(), "issue", (site_.scratch() / id).string(),
                  "--out", (site_.scratch() / "answers").string()});
    EXPECT_TRUE(expected < 0 || result.exit_code == expected) << result.err;
    return result;
  }
  std::string digest() const {
    const auto result =
        run_fugo({"--json", "--config", (site_.scratch() / "linking.toml").string(), "digest"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json()["digest"];
  }
  // refused issues by a configuration of these sections, which must fail and change nothing.
  std::string refused(const std::string& sections, int exit_code) const {
    const auto config = site_.scratch() / "try.toml";
    write_config(config, sections);
    const auto result = issue(config, "SECOND", "472018");
    EXPECT_EQ(result.exit_code, exit_code) << sections << result.err;
    EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
    EXPECT_THAT(result.err, Not(HasSubstr(pin_.substr(0, pin_.find('\n')))));
    EXPECT_FALSE(fs::exists(site_.scratch() / "answers/SECOND")) << sections;
    EXPECT_EQ(digest(), before_) << sections;
    return result.err;
  }

  const TestSite site_;
  std::string before_, pin_;
};

TEST_F(RolesTest, TheLinkingPinAndAllFilesIssueNothing) {
  EXPECT_THAT(refused(section("linking", "linking", "linking"), 2),
              HasSubstr("there is no section [hsm.issuing]"));
  // The configuration as it is, without the PIN's file.
  EXPECT_THAT(refused(section("issuing", "issuing", "issuing"), 2), HasSubstr("pin"));
  EXPECT_THAT(refused(section("issuing", "standby", "standby"), 2), HasSubstr("pin"));
  // The issuing token with the linking PIN.
  EXPECT_THAT(refused(section("issuing", "issuing", "linking"), 4), HasSubstr("CKR_PIN_INCORRECT"));
  EXPECT_THAT(refused(section("issuing", "standby", "linking"), 4), HasSubstr("CKR_PIN_INCORRECT"));
  // The linking token in the issuing role: it opens the ledger, and has no key to derive by.
  EXPECT_THAT(refused(section("issuing", "linking", "linking"), 1),
              HasSubstr("fugo-linkage-aes256-v1"));
  // In every role at once.
  EXPECT_THAT(
      refused(section("issuing", "linking", "linking") + section("standby", "linking", "linking") +
                  section("linking", "linking", "linking"),
              1),
      HasSubstr("fugo-linkage-aes256-v1"));
}

// The objects of the issuing token beside those of the linking one, under one configuration of
// SoftHSM: files can be moved at will, but not opened.
TEST_F(RolesTest, TheIssuingTokensFilesUnderTheLinkingTokensRoofIssueNothing) {
  const auto objects = token("linking") / "objects";
  fs::copy(token("issuing") / "objects", objects, fs::copy_options::recursive);
  auto both = section("issuing", "issuing", "linking");
  const auto issuing = (token("issuing") / "softhsm2.conf").string();
  both.replace(both.find(issuing), issuing.size(), (token("linking") / "softhsm2.conf").string());
  EXPECT_THAT(refused(both, 4), HasSubstr("CKR_PIN_INCORRECT"));
  // Keys of the issuing token put into the linking token's own folder: they are encrypted under
  // what that token's PIN opens, which is not the linking PIN.
  fs::path from, to;
  for (const auto& entry : fs::directory_iterator(objects))
    (fs::exists(token("issuing") / "objects" / entry.path().filename()) ? from : to) = entry.path();
  for (const auto& entry : fs::directory_iterator(from))
    if (entry.path().filename().string().rfind("token.", 0) != 0)
      fs::copy(entry.path(), to / entry.path().filename(), fs::copy_options::skip_existing);
  fs::remove_all(from);
  const auto config = site_.scratch() / "try.toml";
  write_config(config, section("issuing", "linking", "linking"));
  const auto result = issue(config, "SECOND", "472018");
  EXPECT_THAT(result.exit_code, AnyOf(1, 4)) << result.err;
  EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
  EXPECT_FALSE(fs::exists(site_.scratch() / "answers/SECOND"));
  fs::remove_all(objects);
  fs::copy(TestSite::pristine().directory() / "tokens/linking/objects", objects,
           fs::copy_options::recursive);
  EXPECT_EQ(digest(), before_);
}

}  // namespace
}  // namespace fugo::test
