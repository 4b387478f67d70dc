// What a ledger takes for its own among the keys that are there and that it does not know.
#include "daemon/key_newness.h"

#include <gmock/gmock.h>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::size_t kOfRecord = 2;  // keys of a version

// die_in_ceremony does what keys create does up to where its keys are in every token, and no more.
std::vector<std::string> die_in_ceremony(const fs::path& config) {
  std::vector<std::string> labels;
  const auto settings = daemon::load_settings(config);
  EXPECT_TRUE(settings) << settings.error().message();
  auto administration = daemon::KeyAdministration::open(*settings);
  EXPECT_TRUE(administration);
  std::vector<hsm::KeyName> names;
  {
    const auto site =
        daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend);
    EXPECT_TRUE(site) << site.error().message();
    const auto registry = daemon::read_key_registry(*site->ledger);
    names = *daemon::next_keys(*registry, {hsm::KeyPurpose::kRecord});
    const auto update = site->ledger->begin();
    for (const auto& name : names) {
      EXPECT_TRUE((*update)->put_key(daemon::making_row(name)));
      labels.push_back(hsm::key_label(name));
    }
    EXPECT_TRUE((*update)->append_journal({"tester", ""}, "keys.create.start",
                                          nlohmann::json{{"keys", labels}}.dump()));
    EXPECT_TRUE((*update)->commit());
  }
  const auto made = administration->make(names, labels.front());
  EXPECT_TRUE(made) << made.error().message();
  hsm::finalize_all();
  return labels;
}

nlohmann::json key_states(const fs::path& config) {
  nlohmann::json states;
  const auto keys =
      run_fugo({"--config", config.string(), "--json", "keys", "list"}).json()["keys"];
  for (const auto& key : keys) states[key["label"].get<std::string>()] = key["state"];
  return states;
}

CommandResult create(const fs::path& config, const std::string& purpose,
                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"--config", config.string(), "--json", "keys",
                                    "create",   "--purpose",     purpose};
  words.insert(words.end(), more.begin(), more.end());
  return run_fugo(words);
}

// Whatever its caller believes, nothing that the registry has otherwise is made anew or removed.
TEST(KeyAdministration, TouchesNoKeyThatIsInUseAndNoPackageOfOthers) {
  const KeySite site;
  const auto before = site.objects("issuing");
  const auto package = site.directory() / "recovery/recovery-package.json";
  const auto other = site.directory() / "recovery/recovery-package-x.json";
  fs::copy(package, other);
  const auto settings = daemon::load_settings(site.config());
  ASSERT_TRUE(settings);
  {
    auto administration = daemon::KeyAdministration::open(*settings);
    ASSERT_TRUE(administration);
    const auto names = daemon::keys_of(hsm::KeyPurpose::kRecord, 1);
    const auto made = administration->make(names, "y");
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message(), HasSubstr("in the registry and in use"));
    const auto removed = administration->remove(names);
    ASSERT_FALSE(removed);
    EXPECT_THAT(removed.error().message(), HasSubstr("in the registry and in use"));
    const auto taken = administration->take_back(names, "y");
    ASSERT_FALSE(taken);
    EXPECT_THAT(taken.error().message(), HasSubstr("in the registry and in use"));
    const auto strange =
        administration->take_back(daemon::keys_of(hsm::KeyPurpose::kRecord, 9), "x");
    ASSERT_FALSE(strange);
    EXPECT_THAT(strange.error().message(), HasSubstr("of other keys"));
  }
  hsm::finalize_all();
  EXPECT_EQ(read_file(other), read_file(package));
  EXPECT_EQ(site.objects("issuing"), before);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

// In no token: a package of them alone says that they were made, by whoever had these tokens.
TEST(KeyNewness, APackageAloneStopsTheMakingOfKeys) {
  const KeySite maker, site;
  fs::path package;
  for (int i = 0; i < 2; ++i) {
    const auto made = create(maker.config(), "record");
    ASSERT_EQ(made.exit_code, 0) << made.err;
    package = made.json()["recovery_package"].get<std::string>();
  }
  ASSERT_THAT(package.string(), HasSubstr("record-v3"));  // not the very next one
  fs::copy(package, site.directory() / "recovery");
  const auto before = site.objects("linking");
  for (const char* purpose : {"record", "journal"}) {
    const auto refused = create(site.config(), purpose);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_THAT(refused.err, HasSubstr("of a version to come"));
  }
  const auto plan = site.run({"regenerate", "plan", "--what", "record", "--reason", "r"});
  EXPECT_EQ(plan.exit_code, 1);
  EXPECT_THAT(plan.err, HasSubstr("of a version to come"));
  EXPECT_EQ(site.objects("linking"), before);
  const auto past = create(site.config(), "record", {"--past-unknown"});
  ASSERT_EQ(past.exit_code, 0) << past.err;
  EXPECT_EQ(past.json()["keys"][0]["label"], "fugo-record-aes256-v4");
  const auto unknown = site.journal("keys.unknown").at(0)["details"]["keys"];
  EXPECT_EQ(unknown.size(), 2 * kOfRecord) << unknown;
  EXPECT_EQ(site.state("fugo-record-aes256-v3"), "making");
  EXPECT_EQ(site.objects("linking"), before + kOfRecord);
  EXPECT_EQ(create(site.config(), "journal").exit_code, 0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(KeyNewness, APackageThatCannotBeReadStopsItToo) {
  const KeySite site;
  write_file(site.directory() / "recovery/recovery-package-x.json", "{}");
  const auto refused = create(site.config(), "record");
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.err, HasSubstr("move it away"));
  // What is named otherwise is nobody's package.
  fs::rename(site.directory() / "recovery/recovery-package-x.json",
             site.directory() / "recovery/notes.json");
  EXPECT_EQ(create(site.config(), "journal").exit_code, 0);
}

TEST(KeyNewness, ATokenThatIsAwayHasNoUnknownKeys) {
  const KeySite site;
  fs::rename(site.directory() / "tokens/linking/objects", site.scratch() / "away");
  for (const auto& more : {std::vector<std::string>{"--past-unknown"}, {}}) {
    EXPECT_EQ(create(site.config(), "record", more).exit_code, 4);
    EXPECT_TRUE(site.journal("keys.unknown").empty());
    EXPECT_TRUE(site.journal("keys.create.start").empty()) << "an approval would be used";
  }
}

// In a ledger that was put back, what it takes for remains may have become whole since.
TEST(KeyNewness, RemainsFromBeforeARestorationAreLeft) {
  const KeySite site;
  const auto making = die_in_ceremony(site.config());
  const auto left = site.objects("linking");
  ASSERT_EQ(site.run({"backup", (site.scratch() / "backup").string()}).exit_code, 0);
  const auto back = site.scratch() / "back";
  ASSERT_EQ(
      site.run({"restore", (site.scratch() / "backup").string(), "--dir", back.string()}).exit_code,
      0);
  const auto made = create(back / "fugo.toml", "record");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(site.objects("linking"), left + kOfRecord) << "nothing was removed";
  for (const auto& label : making) EXPECT_EQ(key_states(back / "fugo.toml")[label], "making");
  // The ledger that began them takes them away.
  const auto again = create(site.config(), "record", {"--past-unknown"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  for (const auto& label : making) EXPECT_EQ(site.state(label), "destroyed");
  EXPECT_EQ(site.objects("linking"), left + kOfRecord);
}

// The same after a takeover, by a site that has every token; its own remains go.
TEST(KeyNewness, RemainsFromBeforeATakeoverAreLeftAndItsOwnAreNot) {
  const TwoSites sites;
  const auto objects = [&] {
    std::size_t count = 0;
    const auto token = sites.first().directory() / "tokens/linking/objects";
    for (const auto& entry : fs::recursive_directory_iterator(token))
      if (entry.path().extension() == ".object" && entry.path().filename() != "token.object")
        ++count;
    return count;
  };
  const auto others = die_in_ceremony(sites.first().config());
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.first()
                .run({"follow", sites.folder().string(), "--dir", sites.second().string(),
                      "--all-tokens"})
                .exit_code,
            0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto config = sites.second() / "fugo.toml";
  write_file(config, [&] {  // the security officer's PIN is the ceremony's
    auto text = read_file(config);
    const auto at = text.find("[hsm.issuing]");
    const auto pin = (sites.first().directory() / "tokens/issuing/so-pin").string();
    return text.find("so_pin_file") != std::string::npos
               ? text
               : text.insert(at + 14, "so_pin_file = \"" + pin + "\"\n");
  }());
  const auto left = objects();
  const auto own = die_in_ceremony(config);
  ASSERT_EQ(objects(), left + kOfRecord);
  const auto made = create(config, "record");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(objects(), left + kOfRecord) << "its own remains went, the first site's keys did not";
  const auto states = key_states(config);
  for (const auto& label : others) EXPECT_EQ(states[label], "making");
  for (const auto& label : own) EXPECT_EQ(states[label], "destroyed");
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
