// fugo keys create, retire, destroy: on real tokens, through the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "hsm/recovery_package.h"
#include "tests/daemon/command/keys_fixture.h"

namespace fugo::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kRecord2 = "fugo-record-aes256-v2";
constexpr const char* kRecordHmac2 = "fugo-record-hmac-v2";

std::vector<std::string> labels_in(const fs::path& package) {
  std::vector<std::string> labels;
  const auto read = hsm::read_recovery_package(package);
  EXPECT_TRUE(read) << package;
  if (!read) return labels;
  for (const auto& entry : read->keys) labels.push_back(hsm::key_label(entry.name));
  return labels;
}

// What each purpose consists of, and how many objects each token gets.
struct Creation {
  std::string purpose;
  std::vector<std::string> labels;
  std::size_t issuing, linking, standby;
};

TEST(Keys, CreateLeavesExactlyWhatThePlacementSaysInEveryToken) {
  const KeySite site;
  for (const auto& wanted : {
           Creation{"linkage", {"fugo-linkage-aes256-v2", "fugo-linkage-hmac-v2"}, 2, 0, 2},
           Creation{"agency",
                    {"fugo-agency-aes256-v2", "fugo-agency-hmac-v2",
                     "fugo-agency-xts-data-aes256-v2", "fugo-agency-xts-tweak-aes256-v2"},
                    4,
                    4,
                    4},
           Creation{"record", {kRecord2, kRecordHmac2}, 2, 2, 2},
           Creation{"data-wrap", {"fugo-data-wrap-aes256-v2"}, 1, 1, 1},
           Creation{"journal", {"fugo-journal-p256-v2"}, 2, 0, 2},  // its public key beside it
       }) {
    SCOPED_TRACE(wanted.purpose);
    const auto issuing = site.objects("issuing"), linking = site.objects("linking"),
               standby = site.objects("standby");
    const auto made = site.run({"--json", "keys", "create", "--purpose", wanted.purpose});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    EXPECT_EQ(site.objects("issuing"), issuing + wanted.issuing);
    EXPECT_EQ(site.objects("linking"), linking + wanted.linking);
    EXPECT_EQ(site.objects("standby"), standby + wanted.standby);
    const fs::path package = made.json()["recovery_package"].get<std::string>();
    EXPECT_EQ(package.parent_path(), site.directory() / "recovery");
    EXPECT_EQ(labels_in(package), wanted.labels);
    for (const auto& label : wanted.labels) EXPECT_EQ(site.state(label), "pending") << label;
  }
  // Attributes, fingerprints and absence in each token are verify's.
  const auto verified = site.run({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_EQ(site.journal("keys.create").size(), 5U);
}

TEST(Keys, SeveralPurposesAreOneCeremonyAndVersionsAreNotUsedAgain) {
  const KeySite site;
  const auto made = site.run({"--json", "keys", "create", "--purpose", "record,data-wrap"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(labels_in(made.json()["recovery_package"].get<std::string>()),
              ElementsAre(kRecord2, kRecordHmac2, "fugo-data-wrap-aes256-v2"));
  const auto again = site.run({"--json", "keys", "create", "--purpose", "record"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["keys"][0]["label"], "fugo-record-aes256-v3");
}

TEST(Keys, CreateSaysWhatTheConfigurationLacks) {
  const KeySite site;
  site.set_config("so_pin_file = \"tokens/issuing/so-pin\"\n", "");
  site.set_config("[hsm.linking]", "[hsm.standby2]");
  auto text = read_file(site.config());
  const auto at = text.find("[hsm.standby2]");
  text.erase(at, text.find("[", at + 1) - at);
  write_file(site.config(), text);
  const auto refused = site.run({"keys", "create", "--purpose", "record"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("[hsm.linking]"));
  EXPECT_THAT(refused.err, HasSubstr("hsm.issuing.so_pin_file"));
  EXPECT_THAT(refused.err, HasSubstr("no key was made"));
  EXPECT_EQ(site.run({"keys", "create", "--purpose", "secret"}).exit_code, 2);
}

TEST(Keys, RetireAndDestroyWithAStatementThatOpensslVerifies) {
  const KeySite site;
  const auto before = site.objects("standby");
  site.make_retired("record");
  const auto statement = site.scratch() / "statement.json";
  const auto done = site.run({"--json", "--operator", "alice", "--order", "W-7", "keys", "destroy",
                              kRecord2, kRecordHmac2, "--out", statement.string()});
  ASSERT_EQ(done.exit_code, 0) << done.err << done.out;
  EXPECT_EQ(done.json()["tokens"], nlohmann::json::array({"issuing", "linking", "standby"}));
  EXPECT_EQ(done.json()["recovery_packages"].size(), 1U);
  EXPECT_EQ(site.objects("standby"), before);
  EXPECT_EQ(site.state(kRecord2), "destroyed");
  EXPECT_EQ(site.key(kRecord2)["in_token"], "absent, as it must be");
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);

  const auto check = "openssl dgst -sha256 -verify " + statement.string() + ".pem -signature " +
                     statement.string() + ".sig " + statement.string();
  EXPECT_EQ(shell(check), 0);
  const auto document = nlohmann::json::parse(read_file(statement));
  EXPECT_EQ(document["operator"], "alice");
  EXPECT_EQ(document["order"], "W-7");
  EXPECT_EQ(document["keys"].size(), 2U);
  EXPECT_EQ(document["keys"][0]["fingerprint"], site.key(kRecord2)["fingerprint"]);
  EXPECT_EQ(document["tokens"].size(), 3U);
  EXPECT_THAT(document["meaning"].dump(), HasSubstr("absent"));
  const auto entries = site.journal("keys.destroy");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(document["journal"]["hash"], entries[0]["hash"]);
  write_file(statement, read_file(statement) + " ");
  EXPECT_NE(shell(check), 0);

  // The statement is made again from the journal; nothing is done a second time.
  const auto again = site.scratch() / "again.json";
  const auto repeated =
      site.run({"--json", "keys", "destroy", kRecordHmac2, kRecord2, "--out", again.string()});
  EXPECT_EQ(repeated.exit_code, 0) << repeated.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(again)), document);
  EXPECT_EQ(site.journal("keys.destroy").size(), 1U);
  EXPECT_EQ(
      site.run({"keys", "destroy", kRecord2, "--out", (site.scratch() / "x").string()}).exit_code,
      1);
}

TEST(Keys, ATokenThatIsAwayIsNamedAndTheSameCallGoesOn) {
  const KeySite site;
  site.make_retired("record");
  std::map<std::string, std::size_t> objects;
  for (const char* role : {"issuing", "linking", "standby"}) objects[role] = site.objects(role);
  const auto statement = site.scratch() / "statement.json";
  const std::vector<std::string> command = {"--json",     "keys",  "destroy",         kRecord2,
                                            kRecordHmac2, "--out", statement.string()};
  site.hide("issuing");
  site.hide("linking");
  const auto without = site.run(command);
  EXPECT_EQ(without.exit_code, 1) << without.err;
  EXPECT_EQ(without.json()["left"].size(), 2U) << "the standby token signs where issuing is away";
  EXPECT_EQ(without.json()["tokens"], nlohmann::json::array({"standby"}));
  site.hide("issuing", false);
  site.hide("linking", false);
  site.hide("standby");
  const auto partly = site.run(command);
  EXPECT_EQ(partly.exit_code, 1) << partly.err;
  EXPECT_EQ(partly.json()["destroyed"], false);
  ASSERT_EQ(partly.json()["left"].size(), 1U);
  EXPECT_THAT(partly.json()["left"].dump(), HasSubstr("standby token"));
  EXPECT_FALSE(fs::exists(statement));
  EXPECT_EQ(site.state(kRecord2), "retired");
  EXPECT_EQ(site.key(kRecord2)["in_token"], "absent");
  site.hide("standby", false);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0) << "a retired key may be absent";
  const auto done = site.run(command);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  for (const char* role : {"issuing", "linking", "standby"})
    EXPECT_EQ(site.objects(role), objects[role] - 2) << role;
  EXPECT_EQ(site.state(kRecord2), "destroyed");
  EXPECT_TRUE(fs::exists(statement));
}

TEST(Keys, ATokenThatIsNotConfiguredIsLeft) {
  const KeySite site;
  site.make_retired("record");
  auto text = read_file(site.config());
  const auto at = text.find("[hsm.linking]");
  text.erase(at, text.find("[", at + 1) - at);
  write_file(site.config(), text);
  const auto partly = site.run({"--json", "keys", "destroy", kRecord2, "--out",
                                (site.scratch() / "statement.json").string()});
  EXPECT_EQ(partly.exit_code, 1) << partly.err;
  EXPECT_THAT(partly.json()["left"].dump(), HasSubstr("[hsm.linking]"));
}

TEST(Keys, WhatIsNeededIsNeitherRetiredNorDestroyed) {
  const KeySite site;
  const auto refused = [&](std::vector<std::string> words, const std::string& why) {
    const auto result = site.run(std::move(words));
    EXPECT_EQ(result.exit_code, 1) << result.out;
    EXPECT_THAT(result.err, HasSubstr(why));
    EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
  };
  const auto file = (site.scratch() / "statement.json").string();
  for (const auto& [label, why] : std::vector<std::pair<std::string, std::string>>{
           {"fugo-linkage-aes256-v1", "generation 1 (active) uses it"},
           {"fugo-agency-aes256-v1", "the symbols of 5 agencies in generation 1"},
           {"fugo-agency-xts-data-aes256-v1", "generation 1 (active) uses it"},
           {"fugo-record-hmac-v1", "generation 1 (active) uses it"},
           {"fugo-data-wrap-aes256-v1", "the ledger's data key"},
           {"fugo-journal-p256-v1", "statements are signed with it"}}) {
    refused({"keys", "retire", label}, why);
    refused({"keys", "destroy", label, "--out", file}, why);
  }
  refused({"keys", "retire", "fugo-linkage-aes256-v9"}, "there is no key");
  ASSERT_EQ(site.run({"keys", "create", "--purpose", "record"}).exit_code, 0);
  refused({"keys", "destroy", kRecord2, "--out", file}, "only a retired key is destroyed");
  ASSERT_EQ(site.run({"keys", "retire", kRecord2}).exit_code, 0);
  refused({"keys", "retire", kRecord2}, "retired already");
  EXPECT_TRUE(site.journal("keys.destroy.start").empty());
  const auto shown = site.key("fugo-data-wrap-aes256-v1");
  EXPECT_THAT(shown["needed_by"].dump(), HasSubstr("data key"));
}

TEST(Keys, TheJournalKeyIsRetiredByItsSuccessor) {
  const KeySite site;
  ASSERT_EQ(site.run({"keys", "create", "--purpose", "journal"}).exit_code, 0);
  const auto retired = site.run({"--json", "keys", "retire", "fugo-journal-p256-v1"});
  ASSERT_EQ(retired.exit_code, 0) << retired.err;
  EXPECT_EQ(site.state("fugo-journal-p256-v1"), "retired");
  EXPECT_EQ(site.state("fugo-journal-p256-v2"), "active");
  const auto statement = (site.scratch() / "statement.json").string();
  const auto done = site.run({"keys", "destroy", "fugo-journal-p256-v1", "--out", statement});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(shell("openssl dgst -sha256 -verify " + statement + ".pem -signature " + statement +
                  ".sig " + statement),
            0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

// A ledger that was put back does not know what keys were made since: it must not take them for the
// remains of its own ceremony.
TEST(Keys, WhatALaterLedgerMadeIsNotTouchedByOneThatWasPutBack) {
  const KeySite site;
  ASSERT_EQ(site.run({"backup", (site.scratch() / "backup").string()}).exit_code, 0);
  const auto made = site.run({"--json", "keys", "create", "--purpose", "linkage"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const fs::path package = made.json()["recovery_package"].get<std::string>();
  const auto sealed = read_file(package);
  const auto back = (site.scratch() / "back").string();
  ASSERT_EQ(site.run({"restore", (site.scratch() / "backup").string(), "--dir", back}).exit_code,
            0);
  const auto config = back + "/fugo.toml";
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"keys", "create", "--purpose", "linkage"},
        {"keys", "create", "--purpose", "record"},
        {"regenerate", "plan", "--what", "linkage", "--reason", "again"}}) {
    std::vector<std::string> words = {"--config", config};
    words.insert(words.end(), command.begin(), command.end());
    const auto refused = run_fugo(words);
    EXPECT_EQ(refused.exit_code, 1) << command[0] << " " << command[1] << refused.out;
    EXPECT_THAT(refused.err, HasSubstr("the ledger does not know it"));
  }
  EXPECT_EQ(read_file(package), sealed);
  EXPECT_EQ(run_fugo({"--config", config, "verify"}).exit_code, 0) << "nothing was begun";
  // The way on: the version after it.
  const auto past = run_fugo(
      {"--config", config, "--json", "keys", "create", "--purpose", "linkage", "--past-unknown"});
  ASSERT_EQ(past.exit_code, 0) << past.err;
  EXPECT_EQ(past.json()["keys"][0]["label"], "fugo-linkage-aes256-v3");
  EXPECT_EQ(run_fugo({"--config", config, "verify"}).exit_code, 0);
  EXPECT_EQ(read_file(package), sealed);
  const auto sound = site.run({"verify"});  // of the ledger that has them
  EXPECT_EQ(sound.exit_code, 0) << sound.err;
}

}  // namespace
}  // namespace fugo::test
