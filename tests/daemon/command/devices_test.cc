// A site moves to tokens of another PKCS#11 implementation, by its recovery packages, in the middle
// of a regeneration; what it does from then on is what the site does that stayed: the same symbols,
// mappings, links and digests. FUGO_TEST_DEVICE says which: tests/hsm/token_fixture.h.
#include <gmock/gmock.h>

#include <sstream>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using hsm::TokenRole;
using hsm::testing::abilities;
using hsm::testing::ScratchToken;
using ::testing::HasSubstr;

constexpr std::size_t kPeople = 30, kChanged = 3, kDeleted = 5, kNew = 7;
const std::map<std::string, TokenRole> kRoles = {{"issuing", TokenRole::kIssuing},
                                                 {"linking", TokenRole::kLinking},
                                                 {"standby", TokenRole::kStandby}};

// moved is a configuration with these tokens in place of those it has, and no other.
std::string moved(const std::string& config, const std::map<std::string, ScratchToken>& tokens) {
  std::istringstream lines(config);
  std::string out, section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("[")) section = line;
    const auto& any = tokens.begin()->second.settings;
    if (section == "[hsm]" && line.starts_with("module"))
      line = "module = \"" + any.module.string() + "\"" +
             (any.allowed_mechanisms ? "" : "\nallowed_mechanisms = false");
    if (!section.starts_with("[hsm.")) out += line + "\n";
  }
  for (const auto& [role, token] : tokens) {
    out += "\n[hsm." + role + "]\nuri = \"" + token.settings.uri + "\"\npin_file = \"" +
           token.settings.pin_file.string() + "\"\n";
    if (role == "issuing") out += "so_pin_file = \"" + token.so_pin_file.string() + "\"\n";
    if (!token.settings.softhsm_conf.empty())
      out += "softhsm_conf = \"" + token.settings.softhsm_conf.string() + "\"\n";
  }
  return out;
}

void succeed(const CommandResult& done) { ASSERT_EQ(done.exit_code, 0) << done.out << done.err; }

// ask gives the symbols that residents [0, count) have now, but for the one that was deleted.
Symbols ask(const TestSite& site, const std::string& id, std::size_t count,
            const std::vector<std::string>& agencies) {
  std::vector<TrialRow> rows;
  for (std::size_t resident = 0; resident < count; ++resident)
    for (const auto& agency : agencies)
      if (resident != kDeleted)
        rows.push_back({std::to_string(resident), agency,
                        resident_code(resident == kChanged ? 1000 : resident)});
  succeed(run_kind(site, id, "issue", request_text(id, rows)));
  Symbols symbols;
  for (const auto& [agency, answers] : read_answers(site.scratch() / "out" / id))
    for (const auto& [number, answer] : answers)
      symbols[agency][std::stoul(number)] = answer.symbol;
  return symbols;
}

// History is what came of everything that a site was asked to do.
struct History {
  Symbols before, after;  // the regeneration
  std::vector<std::string> links, digests;
};

class DeviceSite : public ::testing::Test {
 protected:
  // Two sites with one ledger: one stays, the other has tokens of this device.
  void SetUp() override {
    if (abilities().blocks) agencies_.emplace_back("141003");
    fs::remove_all(stays_.directory());
    succeed(run_fugo({"init", "--dir", stays_.directory().string()}));
    for (const auto& code : agencies_)
      succeed(stays_.run({"agency", "add", code, "--name", code, "--method",
                          code == "131130"   ? "hmac-sha256"
                          : code == "141003" ? "xts-aes256"
                                             : "cmac-ff-aes256"}));
    old_ = issue_everybody(stays_, kPeople, agencies_);
    run_ = plan_run(stays_, "linkage");
    move();
  }
  void move() {
    std::map<std::string, ScratchToken> tokens;
    for (const auto& [name, role] : kRoles)
      tokens[name] = hsm::testing::make_scratch_token("moved-" + name, role);
    hsm::finalize_all();
    fs::remove_all(moves_.directory());
    fs::copy(stays_.directory(), moves_.directory(), fs::copy_options::recursive);
    fs::remove_all(moves_.directory() / "tokens");
    write_file(moves_.config(), moved(read_file(stays_.config()), tokens));
    for (const auto& [name, role] : kRoles)
      succeed(moves_.run({"keys", "recover", "--role", name, "--private-key",
                          (moves_.directory() / "recovery/recovery-private.pem").string()}));
  }

  // live does everything once.
  [[nodiscard]] History live(const TestSite& site) const {
    History history;
    const auto digest = [&] { history.digests.push_back(digest_of(site)); };
    digest();
    for (const auto& from : agencies_)
      for (const auto& to : agencies_)
        if (from != to) history.links.push_back(link_one(site, old_.at(from).at(1), from, to));
    const auto note = (site.scratch() / "note").string();
    succeed(site.run({"journal", "checkpoint", "--out", note}));
    succeed(run_kind(site, "C1", "change",
                     kind_text("C1", "change", {{resident_code(kChanged), resident_code(1000)}})));
    succeed(run_kind(site, "D1", "delete",
                     kind_text("D1", "delete", {{resident_code(kDeleted), "clerical_error"}}),
                     {"--confirm", "1"}));
    history.before = ask(site, "A1", kPeople + kNew, agencies_);
    digest();
    regenerate(site, history);
    digest();
    succeed(site.run({"journal", "verify", "--checkpoint", note}));
    expect_sound(site);
    back_up(site, history.digests.back());
    return history;
  }
  void regenerate(const TestSite& site, History& history) const {
    succeed(step(site, "run", run_));
    succeed(step(site, "commit", run_));
    const auto expected = translate(site, run_, history.before);
    history.links.push_back(link_one(site, old_.at("131016").at(1), "131016", "131130"));
    for (const auto& agency : agencies_) succeed(step(site, "ack", run_, {"--agency", agency}));
    succeed(step(site, "finish", run_));
    history.after = ask(site, "A2", kPeople + kNew, agencies_);
    expect_same(history.after, expected, "by the mappings");
    history.links.push_back(link_one(site, old_.at("131016").at(1), "131016", "131130"));
    EXPECT_EQ(history.links.back(), "unknown");
  }
  static void back_up(const TestSite& site, const std::string& digest) {
    const auto backup = (site.scratch() / "backup").string();
    const auto restored = site.scratch() / "restored";
    succeed(site.run({"backup", backup}));
    succeed(site.run({"restore", backup, "--dir", restored.string()}));
    const auto config = (restored / "fugo.toml").string();
    EXPECT_EQ(run_fugo({"--config", config, "digest", "--without-times"}).out, digest);
    succeed(run_fugo({"--config", config, "verify"}));
  }

  // ask_encrypted makes a request as a sender does, by openssl, and has it answered.
  void ask_encrypted(const std::string& certificate, const std::string& now) const {
    const auto scratch = moves_.scratch();
    fs::copy_file(certificate, scratch / "recipient.pem");
    fs::create_directory(moves_.directory() / "senders");
    write_file(scratch / "clear", request_text("E1", {{"1", "131016", resident_code(1)}}));
    succeed(shell(scratch,
                  "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                  "-subj /CN=sender -keyout sender.key -out sender.pem -days 30 && "
                  "openssl cms -sign -in clear -outform DER -binary -nodetach -md sha256 "
                  "-signer sender.pem -inkey sender.key | openssl cms -encrypt -outform DER "
                  "-binary -aes-256-gcm -recip recipient.pem -keyopt rsa_padding_mode:oaep "
                  ">E1.p7m"));
    fs::copy_file(scratch / "sender.pem", moves_.directory() / "senders/sender.pem");
    succeed(
        moves_.run({"issue", (scratch / "E1.p7m").string(), "--out", (scratch / "out").string()}));
    const auto answers = read_answers(scratch / "out/E1");
    EXPECT_EQ(answers.at("131016").at("1").symbol, now);
  }

  // In the three that follow: what its tokens cannot do the command refuses, and says why; the rest
  // is done.
  void make_more_keys() const {
    const auto keys = moves_.run({"keys", "create", "--purpose", "record"});
    EXPECT_EQ(keys.exit_code, abilities().security_officer ? 0 : 4) << keys.err;
    if (!abilities().security_officer) {
      EXPECT_THAT(keys.err, HasSubstr("C_Login: the token answered CKR_USER_TYPE_INVALID"));
    }
  }
  void receive_encrypted(const std::string& now) const {
    const auto exchange = moves_.run({"--json", "exchange", "create", "--days", "30"});
    EXPECT_EQ(exchange.exit_code, abilities().tells_local ? 0 : 1) << exchange.err;
    if (abilities().tells_local) return ask_encrypted(exchange.json()["certificate"], now);
    EXPECT_THAT(exchange.err, HasSubstr("CKA_LOCAL"));
  }
  void invert_symbols() const {
    succeed(moves_.run({"agency", "add", "011002", "--name", "x", "--method", "xts-aes256"}));
    const auto xts =
        run_kind(moves_, "X", "issue", request_text("X", {{"1", "011002", resident_code(1)}}));
    EXPECT_EQ(xts.exit_code, abilities().blocks ? 0 : 1) << xts.err;
    if (!abilities().blocks) {
      EXPECT_THAT(xts.err, HasSubstr("CKM_AES_ECB"));
    }
  }

  std::vector<std::string> agencies_ = {"131016", "472018", "131130"};
  TestSite stays_, moves_;
  Symbols old_;
  std::string run_;
};

TEST_F(DeviceSite, LivesOnTokensOfAnotherImplementationAsAtHome) {
  const History here = live(moves_), there = live(stays_);
  EXPECT_EQ(here.digests, there.digests);
  EXPECT_EQ(here.links, there.links);
  expect_same(here.before, there.before, "before the regeneration");
  expect_same(here.after, there.after, "after the regeneration");
  for (const auto& [agency, symbols] : here.before)
    for (const auto& [resident, symbol] : symbols) {
      if (resident < kPeople && resident != kChanged) {  // a new code has a new symbol
        EXPECT_EQ(symbol, old_.at(agency).at(resident));
      }
      EXPECT_NE(symbol, here.after.at(agency).at(resident));
    }
  make_more_keys();
  expect_sound(moves_);
  receive_encrypted(here.after.at("131016").at(1));
  invert_symbols();
}

}  // namespace
}  // namespace fugo::test
