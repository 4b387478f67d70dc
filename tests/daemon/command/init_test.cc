// fugo init: what it makes, what it refuses, and that it leaves nothing half made.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777U;
}

std::size_t names_in(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

// Without the free space of the disk, which others change.
nlohmann::json status_of(const TestSite& site) {
  auto status = site.run({"--json", "status"}).json();
  status.erase("free_bytes");
  return status;
}

TEST(Init, MakesEverythingAndSaysWhere) {
  const TemporaryDirectory home;
  const auto site = home.path() / "site";
  const auto made = run_fugo({"init", "--dir", site.string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  for (const char* name : {"fugo.toml", "ledger", "tokens", "recovery", "for trial"})
    EXPECT_THAT(made.out, HasSubstr(name));
  EXPECT_EQ(mode_of(site), 0700U);
  for (const char* role : {"issuing", "linking", "standby"}) {
    const auto token = site / "tokens" / role;
    EXPECT_EQ(mode_of(token / "pin"), 0600U);
    EXPECT_EQ(mode_of(token / "so-pin"), 0600U);
    EXPECT_EQ(mode_of(token), 0700U);
    EXPECT_NE(read_file(token / "pin"), read_file(token / "so-pin"));
  }
  EXPECT_EQ(mode_of(site / "recovery/recovery-private.pem"), 0600U);
  EXPECT_TRUE(fs::exists(site / "recovery/recovery-package.json"));
  EXPECT_THAT(read_file(site / "recovery/README"), HasSubstr("DOES NOT BELONG HERE"));
  EXPECT_EQ(names_in(home.path()), 1U) << "something was left beside the site";

  const auto status = run_fugo({"--json", "status"}, {{}, site, {}});
  ASSERT_EQ(status.exit_code, 0) << status.err;
  EXPECT_EQ(status.json()["environment"], "test");
  EXPECT_EQ(status.json()["people"], 0);
  const auto keys = run_fugo({"--json", "keys", "list"}, {{}, site, {}});
  ASSERT_EQ(keys.exit_code, 0) << keys.err;
  EXPECT_EQ(keys.json()["keys"].size(), 10U);
  const auto document = keys.json();
  for (const auto& key : document["keys"]) {
    EXPECT_EQ(key["state"], "active");
    EXPECT_EQ(key["as_expected"], true) << key;
  }
}

TEST(Init, TakesAnEmptyDirectoryAndRemovesWhatACrashLeft) {
  const TemporaryDirectory home;
  const auto site = home.path() / "site";
  fs::create_directory(site);
  fs::create_directory(home.path() / ".site.tmp");
  write_file(home.path() / ".site.tmp/left", "over");
  const auto made = run_fugo({"--json", "init", "--dir", site.string() + "/"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["directory"], site.string());
  EXPECT_EQ(made.json()["configuration"], (site / "fugo.toml").string());
  EXPECT_EQ(made.json()["keys"], 10);
  EXPECT_EQ(names_in(home.path()), 1U);
  EXPECT_FALSE(fs::exists(site / "left"));
}

TEST(Init, ASecondTimeIsRefusedAndChangesNothing) {
  const TestSite site;
  const auto before = status_of(site);
  const auto again = run_fugo({"init", "--dir", site.directory().string()});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("exists already"));
  EXPECT_THAT(again.err, HasSubstr("nothing was made"));
  EXPECT_EQ(status_of(site), before);
}

TEST(Init, ADirectoryInUseIsRefused) {
  const TemporaryDirectory home;
  write_file(home.path() / "mine", "kept");
  const auto made = run_fugo({"--json", "init", "--dir", home.path().string()});
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_EQ(made.json()["error"]["code"], "refused");
  EXPECT_EQ(read_file(home.path() / "mine"), "kept");
  EXPECT_EQ(names_in(home.path()), 1U);
}

TEST(Init, AFailureLeavesNothing) {
  const TemporaryDirectory home;
  const auto made = run_fugo(
      {"init", "--dir", (home.path() / "site").string(), "--module", "/nonexistent/module.so"});
  EXPECT_EQ(made.exit_code, 4);
  EXPECT_THAT(made.err, HasSubstr("/nonexistent/module.so"));
  EXPECT_EQ(names_in(home.path()), 0U);
}

TEST(Init, ProductionWantsTokensOfItsOwn) {
  const TemporaryDirectory home;
  const auto made =
      run_fugo({"init", "--dir", (home.path() / "site").string(), "--environment", "production"});
  EXPECT_EQ(made.exit_code, 2);
  EXPECT_THAT(made.err, HasSubstr("--issuing-uri"));
  EXPECT_EQ(names_in(home.path()), 0U);
}

TEST(Init, ProductionRefusesSoftHsm) {
  const TestSite& tokens = TestSite::pristine();
  const TemporaryDirectory home;
  const auto token = [&](const char* name) { return tokens.directory() / "tokens" / name; };
  const auto pin = (token("issuing") / "pin").string();
  const RunOptions there{
      {{"SOFTHSM2_CONF", (token("issuing") / "softhsm2.conf").string()}}, {}, {}};
  const auto made = run_fugo({"init",
                              "--dir",
                              (home.path() / "site").string(),
                              "--environment",
                              "production",
                              "--module",
                              "/usr/lib/softhsm/libsofthsm2.so",
                              "--issuing-uri",
                              "pkcs11:token=fugo-issuing",
                              "--issuing-pin-file",
                              pin,
                              "--linking-uri",
                              "pkcs11:token=fugo-issuing",
                              "--linking-pin-file",
                              pin,
                              "--standby-uri",
                              "pkcs11:token=fugo-issuing",
                              "--standby-pin-file",
                              pin,
                              "--issuing-so-pin-file",
                              pin,
                              "--recovery-public-key",
                              (tokens.directory() / "recovery/recovery-public.pem").string()},
                             there);
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_THAT(made.err, HasSubstr("SoftHSM is refused in production"));
  EXPECT_EQ(names_in(home.path()), 0U);
}

TEST(Init, ProductionRefusesATestMethod) {
  const TemporaryDirectory home;
  const auto made = run_fugo({"init",
                              "--dir",
                              (home.path() / "site").string(),
                              "--environment",
                              "production",
                              "--module",
                              "m",
                              "--issuing-uri",
                              "pkcs11:token=a",
                              "--issuing-pin-file",
                              "p",
                              "--linking-uri",
                              "pkcs11:token=b",
                              "--linking-pin-file",
                              "p",
                              "--standby-uri",
                              "pkcs11:token=c",
                              "--standby-pin-file",
                              "p",
                              "--issuing-so-pin-file",
                              "p",
                              "--recovery-public-key",
                              "k",
                              "--linkage-method",
                              "test-16"});
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_THAT(made.err, HasSubstr("test methods are refused in production"));
}

TEST(Init, OneTokenForTwoRolesIsRefusedBeforeAnythingIsMade) {
  const TestSite& tokens = TestSite::pristine();
  const TemporaryDirectory home;
  const auto token = tokens.directory() / "tokens/issuing";
  const RunOptions there{{{"SOFTHSM2_CONF", (token / "softhsm2.conf").string()}}, {}, {}};
  std::vector<std::string> words = {"init", "--dir", (home.path() / "site").string(), "--module",
                                    "/usr/lib/softhsm/libsofthsm2.so"};
  for (const std::string role : {"issuing", "linking", "standby"})
    words.insert(words.end(), {"--" + role + "-uri", "pkcs11:token=fugo-issuing",
                               "--" + role + "-pin-file", (token / "pin").string()});
  words.insert(words.end(), {"--issuing-so-pin-file", (token / "so-pin").string()});
  const auto made = run_fugo(words, there);
  EXPECT_EQ(made.exit_code, 2) << made.err;
  EXPECT_THAT(made.err, HasSubstr("was given for two roles"));
  EXPECT_THAT(made.err, HasSubstr("nothing was made"));
  EXPECT_EQ(names_in(home.path()), 0U);
}

TEST(Init, OneTokenAloneIsNotEnough) {
  const TemporaryDirectory home;
  const auto made = run_fugo({"init", "--dir", (home.path() / "site").string(), "--module", "m",
                              "--issuing-uri", "pkcs11:token=a", "--issuing-pin-file", "p"});
  EXPECT_EQ(made.exit_code, 2);
  EXPECT_THAT(made.err, HasSubstr("each of the three tokens"));
}

TEST(Init, AnUnknownMethodIsWrongUsage) {
  const TemporaryDirectory home;
  const auto made = run_fugo(
      {"init", "--dir", (home.path() / "site").string(), "--linkage-method", "xts-aes256"});
  EXPECT_EQ(made.exit_code, 2);
  EXPECT_THAT(made.err, HasSubstr("--linkage-method"));
}

}  // namespace
}  // namespace fugo::test
