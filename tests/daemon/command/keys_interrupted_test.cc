// fugo keys create and destroy, killed at many points: no version is used twice, nothing is left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <set>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFugo = FUGO_BINARY_DIR "/daemon/fugo";
constexpr std::size_t kOfRecord = 2;  // keys of a version

class InterruptedKeys : public ::testing::Test {
 protected:
  // A kill while SoftHSM writes token.object anew leaves no token behind, which no device does.
  InterruptedKeys() {
    plan_.under = site_.scratch();
    for (const char* role : {"issuing", "linking", "standby"})
      for (const auto& entry :
           fs::recursive_directory_iterator(site_.directory() / "tokens" / role))
        if (entry.path().filename().string().rfind("token.", 0) == 0)
          plan_.except.push_back(entry.path());
  }

  [[nodiscard]] testing::FaultOutcome run(const std::vector<std::string>& words,
                                          std::uint64_t kill_at) const {
    std::vector<std::string> command = {kFugo, "--config", site_.config().string()};
    command.insert(command.end(), words.begin(), words.end());
    auto plan = plan_;
    plan.kill_at = kill_at;
    return run_with_faults(command, plan);
  }

  // labels of the record keys that are there beside those of version 1, by state.
  [[nodiscard]] std::set<std::string> labels(const std::string& state) const {
    std::set<std::string> found;
    const auto listed = site_.run({"--json", "keys", "list"});
    EXPECT_EQ(listed.exit_code, 0) << listed.err << listed.out;
    const auto keys = listed.json()["keys"];
    for (const auto& key : keys)
      if (key["purpose"] == "record" && key["version"] != 1 && key["state"] == state)
        found.insert(key["label"].get<std::string>());
    return found;
  }

  const KeySite site_;
  testing::FaultPlan plan_;
};

TEST_F(InterruptedKeys, ACreationThatDiedIsTakenAwayByTheNext) {
  const std::vector<std::string> create = {"keys", "create", "--purpose", "record"};
  std::map<std::string, std::size_t> base;
  for (const char* role : {"issuing", "linking", "standby"}) base[role] = site_.objects(role);
  const auto whole = run(create, 0);
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  std::set<std::string> seen = labels("pending");
  bool half_made = false;
  constexpr std::uint64_t kPoints = 6;
  for (std::uint64_t i = 0; i < kPoints; ++i) {
    const auto killed = run(create, 1 + i * (whole.steps - 1) / (kPoints - 1));
    SCOPED_TRACE(i);
    EXPECT_EQ(killed.signal, SIGKILL);
    const auto making = labels("making");
    half_made = half_made || site_.objects("issuing") != base["issuing"] + labels("pending").size();
    const auto again = site_.run({"--json", "keys", "create", "--purpose", "record"});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    const auto made = again.json()["keys"];
    for (const auto& key : made)
      EXPECT_TRUE(seen.insert(key["label"].get<std::string>()).second) << key;
    for (const auto& label : making) {
      EXPECT_TRUE(seen.insert(label).second) << label << " was tried twice";
      EXPECT_EQ(site_.state(label), "destroyed");
    }
    const auto pending = labels("pending");
    seen.insert(pending.begin(), pending.end());
    // A kill while SoftHSM writes an object may leave a file that is no object to anybody.
    for (const auto& [role, count] : base)
      EXPECT_GE(site_.objects(role), count + pending.size()) << role;
  }
  EXPECT_TRUE(half_made) << "no kill came between a token's first key and the registry's row";
  EXPECT_TRUE(labels("making").empty());
  EXPECT_EQ(site_.run({"verify"}).exit_code, 0);
}

TEST_F(InterruptedKeys, ADestructionThatDiedIsEndedByTheNext) {
  site_.make_retired("record");
  const auto base = site_.objects("linking") - kOfRecord;
  const auto statement = site_.scratch() / "statement.json";
  const std::vector<std::string> destroy = {
      "keys",  "destroy",         "fugo-record-aes256-v2", "fugo-record-hmac-v2",
      "--out", statement.string()};
  std::uint64_t kills = 0;
  for (std::uint64_t step = 4;; step += 9) {
    const auto outcome = run(destroy, step);
    if (outcome.signal == 0) {
      EXPECT_EQ(outcome.exit_code, 0) << outcome.errors;
      break;
    }
    ++kills;
    EXPECT_FALSE(fs::exists(statement) && labels("destroyed").empty());
    if (fs::exists(statement)) break;  // killed when all was done
  }
  EXPECT_GE(kills, 3U);
  EXPECT_EQ(labels("destroyed").size(), kOfRecord);
  EXPECT_EQ(site_.objects("linking"), base);
  EXPECT_EQ(site_.journal("keys.destroy").size(), 1U);
  EXPECT_EQ(shell("openssl dgst -sha256 -verify " + statement.string() + ".pem -signature " +
                  statement.string() + ".sig " + statement.string()),
            0);
}

}  // namespace
}  // namespace fugo::test
