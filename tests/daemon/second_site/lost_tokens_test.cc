// Tokens that are lost where there are two sites: each is rebuilt, and the country is not lost.
#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

fs::path token(const TwoSites& sites, const std::string& role) {
  return sites.first().directory() / "tokens" / role;
}
CommandResult recover(const TwoSites& sites, const std::string& role) {
  return sites.at_second({"--json", "keys", "recover", "--role", role, "--private-key",
                          (sites.first().directory() / "recovery/recovery-private.pem").string()});
}
void expect_same_symbols(const TwoSites& sites, const std::string& id) {
  const auto symbol = sites.symbols().at("131016").at(7);
  EXPECT_EQ(sites.issue_second(id, 7), symbol);
  EXPECT_THAT(sites.link_second(symbol), HasSubstr(",ok," + sites.symbols().at("472018").at(7)));
}

TEST(LostTokens, IssuingAndLinkingAreRebuiltFromTheStandbySite) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto digest = sites.digest_first();
  // The first site is gone, with both its tokens.
  for (const char* role : {"issuing", "linking"}) make_token(token(sites, role), "gone");
  fs::remove_all(sites.first().directory() / "ledger");
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), digest);
  expect_same_symbols(sites, "A1");
  // New tokens of its own, filled from the packages, and each role has its own again.
  const auto config = sites.second() / "fugo.toml";
  for (const std::string role : {"issuing", "linking"}) {
    make_token(token(sites, role), "fugo-" + role);
    const auto at = token(sites, role).string();
    write_file(config, read_file(config) + "\n[hsm." + role + "]\nuri = \"pkcs11:token=fugo-" +
                           role + "\"\npin_file = \"" + at + "/pin\"\nsofthsm_conf = \"" + at +
                           "/softhsm2.conf\"\n");
    const auto done = recover(sites, role);
    ASSERT_EQ(done.exit_code, 0) << role << done.err;
    EXPECT_EQ(done.json()["journaled"], true);
  }
  const auto verified = sites.at_second({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  EXPECT_EQ(sites.digest_second(), digest);
  expect_same_symbols(sites, "A2");
}

TEST(LostTokens, TheStandbyTokenIsRebuiltAndAllOfThemAre) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto digest = sites.digest_first();
  for (const char* role : {"issuing", "linking", "standby"})
    make_token(token(sites, role), std::string("fugo-") + role);
  EXPECT_NE(sites.follow().exit_code, 0);
  const auto done = recover(sites, "standby");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["journaled"], false);  // the ledger is the first site's to write
  ASSERT_EQ(sites.follow().exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), digest);
  expect_same_symbols(sites, "B1");
}

TEST(LostTokens, AllOfThemAndTheFirstLedgerAndTheSecondSiteIsBehind) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto lost = sites.issue_first("N1", 500);  // no shipment has it
  for (const char* role : {"issuing", "linking", "standby"})
    make_token(token(sites, role), std::string("fugo-") + role);
  fs::remove_all(sites.first().directory() / "ledger");
  EXPECT_NE(sites.take_over().exit_code, 0);
  const auto done = recover(sites, "standby");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  ASSERT_EQ(sites.take_over().exit_code, 0);
  expect_same_symbols(sites, "C1");
  EXPECT_EQ(sites.issue_second("C2", 500), lost);
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
