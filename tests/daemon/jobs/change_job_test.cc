// Change jobs through the command: what agencies learn, and what the ledger says afterwards.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

const std::vector<std::string> kAgencies = {"131016", "472018", "131130", "141003"};

using Pairs = std::map<std::string, std::string>;

// The pairs of an agency's file, whose form is checked.
Pairs pairs_of(const std::filesystem::path& file, const std::string& head) {
  Pairs pairs;
  const std::string text = read_file(file);
  const auto lines = split_lines(text);
  EXPECT_EQ(text.substr(0, text.find('\n')), head + ",records=" + std::to_string(lines.size() - 2));
  EXPECT_EQ(lines.at(1), (Fields{"old_symbol", "new_symbol"}));
  std::string before;
  for (std::size_t i = 2; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].size(), 2U);
    EXPECT_LT(before, lines[i][0]) << "not sorted by old symbol";
    before = lines[i][0];
    pairs[lines[i][0]] = lines[i][1];
  }
  return pairs;
}

Pairs pairs_of(const TestSite& site, const std::string& id, const std::string& agency) {
  return pairs_of(site.scratch() / "out" / id / (agency + ".csv"),
                  "#fugo-response,version=1,id=" + id + ",kind=change,agency=" + agency);
}

TEST(ChangeJob, AgenciesLearnTheNewSymbolsAndLinkingFollows) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 40, kAgencies);
  const std::string old_symbol = symbols.at("131016").at(3);
  EXPECT_EQ(link_one(site, old_symbol, "131016", "472018"), "ok," + symbols.at("472018").at(3));

  std::vector<std::pair<std::string, std::string>> rows;
  for (std::size_t i = 0; i < 10; ++i) rows.emplace_back(resident_code(i), resident_code(1000 + i));
  rows.emplace_back(resident_code(500), resident_code(501));  // nobody: line 13
  rows.emplace_back(resident_code(11), resident_code(12));    // someone's: line 14
  rows.emplace_back(resident_code(4), resident_code(2000));   // changed before: line 15
  const auto text = kind_text("C1", "change", rows);
  const auto checked = site.run({"check", (write_file(site.scratch() / "C1.csv", text),
                                           (site.scratch() / "C1.csv").string())});
  EXPECT_EQ(checked.exit_code, 3) << checked.err;
  const auto done = run_kind(site, "C1", "change", text);
  ASSERT_EQ(done.exit_code, 3) << done.err;
  EXPECT_EQ(read_file(site.scratch() / "out/C1/rejects.csv"),
            "line,processing_number,reason\n13,,unknown_resident\n14,,resident_exists\n"
            "15,,superseded_resident\n");

  std::set<std::string> seen;
  for (const auto& agency : kAgencies) {
    const auto pairs = pairs_of(site, "C1", agency);
    ASSERT_EQ(pairs.size(), 10U);
    for (std::size_t i = 0; i < 10; ++i) ASSERT_EQ(pairs.count(symbols.at(agency).at(i)), 1U);
    for (const auto& [before, after] : pairs) {
      EXPECT_TRUE(seen.insert(before).second) << "a value that two agencies share";
      EXPECT_TRUE(seen.insert(after).second) << "a value that two agencies share";
    }
  }
  const std::string here = pairs_of(site, "C1", "131016").at(old_symbol);
  const std::string there = pairs_of(site, "C1", "472018").at(symbols.at("472018").at(3));
  EXPECT_EQ(link_one(site, old_symbol, "131016", "472018"), "superseded");
  EXPECT_EQ(link_one(site, here, "131016", "472018"), "ok," + there);
  EXPECT_EQ(link_one(site, symbols.at("131016").at(20), "131016", "472018"),
            "ok," + symbols.at("472018").at(20));

  // An issue for the old code is rejected, for the new one it is the new symbol.
  const auto issued = run_kind(
      site, "I", "issue",
      request_text("I", {{"1", "131016", resident_code(3)}, {"2", "131016", resident_code(1003)}}));
  EXPECT_EQ(issued.exit_code, 3) << issued.err;
  EXPECT_EQ(read_file(site.scratch() / "out/I/rejects.csv"),
            "line,processing_number,reason\n3,1,superseded_resident\n");
  EXPECT_EQ(read_answers(site.scratch() / "out/I").at("131016").at("2").symbol, here);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(ChangeJob, RecordAliasesGoToTheSiteAlone) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 6, {"131016", "472018"});
  const auto done = run_kind(
      site, "C1", "change",
      kind_text("C1", "change",
                {{resident_code(0), resident_code(100)}, {resident_code(1), resident_code(101)}}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto path = site.directory() / "records/C1.csv";
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto lines = split_lines(read_file(path));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], (Fields{"old_record_symbol", "new_record_symbol"}));
  EXPECT_LT(lines[1][0], lines[2][0]);
  for (const auto& [name, content] : csv_files(site.scratch() / "out/C1"))
    for (std::size_t i = 1; i < 3; ++i)
      for (const auto& record : lines[i]) EXPECT_EQ(content.find(record), std::string::npos);
}

TEST(ChangeJob, AChainInOneFileComesOutAsOneAfterTheOther) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 3, {"131016", "472018"});
  const auto done = run_kind(site, "C1", "change",
                             kind_text("C1", "change",
                                       {{resident_code(0), resident_code(100)},
                                        {resident_code(100), resident_code(101)},
                                        {resident_code(101), resident_code(102)}}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto pairs = pairs_of(site, "C1", "131016");
  ASSERT_EQ(pairs.size(), 3U);
  std::string last = symbols.at("131016").at(0);
  for (int i = 0; i < 3; ++i) last = pairs.at(last);
  EXPECT_EQ(link_one(site, symbols.at("131016").at(0), "131016", "472018"), "superseded");
  EXPECT_EQ(link_one(site, last, "131016", "472018").substr(0, 3), "ok,");
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(ChangeJob, TwoPeopleBecomeOneOnlyWhenThatIsApproved) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 4, {"131016", "472018"});
  const std::vector<std::pair<std::string, std::string>> rows = {
      {resident_code(0), resident_code(1)}};
  const std::string before = digest_of(site);
  const auto refused = run_kind(site, "J1", "change", kind_text("J1", "change", rows, true));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("--approve-join"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("nothing was applied"), std::string::npos) << refused.err;
  EXPECT_EQ(digest_of(site), before);

  // Without join=yes the row is rejected, approval or not.
  const auto rejected =
      run_kind(site, "J2", "change", kind_text("J2", "change", rows), {"--approve-join"});
  EXPECT_EQ(rejected.exit_code, 3) << rejected.err;
  EXPECT_EQ(read_file(site.scratch() / "out/J2/rejects.csv"),
            "line,processing_number,reason\n3,,resident_exists\n");
  EXPECT_EQ(digest_of(site), before);

  const auto joined = run_kind(site, "J1", "change", kind_text("J1", "change", rows, true),
                               {"--approve-join", "--json"});
  ASSERT_EQ(joined.exit_code, 0) << joined.err;
  EXPECT_EQ(joined.json()["joined"], 1);
  EXPECT_EQ(pairs_of(site, "J1", "131016").at(symbols.at("131016").at(0)),
            symbols.at("131016").at(1));
  EXPECT_EQ(link_one(site, symbols.at("131016").at(0), "131016", "472018"), "superseded");
  EXPECT_EQ(link_one(site, symbols.at("131016").at(1), "131016", "472018"),
            "ok," + symbols.at("472018").at(1));
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(ChangeJob, TheSameRequestIsAnsweredTheSameAndAnotherContentRefused) {
  const TestSite site;
  ASSERT_EQ(issue_everybody(site, 30, kAgencies).size(), kAgencies.size());
  site.set_config("[ledger]", "[issue]\nsegment_rows = 7\n\n[ledger]");
  std::vector<std::pair<std::string, std::string>> rows;
  for (std::size_t i = 0; i < 20; ++i) rows.emplace_back(resident_code(i), resident_code(1000 + i));
  const auto text = kind_text("C1", "change", rows);
  ASSERT_EQ(run_kind(site, "C1", "change", text).exit_code, 0);
  const auto files = csv_files(site.scratch() / "out/C1");
  const auto records = read_file(site.directory() / "records/C1.csv");
  const std::string digest = digest_of(site);

  const auto again = run_kind(site, "C1", "change", text, {"--json"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["repeated"], true);
  EXPECT_EQ(again.json()["agencies"], 4);

  // Later changes of the same people do not change what was answered.
  ASSERT_EQ(run_kind(site, "C2", "change",
                     kind_text("C2", "change", {{resident_code(1000), resident_code(2000)}}))
                .exit_code,
            0);
  std::filesystem::remove(site.directory() / "records/C1.csv");
  const auto elsewhere = run_kind(site, "C1", "change", text, {}, "elsewhere");
  EXPECT_EQ(elsewhere.exit_code, 0) << elsewhere.err;
  EXPECT_EQ(csv_files(site.scratch() / "elsewhere/C1"), files);
  EXPECT_EQ(read_file(site.directory() / "records/C1.csv"), records);

  rows.pop_back();
  const auto other = run_kind(site, "C1", "change", kind_text("C1", "change", rows));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("other content"), std::string::npos) << other.err;
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
  EXPECT_NE(digest_of(site), digest);  // C2 only
}

TEST(ChangeJob, TheWrongCommandForAKindIsRefused) {
  const TestSite& site = TestSite::pristine();
  const auto text = kind_text("W", "change", {{resident_code(0), resident_code(1)}});
  for (const char* command : {"issue", "delete"}) {
    write_file(site.scratch() / "W.csv", text);
    const auto refused = site.run(
        {command, (site.scratch() / "W.csv").string(), "--out", (site.scratch() / "out").string()});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_NE(refused.err.find("fugo change"), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace fugo::test
