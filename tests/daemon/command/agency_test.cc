// fugo agency: the registry as people and scripts see it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string registry_of(const TestSite& site) { return site.run({"--json", "agency", "list"}).out; }

CommandResult import(const TestSite& site, const std::string& content) {
  write_file(site.scratch() / "import.csv", content);
  return site.run({"--json", "agency", "import", (site.scratch() / "import.csv").string()});
}

TEST(Agency, ListShowsWhatWasImported) {
  const auto list = TestSite::pristine().run({"--json", "agency", "list"});
  ASSERT_EQ(list.exit_code, 0) << list.err;
  const auto agencies = list.json()["agencies"];
  ASSERT_EQ(agencies.size(), 5U);
  std::map<std::string, nlohmann::json> by_code;
  for (const auto& agency : agencies) by_code[agency["code"]] = agency;
  EXPECT_EQ(by_code["131016"]["name"], "Chiyoda");
  EXPECT_EQ(by_code["131016"]["method"], "cmac-ff-aes256");
  EXPECT_EQ(by_code["131130"]["method"], "hmac-sha256");
  EXPECT_EQ(by_code["141003"]["method"], "xts-aes256");
  EXPECT_EQ(by_code["472018"]["state"], "active");
  const auto text = TestSite::pristine().run({"agency", "list"});
  EXPECT_THAT(text.out, AllOf(HasSubstr("131016"), HasSubstr("Naha"), HasSubstr("xts-aes256")));
}

TEST(Agency, TheSameDataAgainIsCountedAndLeftAlone) {
  const TestSite site;
  const auto before = registry_of(site);
  const auto again = import(site, kTestAgencies);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["added"], 0);
  EXPECT_EQ(again.json()["unchanged"], 5);
  EXPECT_EQ(registry_of(site), before);
}

TEST(Agency, ImportTakesQuotesCrLfAndJapanese) {
  const TestSite site;
  const auto done = import(site,
                           "agency_code,name,method\r\n"
                           "A1,\"Tax, \"\"national\"\"\",\r\n"
                           "B2,\xE5\x8D\x83\xE4\xBB\xA3\xE7\x94\xB0\xE5\x8C\xBA,xts-aes256");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["added"], 2);
  const auto list = registry_of(site);
  EXPECT_THAT(list, HasSubstr("Tax, \\\"national\\\""));
  EXPECT_THAT(list, HasSubstr("\xE5\x8D\x83\xE4\xBB\xA3\xE7\x94\xB0\xE5\x8C\xBA"));
}

TEST(Agency, EveryMistakeIsNamedAndNothingApplied) {
  const TestSite site;
  const auto before = registry_of(site);
  const auto refused = import(site,
                              "agency_code,name,method\n"
                              "NEW1,fine,\n"
                              "lower,name,\n"
                              "TOOLONGTOOLONG123,name,\n"
                              "X1,,\n"
                              "X2,name,rot13\n"
                              "X3,name\n"
                              "NEW1,fine,\n"
                              "X4,\"open,\n"
                              "X5,\xFFname,\n"
                              "X6,bell\x07,\n"
                              "131016,Other name,\n"
                              "472018,Naha,hmac-sha256\n");
  EXPECT_EQ(refused.exit_code, 1);
  const std::string what = refused.json()["error"]["what"];
  EXPECT_THAT(what, Not(HasSubstr("line 2:")));
  for (int line = 3; line <= 13; ++line)
    EXPECT_THAT(what, HasSubstr("\n  line " + std::to_string(line) + ": "));
  EXPECT_THAT(what, HasSubstr("11 mistakes"));
  EXPECT_THAT(refused.err, HasSubstr("nothing was applied"));
  EXPECT_EQ(registry_of(site), before);
}

TEST(Agency, AFileWithoutTheHeaderIsRefused) {
  const TestSite site;
  for (const char* content : {"", "131016,Chiyoda,\n", "code,name,method\n",
                              "\xEF\xBB\xBF"
                              "agency_code,name,method\n"}) {
    const auto refused = import(site, content);
    EXPECT_EQ(refused.exit_code, 1) << content;
    EXPECT_THAT(refused.err, HasSubstr("line 1: ")) << content;
  }
}

TEST(Agency, AddSuspendAndResumeAreJournaled) {
  const TestSite site;
  ASSERT_EQ(site.run({"--operator", "hanako", "--order", "W-17", "agency", "add", "N0001", "--name",
                      "Pension office", "--method", "hmac-sha256"})
                .exit_code,
            0);
  EXPECT_EQ(site.run({"agency", "add", "N0001", "--name", "Other"}).exit_code, 1);
  const auto suspended = site.run({"--json", "agency", "suspend", "N0001"});
  EXPECT_EQ(suspended.json()["changed"], true);
  EXPECT_THAT(registry_of(site), HasSubstr("\"suspended\""));
  EXPECT_EQ(site.run({"--json", "agency", "suspend", "N0001"}).json()["changed"], false);
  EXPECT_EQ(site.run({"--json", "agency", "resume", "N0001"}).json()["state"], "active");

  const auto journal = site.run({"--json", "journal", "show", "--last", "3"});
  ASSERT_EQ(journal.exit_code, 0) << journal.err;
  const auto entries = journal.json()["entries"];
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0]["act"], "agency.add");
  EXPECT_EQ(entries[0]["operator"], "hanako");
  EXPECT_EQ(entries[0]["order"], "W-17");
  EXPECT_EQ(entries[0]["details"]["agency"], "N0001");
  EXPECT_EQ(entries[1]["act"], "agency.suspend");
  EXPECT_EQ(entries[2]["act"], "agency.resume");
}

TEST(Agency, AnUnknownAgencyCannotBeSuspended) {
  const auto refused = TestSite::pristine().run({"agency", "suspend", "999999"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("999999"), HasSubstr("nothing was applied")));
}

TEST(Agency, ABadCodeOnTheCommandLineIsWrongUsage) {
  const auto refused = TestSite::pristine().run({"agency", "add", "abc", "--name", "x"});
  EXPECT_EQ(refused.exit_code, 2);
}

}  // namespace
}  // namespace fugo::test
