// Tokens that are lost where keys were renewed: whatever a symbol depends on comes back, for
// everybody and every method.
#include <gmock/gmock.h>

#include <set>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

using ::testing::IsSupersetOf;
namespace fs = std::filesystem;

constexpr std::size_t kPeople = 20;
const std::vector<std::string> kTokens = {"issuing", "linking", "standby"};

// RenewedSite has people at agencies of every method, who were there before the linkage and agency
// keys were renewed. The old keys are still needed: old symbols are accepted, and people start from
// the old linkage key. A further key is made and not in use yet.
class RenewedSite : public ::testing::Test {
 protected:
  void SetUp() override {
    old_ = issue_everybody(site_, kPeople, kHolders);
    const auto run = plan_run(site_, "linkage,agency");
    ASSERT_EQ(step(site_, "run", run).exit_code, 0);
    ASSERT_EQ(step(site_, "commit", run).exit_code, 0);
    now_ = translate(site_, run, old_);
    newcomer_ = issue_newcomer("N0");
    ASSERT_EQ(site_.run({"keys", "create", "--purpose", "record"}).exit_code, 0);
    digest_ = site_.run({"digest"}).out;
    keys_ = keys();
    std::set<std::string> states;
    for (const auto& key : keys_) states.insert(key["state"].get<std::string>());
    ASSERT_THAT(states, IsSupersetOf({"active", "pending", "chain", "accepting"}));
  }
  [[nodiscard]] nlohmann::json keys() const {
    return site_.run({"--json", "keys", "list"}).json()["keys"];
  }
  [[nodiscard]] fs::path private_key() const {
    return site_.directory() / "recovery/recovery-private.pem";
  }
  // lose empties a token and makes a new one of the same label.
  void lose(const std::string& role) const {
    make_token(site_.directory() / "tokens" / role, "fugo-" + role);
    ASSERT_EQ(site_.objects(role), 0U);
  }
  [[nodiscard]] CommandResult recover(const std::string& role,
                                      const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"--json", "keys", "recover", "--role", role};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.run(arguments);
  }
  // issue_newcomer issues for somebody who starts from the renewed keys.
  [[nodiscard]] std::map<std::string, std::string> issue_newcomer(const std::string& id) const {
    std::vector<TrialRow> rows;
    for (const auto& agency : kHolders) rows.push_back({"1", agency, resident_code(kPeople)});
    const auto issued = run_kind(site_, id, "issue", request_text(id, rows));
    EXPECT_EQ(issued.exit_code, 0) << issued.err;
    std::map<std::string, std::string> symbols;
    for (const auto& [agency, answers] : read_answers(site_.scratch() / "out" / id))
      symbols[agency] = answers.at("1").symbol;
    return symbols;
  }
  // expect_links links every symbol that an agency has, the old and the new one of each person.
  void expect_links(const std::string& from, const std::string& to, const std::string& id) const {
    std::string asked;
    std::vector<std::string> expected;
    for (const Symbols* symbols : {&old_, &now_})
      for (const auto& [resident, symbol] : symbols->at(from)) {
        asked += symbol + "\n";
        expected.push_back(now_.at(to).at(resident));
      }
    const auto question = site_.scratch() / "asked", answer = site_.scratch() / (id + from);
    write_file(question, asked);
    const auto linked = site_.run(
        {"link", question.string(), "--from", from, "--to", to, "--out", answer.string()});
    ASSERT_EQ(linked.exit_code, 0) << linked.err;
    std::vector<std::string> found;
    for (const auto& fields : split_lines(read_file(answer)))
      if (fields.at(1) == "ok") found.push_back(fields.at(2));
    EXPECT_EQ(found, expected) << from << " to " << to;
  }
  // expect_as_before: same digest, same keys, and for everybody the same symbols and links.
  void expect_as_before(const std::string& id) const {
    expect_sound(site_);
    EXPECT_EQ(site_.run({"digest"}).out, digest_);
    EXPECT_EQ(keys(), keys_);
    expect_same(ask_again(site_, id, kPeople), now_, id);
    EXPECT_EQ(issue_newcomer("N" + id), newcomer_);
    for (std::size_t i = 0; i < kHolders.size(); ++i)
      expect_links(kHolders[i], kHolders[(i + 1) % kHolders.size()], id);
    EXPECT_EQ(site_.run({"digest"}).out, digest_);
  }
  KeySite site_;
  Symbols old_, now_;
  std::map<std::string, std::string> newcomer_;
  std::string digest_;
  nlohmann::json keys_;
};

TEST_F(RenewedSite, EachTokenInTurnAndAllAtOnceComeBack) {
  std::map<std::string, std::size_t> before;
  for (const auto& role : kTokens) before[role] = site_.objects(role);
  int round = 0;
  for (const auto& lost :
       {std::vector<std::string>{"issuing"}, {"linking"}, {"standby"}, kTokens}) {
    for (const auto& role : lost) lose(role);
    if (lost.size() == kTokens.size()) {
      EXPECT_NE(site_.run({"digest"}).exit_code, 0);
    }
    for (const auto& role : lost) {
      const auto done = recover(role, {"--private-key", private_key().string()});
      ASSERT_EQ(done.exit_code, 0) << role << ": " << done.err;
      EXPECT_EQ(site_.objects(role), before[role]) << role;
    }
    expect_as_before("A" + std::to_string(++round));
  }
  EXPECT_EQ(site_.journal("keys.recover").size(), 6U);
  // With everything there it does nothing.
  const auto idle = recover("issuing", {"--private-key", private_key().string()});
  ASSERT_EQ(idle.exit_code, 0) << idle.err;
  EXPECT_TRUE(idle.json()["recovered"].empty());
}

// The worst that can happen: every token and the ledger. There are a backup, the packages, and two
// of three custodians, who have the recovery key together and nobody alone.
TEST_F(RenewedSite, EveryTokenAndTheLedgerComeBackFromABackupByCustodians) {
  const auto at = [&](const std::string& name) { return (site_.scratch() / name).string(); };
  std::vector<std::string> escrow = {"keys",  "escrow",        "--needed",
                                     "2",     "--private-key", private_key().string(),
                                     "--out", at("escrow")};
  for (const std::string name : {"ann", "bob", "eve"}) {
    ASSERT_EQ(shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                    "-subj /CN=" +
                    name + " -keyout '" + at(name + ".key") + "' -out '" + at(name + ".pem") + "'"),
              0);
    escrow.insert(escrow.end(), {"--custodian", name + "=" + at(name + ".pem")});
  }
  ASSERT_EQ(site_.run(escrow).exit_code, 0);
  const auto backup = at("backup");
  ASSERT_EQ(site_.run({"backup", backup}).exit_code, 0);
  fs::remove_all(site_.directory() / "ledger");
  fs::remove(private_key());
  for (const auto& role : kTokens) lose(role);
  for (const std::string name : {"ann", "eve"})
    ASSERT_EQ(shell("openssl cms -decrypt -inform PEM -in '" + at("escrow/" + name + ".share.p7m") +
                    "' -inkey '" + at(name + ".key") + "' -out '" + at(name + ".share") + "'"),
              0);
  for (const auto& role : kTokens) {
    const auto done =
        recover(role, {"--share", at("ann.share"), "--share", at("eve.share"), "--backup", backup});
    ASSERT_EQ(done.exit_code, 0) << role << ": " << done.err;
  }
  const auto restored = site_.run({"restore", backup, "--dir", at("again")});
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  fs::copy(at("again/ledger"), site_.directory() / "ledger", fs::copy_options::recursive);
  expect_as_before("E1");
}

}  // namespace
}  // namespace fugo::test
