// A token that is lost and rebuilt from the recovery packages: which keys come back, what is
// refused, and who must agree.
#include <gmock/gmock.h>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// RecoverySite has people with symbols at two agencies, under the keys of the first ceremony.
class RecoverySite : public ::testing::Test {
 protected:
  void SetUp() override {
    symbols_ = issue_everybody(site_, 20, {"131016", "472018"});
    digest_ = site_.run({"digest"}).out;
  }
  [[nodiscard]] fs::path private_key() const {
    return site_.directory() / "recovery/recovery-private.pem";
  }
  // lose empties a token and makes a new one of the same label.
  void lose(const std::string& role) const {
    make_token(site_.directory() / "tokens" / role, "fugo-" + role);
  }
  [[nodiscard]] CommandResult recover(const std::string& role,
                                      const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--json", "keys", "recover", "--role", role};
    if (more.empty()) arguments.insert(arguments.end(), {"--private-key", private_key().string()});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.run(arguments);
  }
  // expect_as_before: same digest, same keys, same symbols for the same people.
  void expect_as_before(const std::string& id) const {
    const auto verified = site_.run({"verify"});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
    EXPECT_EQ(site_.run({"digest"}).out, digest_);
    const auto again =
        run_kind(site_, id, "issue", request_text(id, {{"1", "131016", resident_code(7)}}));
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_THAT(read_file(site_.scratch() / "out" / id / "131016.csv"),
                HasSubstr("1," + symbols_.at("131016").at(7) + ",1,existing"));
    EXPECT_EQ(link_one(site_, symbols_.at("131016").at(7), "131016", "472018"),
              "ok," + symbols_.at("472018").at(7));
  }
  KeySite site_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;
  std::string digest_;
};

TEST_F(RecoverySite, LaterVersionsComeBackAndDestroyedOnesDoNot) {
  site_.make_retired("record");
  std::vector<std::string> destroy = {"keys", "destroy"};
  const auto listed = site_.run({"--json", "keys", "list"}).json()["keys"];
  for (const auto& key : listed)
    if (key["state"] == "retired") destroy.push_back(key["label"]);
  ASSERT_EQ(destroy.size(), 4U);
  destroy.insert(destroy.end(), {"--out", (site_.scratch() / "s.json").string()});
  const auto destroyed = site_.run(destroy);
  ASSERT_EQ(destroyed.exit_code, 0) << destroyed.err;
  ASSERT_EQ(site_.run({"keys", "create", "--purpose", "agency"}).exit_code, 0);
  const auto before = site_.objects("issuing");
  lose("issuing");
  const auto done = recover("issuing");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(site_.objects("issuing"), before);
  EXPECT_THAT(done.out, HasSubstr("fugo-agency-aes256-v2"));
  EXPECT_THAT(done.out, ::testing::Not(HasSubstr("fugo-record-aes256-v2")));
  expect_as_before("B1");
}

TEST_F(RecoverySite, PackagesThatAreMissingWrongOrOfAnotherSiteAreSaidAndUndone) {
  ASSERT_EQ(site_.run({"keys", "create", "--purpose", "agency"}).exit_code, 0);
  lose("linking");
  const auto first = (site_.directory() / "recovery/recovery-package.json").string();
  const auto lacking =
      recover("linking", {"--private-key", private_key().string(), "--package", first});
  EXPECT_EQ(lacking.exit_code, 1);
  EXPECT_THAT(lacking.err, HasSubstr("no package has fugo-agency-aes256-v2"));
  const KeySite other(std::vector<std::string>{});
  const auto strange = other.directory() / "recovery/recovery-package.json";
  EXPECT_EQ(
      recover("linking", {"--private-key", private_key().string(), "--package", strange.string()})
          .exit_code,
      1);
  EXPECT_EQ(recover("linking", {"--private-key",
                                (other.directory() / "recovery/recovery-private.pem").string()})
                .exit_code,
            1);
  // Two keys in one another's place are found by their fingerprints, and do not stay.
  auto package = nlohmann::json::parse(read_file(first));
  std::swap(package["keys"][2]["wrapped"], package["keys"][6]["wrapped"]);
  const auto swapped = site_.scratch() / "swapped.json";
  write_file(swapped, package.dump());
  const auto second = [&] {
    for (const auto& entry : fs::directory_iterator(site_.directory() / "recovery"))
      if (entry.path().filename().string().find("agency") != std::string::npos)
        return entry.path().string();
    return std::string();
  }();
  lose("linking");
  const auto wrong = recover("linking", {"--private-key", private_key().string(), "--package",
                                         swapped.string(), "--package", second});
  EXPECT_EQ(wrong.exit_code, 5) << wrong.err;
  EXPECT_EQ(site_.objects("linking"), 0U);
  const auto done = recover("linking");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  expect_as_before("C1");
}

TEST_F(RecoverySite, AnUnreadablePackageIsLeftOutAndTold) {
  const auto broken = site_.directory() / "recovery/recovery-package-broken.json";
  write_file(broken, "{}");
  lose("linking");
  const auto done = recover("linking");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.json()["unread"][0].get<std::string>(), HasSubstr("recovery-package-broken"));
  expect_as_before("U1");
  lose("linking");
  EXPECT_EQ(
      recover("linking", {"--private-key", private_key().string(), "--package", broken.string()})
          .exit_code,
      5);
}

TEST_F(RecoverySite, WhereCustodiansAreNamedTwoOfThemAgree) {
  const Custodians custodians(site_.scratch(), {"ann", "bob"});
  custodians.configure(site_);
  lose("linking");
  const auto alone = recover("linking");
  EXPECT_EQ(alone.exit_code, 1) << alone.err;
  EXPECT_THAT(alone.err, HasSubstr("two custodians must approve"));
  EXPECT_EQ(site_.objects("linking"), 0U);
  const auto request = (site_.scratch() / "request").string();
  ASSERT_EQ(
      site_.run({"keys", "request", "recover", "--role", "linking", "--out", request}).exit_code,
      0);
  auto approved = custodians.approved(request, "ann", "bob");
  approved.insert(approved.end(), {"--private-key", private_key().string()});
  EXPECT_EQ(recover("standby", approved).exit_code, 1) << "it was for another role";
  const auto done = recover("linking", approved);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(site_.journal("keys.recover").at(0)["details"]["custodians"],
            nlohmann::json::array({"ann", "bob"}));
  lose("linking");
  EXPECT_EQ(recover("linking", approved).exit_code, 1) << "once";
}

TEST_F(RecoverySite, CustodiansGiveTheKeyBackWhenEnoughOfThemDo) {
  const auto at = [&](const std::string& name) { return (site_.scratch() / name).string(); };
  std::vector<std::string> escrow = {"keys",  "escrow",        "--needed",
                                     "2",     "--private-key", private_key().string(),
                                     "--out", at("escrow")};
  for (const std::string name : {"ann", "bob", "eve"}) {
    ASSERT_EQ(shell("openssl req -x509 -newkey rsa:3072 -nodes -days 2 -subj /CN=" + name +
                    " -keyout '" + at(name + ".key") + "' -out '" + at(name + ".pem") + "'"),
              0);
    escrow.insert(escrow.end(), {"--custodian", name + "=" + at(name + ".pem")});
  }
  const auto made = site_.run(escrow);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  // The public key is that of the private one, and no share can be read as it lies there.
  EXPECT_EQ(read_file(at("escrow/recovery-public.pem")),
            read_file(site_.directory() / "recovery/recovery-public.pem"));
  for (const std::string name : {"ann", "bob", "eve"}) {
    EXPECT_THAT(read_file(at("escrow/" + name + ".share.p7m")), HasSubstr("BEGIN CMS"));
    ASSERT_EQ(shell("openssl cms -decrypt -inform PEM -in '" + at("escrow/" + name + ".share.p7m") +
                    "' -inkey '" + at(name + ".key") + "' -out '" + at(name + ".share") + "'"),
              0);
  }
  fs::remove(private_key());
  lose("issuing");
  EXPECT_EQ(recover("issuing", {"--share", at("ann.share")}).exit_code, 2);
  EXPECT_EQ(recover("issuing", {"--share", at("ann.share"), "--share", at("ann.share")}).exit_code,
            2);
  EXPECT_EQ(recover("issuing", {"--share", at("escrow/ann.share.p7m")}).exit_code, 2);
  const auto done = recover("issuing", {"--share", at("eve.share"), "--share", at("ann.share")});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  expect_as_before("D1");
}

TEST_F(RecoverySite, AnEscrowMakesAKeyThatNobodyHasAlone) {
  const auto at = [&](const std::string& name) { return (site_.scratch() / name).string(); };
  ASSERT_EQ(shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                  "-subj /CN=ann -keyout '" +
                  at("a.key") + "' -out '" + at("a.pem") + "'"),
            0);
  const auto made =
      run_fugo({"keys", "escrow", "--needed", "2", "--custodian", "ann=" + at("a.pem"),
                "--custodian", "bob=" + at("a.pem"), "--out", at("new")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(shell("grep -rl 'PRIVATE KEY' '" + at("new") + "'"), 256);
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--needed", "1"},
                                              {"--needed", "3"},
                                              {"--custodian", "ann=" + at("a.pem")},
                                              {"--custodian", "../x=" + at("a.pem")},
                                              {"--custodian", "joe=" + at("a.key")}}) {
    std::vector<std::string> arguments = {
        "keys",  "escrow", "--custodian", "ann=" + at("a.pem"), "--custodian", "bob=" + at("a.pem"),
        "--out", at("bad")};
    arguments.insert(arguments.end(), bad.begin(), bad.end());
    EXPECT_EQ(run_fugo(arguments).exit_code, 2);
    EXPECT_FALSE(fs::exists(at("bad")));
  }
}

}  // namespace
}  // namespace fugo::test
