// Tokens that are lost where there are two sites: each is rebuilt, and the country is not lost.
#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kHmacAgency = "131130";  // beside those of two sites: one-way and XTS

// LostSites has everybody at agencies of every method, in what the second site followed.
class LostSites : public TwoSites {
 public:
  LostSites() : expected_(symbols()) {
    expected_[kHmacAgency] = issue_all(first().config(), "hmac", {kHmacAgency})[kHmacAgency];
    EXPECT_EQ(expected_[kHmacAgency].size(), kPeople);
    EXPECT_EQ(ship().exit_code, 0);
    EXPECT_EQ(found().exit_code, 0);
  }
  [[nodiscard]] fs::path token(const std::string& role) const {
    return first().directory() / "tokens" / role;
  }
  // lose empties tokens and makes new ones of the same labels.
  void lose(const std::vector<std::string>& roles) const {
    for (const auto& role : roles) make_token(token(role), "fugo-" + role);
  }
  [[nodiscard]] CommandResult recover(const std::string& role) const {
    return at_second({"--json", "keys", "recover", "--role", role, "--private-key",
                      (first().directory() / "recovery/recovery-private.pem").string()});
  }
  // configure gives the second site a section for a token.
  void configure(const std::string& role) const {
    const auto config = second() / "fugo.toml";
    const auto at = token(role).string();
    write_file(config, read_file(config) + "\n[hsm." + role + "]\nuri = \"pkcs11:token=fugo-" +
                           role + "\"\npin_file = \"" + at + "/pin\"\nsofthsm_conf = \"" + at +
                           "/softhsm2.conf\"\n");
  }
  // expect_same_symbols asks the second site for everybody's symbols again, and links them all.
  void expect_same_symbols(const std::string& id) const {
    std::vector<std::string> agencies;
    for (const auto& [agency, symbols] : expected_) agencies.push_back(agency);
    EXPECT_EQ(issue_all(second() / "fugo.toml", id, agencies), expected_) << id;
    for (const auto& from : agencies) {
      if (from == "472018") continue;
      std::string asked;
      for (const auto& [resident, symbol] : expected_.at(from)) asked += symbol + "\n";
      asked.pop_back();  // link_second ends the last line
      std::size_t ok = 0;
      for (const auto& fields : split_lines(link_second(asked, from))) {
        if (fields.at(1) != "ok") continue;
        EXPECT_EQ(fields.at(2), expected_.at("472018").at(ok)) << from << " " << ok;
        ++ok;
      }
      EXPECT_EQ(ok, kPeople) << from;
    }
  }

 private:
  using Symbols = std::map<std::string, std::map<std::size_t, std::string>>;
  [[nodiscard]] Symbols issue_all(const fs::path& config, const std::string& id,
                                  const std::vector<std::string>& agencies) const {
    std::vector<TrialRow> rows;
    for (std::size_t i = 0; i < kPeople; ++i)
      for (const auto& agency : agencies)
        rows.push_back({"PN" + std::to_string(i), agency, resident_code(i)});
    const auto request = scratch() / (id + ".csv"), out = config.parent_path() / "answers";
    write_file(request, request_text(id, rows));
    const auto done =
        run_fugo({"--config", config.string(), "issue", request.string(), "--out", out.string()});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    Symbols found;
    if (done.exit_code != 0) return found;
    for (const auto& [agency, answers] : read_answers(out / id))
      for (const auto& [number, answer] : answers)
        found[agency][std::stoul(number.substr(2))] = answer.symbol;
    return found;
  }
  Symbols expected_;
};

TEST(LostTokens, IssuingAndLinkingAreRebuiltFromThePackagesWhileTheStandbySiteWorks) {
  const LostSites sites;
  const auto digest = sites.digest_first();
  // The first site is gone, with both its tokens.
  sites.lose({"issuing", "linking"});
  fs::remove_all(sites.first().directory() / "ledger");
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), digest);
  sites.expect_same_symbols("A1");
  // New tokens of its own, filled from the packages, and each role has its own again.
  for (const std::string role : {"issuing", "linking"}) {
    sites.configure(role);
    const auto done = sites.recover(role);
    ASSERT_EQ(done.exit_code, 0) << role << done.err;
    EXPECT_EQ(done.json()["journaled"], true);
  }
  const auto verified = sites.at_second({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out;
  EXPECT_EQ(sites.digest_second(), digest);
  sites.expect_same_symbols("A2");
}

TEST(LostTokens, WithoutThePackagesTheStandbySiteWorksAloneAndOtherTokensStayEmpty) {
  const LostSites sites;
  const auto digest = sites.digest_first();
  sites.lose({"issuing", "linking"});
  fs::remove_all(sites.first().directory() / "ledger");
  for (const auto& entry : fs::directory_iterator(sites.first().directory() / "recovery"))
    if (entry.path().extension() == ".json") fs::remove(entry.path());
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), digest);
  sites.expect_same_symbols("D1");
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  // No key comes out of the standby token, and no new one is made beside it alone.
  const auto alone = sites.at_second({"keys", "create", "--purpose", "record"});
  EXPECT_EQ(alone.exit_code, 2) << alone.err;
  EXPECT_THAT(alone.err, HasSubstr("what is missing: [hsm.issuing], [hsm.linking]"));
  // Nor are there any for new tokens, and without their keys these are of no use.
  const auto config = read_file(sites.second() / "fugo.toml");
  for (const std::string role : {"issuing", "linking"}) {
    sites.configure(role);
    const auto refused = sites.recover(role);
    EXPECT_EQ(refused.exit_code, 1) << role << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("there is no recovery package"));
  }
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"digest"},
        {"keys", "create", "--purpose", "record"},
        {"regenerate", "plan", "--what", "linkage,agency,record,ledger", "--reason", "new keys"}})
    EXPECT_NE(sites.at_second(words).exit_code, 0) << words.front();
  write_file(sites.second() / "fugo.toml", config);
  EXPECT_EQ(sites.digest_second(), digest);
  sites.expect_same_symbols("D2");
}

TEST(LostTokens, TheStandbyTokenIsRebuiltAndAllOfThemAre) {
  const LostSites sites;
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto digest = sites.digest_first();
  sites.lose({"issuing", "linking", "standby"});
  EXPECT_NE(sites.follow().exit_code, 0);
  const auto done = sites.recover("standby");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["journaled"], false);  // the ledger is the first site's to write
  ASSERT_EQ(sites.follow().exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), digest);
  sites.expect_same_symbols("B1");
}

TEST(LostTokens, AllOfThemAndTheFirstLedgerAndTheSecondSiteIsBehind) {
  const LostSites sites;
  const auto lost = sites.issue_first("N1", 500);  // no shipment has it
  sites.lose({"issuing", "linking", "standby"});
  fs::remove_all(sites.first().directory() / "ledger");
  EXPECT_NE(sites.take_over().exit_code, 0);
  const auto done = sites.recover("standby");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  ASSERT_EQ(sites.take_over().exit_code, 0);
  sites.expect_same_symbols("C1");
  EXPECT_EQ(sites.issue_second("C2", 500), lost);
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
