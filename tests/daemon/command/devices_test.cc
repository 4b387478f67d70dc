// A site moves to tokens of another PKCS#11 implementation, by its recovery package: the same
// digest, the same symbols, the same links. FUGO_TEST_DEVICE says which: tests/hsm/token_fixture.h.
#include <gmock/gmock.h>

#include <sstream>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/hsm/token_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using hsm::testing::Device;
using hsm::testing::device;
using ::testing::HasSubstr;

// NSS takes no journal key, so its token can be the linking one: docs/tokens.md.
std::vector<std::string> roles_of_device() {
  if (device() == Device::kNss) return {"linking"};
  return {"issuing", "linking", "standby"};
}

// moved is a configuration with the roles' tokens in place of those it has, and no other.
std::string moved(const std::string& config,
                  const std::map<std::string, hsm::TokenSettings>& tokens) {
  std::istringstream lines(config);
  std::string out, section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("[")) section = line;
    const bool of_token = section.starts_with("[hsm.");
    if (section == "[hsm]" && line.starts_with("module"))
      line = "module = \"" + tokens.begin()->second.module.string() + "\"" +
             (tokens.begin()->second.allowed_mechanisms ? "" : "\nallowed_mechanisms = false");
    if (!of_token) out += line + "\n";
  }
  for (const auto& [role, token] : tokens) {
    out += "\n[hsm." + role + "]\nuri = \"" + token.uri + "\"\npin_file = \"" +
           token.pin_file.string() + "\"\n";
    if (!token.softhsm_conf.empty())
      out += "softhsm_conf = \"" + token.softhsm_conf.string() + "\"\n";
  }
  return out;
}

class DeviceSite : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_fugo({"init", "--dir", directory().string()}).exit_code, 0);
    for (const auto* code : {"131016", "472018"})
      ASSERT_EQ(run({"agency", "add", code, "--name", code}).exit_code, 0);
    ASSERT_EQ(run({"agency", "add", "131130", "--name", "h", "--method", "hmac-sha256"}).exit_code,
              0);
    issue("A1");
    digest_ = run({"digest"}).out;
    link("before.csv");
  }
  [[nodiscard]] fs::path directory() const { return temporary_.path() / "site"; }
  [[nodiscard]] CommandResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--config", (directory() / config_).string()});
    return run_fugo(arguments);
  }
  void issue(const std::string& id) {
    std::vector<TrialRow> rows;
    for (std::size_t i = 0; i < 60; ++i) {
      const char* const codes[] = {"131016", "472018", "131130"};
      rows.push_back({std::to_string(i), codes[i % 3], resident_code(i / 3)});
    }
    const auto request = temporary_.path() / (id + ".csv");
    write_file(request, request_text(id, rows));
    const auto done = run({"issue", request.string(), "--out", temporary_.path().string()});
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }
  [[nodiscard]] std::map<std::string, std::map<std::string, Answer>> answers(
      const std::string& id) const {
    return read_answers(temporary_.path() / id);
  }
  void link(const std::string& name) const {
    std::string symbols;
    const auto before = answers("A1");
    for (const auto& [number, answer] : before.at("131016")) symbols += answer.symbol + "\n";
    write_file(temporary_.path() / "symbols.txt", symbols);
    const auto done = run({"link", (temporary_.path() / "symbols.txt").string(), "--from", "131016",
                           "--to", "131130", "--out", (temporary_.path() / name).string()});
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }

  TemporaryDirectory temporary_;
  std::string config_ = "fugo.toml";
  std::string digest_;
};

TEST_F(DeviceSite, MovesToTokensOfAnotherImplementation) {
  std::map<std::string, hsm::TokenSettings> tokens;
  for (const auto& role : roles_of_device())
    tokens[role] = hsm::testing::make_scratch_token("moved-" + role,
                                                    role == "linking"   ? hsm::TokenRole::kLinking
                                                    : role == "issuing" ? hsm::TokenRole::kIssuing
                                                                        : hsm::TokenRole::kStandby)
                       .settings;
  hsm::finalize_all();
  config_ = "moved.toml";
  write_file(directory() / config_, moved(read_file(directory() / "fugo.toml"), tokens));
  for (const auto& role : roles_of_device()) {
    const auto done = run({"keys", "recover", "--role", role, "--private-key",
                           (directory() / "recovery/recovery-private.pem").string()});
    ASSERT_EQ(done.exit_code, 0) << role << ": " << done.err;
  }
  link("after.csv");
  EXPECT_EQ(read_file(temporary_.path() / "after.csv"),
            read_file(temporary_.path() / "before.csv"));
  EXPECT_EQ(run({"digest"}).out, digest_);
  if (device() == Device::kNss) return;  // the linking side cannot issue
  const auto verified = run({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  issue("A2");
  const auto before = answers("A1"), after = answers("A2");
  ASSERT_EQ(before.size(), 3U);
  for (const auto& [agency, rows] : before)
    for (const auto& [number, answer] : rows) {
      EXPECT_EQ(after.at(agency).at(number).symbol, answer.symbol);
      EXPECT_EQ(after.at(agency).at(number).status, "existing");
    }
  // Another method, which needs single blocks, is refused by a token that has none.
  ASSERT_EQ(run({"agency", "add", "141003", "--name", "x", "--method", "xts-aes256"}).exit_code, 0);
  write_file(temporary_.path() / "X.csv", request_text("X", {{"1", "141003", resident_code(1)}}));
  const auto xts =
      run({"issue", (temporary_.path() / "X.csv").string(), "--out", temporary_.path().string()});
  EXPECT_EQ(xts.exit_code, device() == Device::kWithoutEcb ? 1 : 0) << xts.err;
  if (device() == Device::kWithoutEcb) {
    EXPECT_THAT(xts.err, HasSubstr("CKM_AES_ECB"));
  }
}

}  // namespace
}  // namespace fugo::test
