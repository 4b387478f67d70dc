// What commands print, and where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

TEST(Output, VersionAndHelp) {
  EXPECT_THAT(run_fugo({"--version"}).out, StartsWith("fugo "));
  const auto help = run_fugo({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : {"init", "agency", "issue", "check", "link", "keys", "status", "stats",
                              "verify", "digest", "journal"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
    const auto own = run_fugo({command, "--help"});
    EXPECT_EQ(own.exit_code, 0) << command;
    EXPECT_THAT(own.out, HasSubstr("Usage:")) << command;
  }
}

TEST(Output, WrongUsageIsExitTwo) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"dance"},
                                                       {"agency"},
                                                       {"issue"},
                                                       {"--colour", "status"},
                                                       {"journal", "show", "--last", "0"},
                                                       {"status", "extra"},
                                                       {"link", "file"}};
  for (const auto& words : wrong) {
    const auto result = run_fugo(words);
    EXPECT_EQ(result.exit_code, 2) << testing::PrintToString(words);
    EXPECT_THAT(result.err, StartsWith("fugo: "));
    EXPECT_EQ(result.out, "");
    auto with_json = words;
    with_json.emplace_back("--json");
    const auto document = run_fugo(with_json);
    EXPECT_EQ(document.exit_code, 2);
    EXPECT_EQ(document.json()["error"]["code"], "usage") << testing::PrintToString(words);
  }
}

// However it got there: a resident code on the command line is in no message.
TEST(Output, AWordThatMayBeAResidentCodeIsNotRepeated) {
  const auto& site = TestSite::pristine();
  for (const std::string code : {"24727059608", "24727-059608", "247 2705 9608"}) {
    const std::vector<std::vector<std::string>> wrong = {
        {"issue", "r.csv", code, "--out", "out"},
        {"issue", "r.csv", "--out", "out", "--" + code},
        {"issue", "r.csv", "--out", "out", "-" + code},
        {"issue", "r.csv", "--out", "out", "--code=" + code},
        {"journal", "show", "--last", code + "x"},
        {code},
        {"agency", code},
        {"agency", "suspend", code},
        {"link", "/dev/null", "--from", code, "--to", "131016", "--out", "/dev/null"},
        {"link", "/dev/null", "--from", "131016", "--to", code, "--out", "/dev/null"}};
    for (const auto& words : wrong) {
      const auto result = site.run(words);
      EXPECT_NE(result.exit_code, 0) << testing::PrintToString(words);
      EXPECT_THAT(result.err, StartsWith("fugo: ")) << testing::PrintToString(words);
      EXPECT_THAT(result.err + result.out, Not(HasSubstr(code))) << testing::PrintToString(words);
      EXPECT_THAT(result.err + result.out, Not(HasSubstr("2705"))) << testing::PrintToString(words);
    }
  }
}

TEST(Output, AWordThatIsNotExpectedIsNamedOrCounted) {
  EXPECT_THAT(run_fugo({"agency", "list", "dance"}).err,
              HasSubstr("there is no place for dance ("));
  EXPECT_THAT(run_fugo({"status", "--colour=7"}).err,
              HasSubstr("there is no place for --colour ("));
  EXPECT_THAT(run_fugo({"status", "so", "5678"}).err,
              HasSubstr("there is no place for: so, argument 3 ("));
  EXPECT_THAT(TestSite::pristine().run({"agency", "suspend", "999"}).err,
              HasSubstr("there is no agency 999"));
}

TEST(Output, TheNumberOfJournalEntriesMustBeOneOrMore) {
  const auto& site = TestSite::pristine();
  for (const char* last : {"0", "-1", "x", "1x", "99999999999999999999"}) {
    const auto result = site.run({"journal", "show", std::string("--last=") + last});
    EXPECT_EQ(result.exit_code, 2) << last;
    EXPECT_THAT(result.err, HasSubstr("--last: must be a whole number, 1 or more")) << last;
    EXPECT_LT(result.err.size(), 100U) << result.err;
  }
  EXPECT_EQ(site.run({"--json", "journal", "show", "--last", "1"}).json()["entries"].size(), 1U);
}

TEST(Output, EveryReadingCommandHasTwoForms) {
  const auto& site = TestSite::pristine();
  const std::vector<std::vector<std::string>> commands = {
      {"status"},       {"stats"},          {"digest"},         {"digest", "--without-times"},
      {"keys", "list"}, {"agency", "list"}, {"journal", "show"}};
  for (const auto& command : commands) {
    const auto text = site.run(command);
    EXPECT_EQ(text.exit_code, 0) << text.err;
    EXPECT_NE(text.out, "");
    EXPECT_EQ(text.err, "") << "a bar or message where there is no terminal";
    auto words = command;
    words.emplace_back("--json");  // global options are understood behind the command too
    const auto document = site.run(words);
    EXPECT_EQ(document.exit_code, 0) << document.err;
    EXPECT_TRUE(document.json().is_object()) << document.out;
  }
}

TEST(Output, StatusTellsOfTheSite) {
  const auto& site = TestSite::pristine();
  const auto status = site.run({"--json", "status"}).json();
  EXPECT_EQ(status["environment"], "test");
  EXPECT_EQ(status["schema"], 3);
  EXPECT_EQ(status["agencies"], 5);
  EXPECT_EQ(status["issuances"], 0);
  EXPECT_EQ(status["symbol_version"], 1);
  EXPECT_EQ(status["open_job"], nullptr);
  EXPECT_THAT(status["hsm"].get<std::string>(), HasSubstr("SoftHSM"));
  EXPECT_THAT(status["created"].get<std::string>(), HasSubstr("+09:00"));
  EXPECT_GT(status["bytes"], 0);
  EXPECT_GT(status["free_bytes"], 0);
}

TEST(Output, DigestIsHexAndStable) {
  const auto& site = TestSite::pristine();
  const auto digest = site.run({"digest"}).out;
  EXPECT_THAT(digest, MatchesRegex("[0-9a-f]{64}\n"));
  EXPECT_EQ(site.run({"digest"}).out, digest);
  EXPECT_NE(site.run({"digest", "--without-times"}).out, digest);
}

TEST(Output, TheJournalBeginsWithInit) {
  const auto entries = TestSite::pristine().run({"--json", "journal", "show"}).json()["entries"];
  ASSERT_EQ(entries.size(), 7U);  // init, five agencies, the import
  EXPECT_EQ(entries[0]["sequence"], 0);
  EXPECT_EQ(entries[0]["act"], "init");
  EXPECT_EQ(entries[0]["details"]["linkage_method"], "cmac-ff-aes256");
  EXPECT_EQ(entries[6]["act"], "agency.import");
  EXPECT_EQ(entries[6]["details"]["added"], 5);
}

TEST(Output, TheConfigurationIsFoundByTheEnvironment) {
  const auto& site = TestSite::pristine();
  EXPECT_EQ(run_fugo({"digest"}, {{{"FUGO_CONFIG", site.config().string()}}, {}, {}}).exit_code, 0);
}

TEST(Output, TheOperatorMustBePrintable) {
  const TestSite site;
  for (const std::string& name : {std::string("a\nb"), std::string(65, 'x')}) {
    const auto result = site.run({"--operator", name, "agency", "suspend", "131016"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("--operator"));
  }
}

TEST(Verify, ANewSiteIsSound) {
  const auto verified = TestSite::pristine().run({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err << verified.out;
  EXPECT_EQ(verified.json()["sound"], true);
  EXPECT_EQ(verified.json()["agencies"], 5);
  EXPECT_EQ(verified.json()["checked"]["tokens"],
            nlohmann::json({"issuing", "linking", "standby"}));
}

TEST(Verify, DamageInLmdbsPagesIsExitFive) {
  const TestSite site;
  const auto data = site.directory() / "ledger/data.mdb";
  auto bytes = read_file(data);
  // Spoil the flags of every page behind the two meta pages.
  for (std::size_t page = 2; page * 4096 < bytes.size(); ++page)
    bytes[page * 4096 + 10] = static_cast<char>(bytes[page * 4096 + 10] ^ 0x40);
  write_file(data, bytes);
  const auto verified = site.run({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 5) << verified.err;
  EXPECT_EQ(verified.json()["sound"], false);
  EXPECT_THAT(verified.json()["findings"][0]["where"].get<std::string>(), HasSubstr("data.mdb"));
}

TEST(Verify, AKeyThatIsNotThereIsFound) {
  const TestSite site;
  // Whichever object of the linking token it is: it is missed.
  const auto objects = site.directory() / "tokens/linking/objects";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(objects)) {
    const auto name = entry.path().filename().string();
    if (entry.path().extension() != ".object" || name == "token.object") continue;
    std::filesystem::remove(entry.path());
    break;
  }
  const auto verified = site.run({"--json", "verify"});
  EXPECT_EQ(verified.exit_code, 5) << verified.out;
  EXPECT_THAT(verified.out, HasSubstr("linking token"));
}

}  // namespace
}  // namespace fugo::test
