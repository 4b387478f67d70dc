// A clock that ran backwards: what has to be journaled is refused, until somebody answers for it.
#include <gtest/gtest.h>

#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

// at runs a command whose clock is off by so much ("+2h").
CommandResult at(const TestSite& site, const std::string& offset,
                 const std::vector<std::string>& arguments) {
  RunOptions options;
  options.environment = {{"LD_PRELOAD", FUGO_LIBFAKETIME}, {"FAKETIME", offset}};
  return site.run(arguments, options);
}

CommandResult issue_one(const TestSite& site, const std::string& id, std::size_t resident) {
  return run_kind(site, id, "issue", request_text(id, {{"1", "131016", resident_code(resident)}}));
}

TEST(Clock, BehindTheJournalStopsWhatIsJournaled) {
  const TestSite site;
  ASSERT_EQ(issue_one(site, "J1", 1).exit_code, 0);
  ASSERT_EQ(at(site, "+2h", {"agency", "suspend", "011002"}).exit_code, 0);
  const auto digest = digest_of(site);
  for (const auto& refused : {issue_one(site, "J2", 2), site.run({"agency", "suspend", "472018"}),
                              site.run({"agency", "resume", "011002"})}) {
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find("the clock ran backwards"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(digest_of(site), digest);
  // Reading goes on, and stopping everything.
  EXPECT_EQ(site.run({"freeze", "issue", "--reason", "a drill"}).exit_code, 0);
  EXPECT_EQ(site.run({"thaw"}).exit_code, 1);
  EXPECT_EQ(site.run({"status"}).exit_code, 0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);

  const auto accepted =
      site.run({"--operator", "suzuki", "journal", "accept-clock", "--reason", "NTP was wrong"});
  EXPECT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_EQ(site.run({"thaw"}).exit_code, 0);
  EXPECT_EQ(issue_one(site, "J2", 2).exit_code, 0);
  const auto verified = site.run({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err << verified.out;
  EXPECT_NE(site.run({"journal", "show"}).out.find("suzuki clock.accept"), std::string::npos);
  EXPECT_EQ(site.run({"journal", "accept-clock", "--reason", "again"}).exit_code, 1);
}

TEST(Clock, ThatWasAheadUsesUpNoQuota) {
  const TestSite site;
  site.set_config("[ledger]", "[issue]\nrows_per_day = 1\n\n[ledger]");
  const auto file = site.scratch() / "A1.csv";
  write_file(file, request_text("A1", {{"1", "131016", resident_code(1)}}));
  const auto out = (site.scratch() / "out").string();
  ASSERT_EQ(at(site, "+50h", {"issue", file.string(), "--out", out}).exit_code, 0);
  ASSERT_EQ(site.run({"journal", "accept-clock", "--reason", "it was ahead"}).exit_code, 0);
  EXPECT_EQ(issue_one(site, "J1", 2).exit_code, 0);
  EXPECT_EQ(issue_one(site, "J2", 3).exit_code, 3);
}

// Asked at the beginning: a takeover verifies the whole site before it is journaled.
TEST(Clock, BehindIsToldBeforeAnythingElseIsDone) {
  const TestSite site;
  const auto ships = site.scratch() / "ships", second = site.scratch() / "second";
  std::filesystem::create_directory(ships);
  ASSERT_EQ(issue_one(site, "J1", 1).exit_code, 0);
  ASSERT_EQ(site.run({"ship", ships.string()}).exit_code, 0);
  ASSERT_EQ(site.run({"follow", ships.string(), "--dir", second.string()}).exit_code, 0);
  for (const auto& entry : std::filesystem::directory_iterator(second / "ledger/data"))
    write_file(entry.path(), "damaged");
  const std::vector<std::string> words = {"--config", (second / "fugo.toml").string(), "takeover",
                                          "--reason", "fire"};
  RunOptions behind;
  behind.environment = {{"LD_PRELOAD", FUGO_LIBFAKETIME}, {"FAKETIME", "-2h"}};
  const auto told = run_fugo(words, behind);
  EXPECT_EQ(told.exit_code, 1) << told.out;
  EXPECT_NE(told.err.find("the clock ran backwards"), std::string::npos) << told.err;
  EXPECT_EQ(run_fugo(words).exit_code, 5);
}

// The commit of a regeneration freezes issuing, which no clock stops; its thaw is stopped.
TEST(Clock, BehindLeavesIssuingAsItIs) {
  const TestSite site;
  ASSERT_EQ(issue_one(site, "J1", 1).exit_code, 0);
  const auto planned = site.run({"--json", "regenerate", "plan", "--what", "agency", "--agency",
                                 "131016", "--reason", "a drill"});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  const auto run = planned.json()["run"].get<std::string>();
  const auto out = (site.scratch() / "mappings").string();
  ASSERT_EQ(site.run({"regenerate", "run", run, "--out", out}).exit_code, 0);
  for (const std::vector<std::string>& step :
       {std::vector<std::string>{"commit"}, {"finish", "--without-acks"}}) {
    std::vector<std::string> words = {"regenerate", step[0], run};
    words.insert(words.end(), step.begin() + 1, step.end());
    const auto told = at(site, "-2h", words);
    EXPECT_EQ(told.exit_code, 1) << step[0];
    EXPECT_NE(told.err.find("the clock ran backwards"), std::string::npos) << told.err;
    EXPECT_EQ(site.run({"--json", "status"}).json()["frozen"]["issue"], "") << step[0];
    EXPECT_EQ(site.run(words).exit_code, 0) << step[0];
  }
}

TEST(Clock, BehindByALittleIsTheTimeOfTheLastEntry) {
  const TestSite site;
  ASSERT_EQ(issue_one(site, "J1", 1).exit_code, 0);
  ASSERT_EQ(at(site, "-30", {"agency", "suspend", "011002"}).exit_code, 0);
  const auto entries = site.run({"--json", "journal", "show"}).json()["entries"];
  std::int64_t before = 0;
  for (const auto& entry : entries) {
    EXPECT_LE(before, entry["unix_time"].get<std::int64_t>());
    before = entry["unix_time"];
  }
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
