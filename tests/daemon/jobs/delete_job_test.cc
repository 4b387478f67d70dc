// Delete jobs through the command: who must approve, what agencies learn, what is left.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

const std::vector<std::string> kAgencies = {"131016", "472018", "131130", "141003"};

std::set<std::string> dead_symbols(const TestSite& site, const std::string& id,
                                   const std::string& agency) {
  const std::string text = read_file(site.scratch() / "out" / id / (agency + ".csv"));
  const auto lines = split_lines(text);
  EXPECT_EQ(text.substr(0, text.find('\n')), "#fugo-response,version=1,id=" + id +
                                                 ",kind=delete,agency=" + agency +
                                                 ",records=" + std::to_string(lines.size() - 2));
  EXPECT_EQ(lines.at(1), Fields{"symbol"});
  std::set<std::string> symbols;
  for (std::size_t i = 2; i < lines.size(); ++i) {
    EXPECT_TRUE(symbols.empty() || *symbols.rbegin() < lines[i].at(0)) << "not sorted";
    symbols.insert(lines[i].at(0));
  }
  return symbols;
}

TEST(DeleteJob, NeedsTheNumberOfRows) {
  const TestSite site;
  ASSERT_EQ(issue_everybody(site, 5, {"131016"}).size(), 1U);
  const std::string before = digest_of(site);
  const auto text = kind_text("D1", "delete", {{resident_code(0), "clerical_error"}});
  const auto bare = run_kind(site, "D1", "delete", text);
  EXPECT_EQ(bare.exit_code, 1);
  EXPECT_NE(bare.err.find("--confirm 1"), std::string::npos) << bare.err;
  const auto wrong = run_kind(site, "D1", "delete", text, {"--confirm", "2"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.err.find("which is 1"), std::string::npos) << wrong.err;
  EXPECT_EQ(digest_of(site), before);
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "out/D1"));
  const auto checked = site.run({"check", (site.scratch() / "D1.csv").string(), "--json"});
  EXPECT_EQ(checked.exit_code, 0) << checked.err;
  EXPECT_EQ(checked.json()["hold_reason"], "delete");
  EXPECT_EQ(digest_of(site), before);
}

TEST(DeleteJob, PeopleGoAndAgenciesAreTold) {
  const TestSite site;
  site.set_config("[ledger]", "[delete]\nreasons = [\"emigrated\"]\n\n[ledger]");
  const auto symbols = issue_everybody(site, 30, kAgencies);
  const auto text = kind_text("D1", "delete",
                              {{resident_code(2), "clerical_error"},
                               {resident_code(7), "emigrated"},
                               {resident_code(7), "emigrated"},    // line 5: again
                               {resident_code(700), "emigrated"},  // line 6: nobody
                               {resident_code(8), "no_reason"}});  // line 7
  const auto done = run_kind(site, "D1", "delete", text, {"--confirm", "5", "--json"});
  ASSERT_EQ(done.exit_code, 3) << done.err;
  EXPECT_EQ(done.json()["deleted"], 2);
  EXPECT_EQ(read_file(site.scratch() / "out/D1/rejects.csv"),
            "line,processing_number,reason\n5,,unknown_resident\n6,,unknown_resident\n"
            "7,,bad_reason\n");
  for (const auto& agency : kAgencies)
    EXPECT_EQ(dead_symbols(site, "D1", agency),
              (std::set<std::string>{symbols.at(agency).at(2), symbols.at(agency).at(7)}));
  const auto records = split_lines(read_file(site.directory() / "records/D1.csv"));
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0], Fields{"record_symbol"});

  EXPECT_EQ(link_one(site, symbols.at("131016").at(2), "131016", "472018"), "unknown");
  EXPECT_EQ(link_one(site, symbols.at("131016").at(3), "131016", "472018"),
            "ok," + symbols.at("472018").at(3));
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);

  // Neither the answers nor the journal say who: no resident code is anywhere.
  const auto journal = site.run({"journal", "show", "--json"}).out;
  for (const std::size_t resident : {2U, 7U}) {
    EXPECT_EQ(journal.find(resident_code(resident)), std::string::npos);
    EXPECT_EQ(done.err.find(resident_code(resident)), std::string::npos);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(site.scratch() / "out"))
      if (entry.is_regular_file()) {
        EXPECT_EQ(read_file(entry.path()).find(resident_code(resident)), std::string::npos);
      }
  }
  // Somebody who comes again is a new person.
  const auto again =
      run_kind(site, "I", "issue", request_text("I", {{"1", "131016", resident_code(2)}}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_answers(site.scratch() / "out/I").at("131016").at("1").status, "new");
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(DeleteJob, WhoWasSupersededGoesToo) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 4, {"131016", "472018"});
  ASSERT_EQ(run_kind(site, "C1", "change",
                     kind_text("C1", "change", {{resident_code(0), resident_code(100)}}))
                .exit_code,
            0);
  const auto old_code = run_kind(site, "D0", "delete",
                                 kind_text("D0", "delete", {{resident_code(0), "clerical_error"}}),
                                 {"--confirm", "1"});
  EXPECT_EQ(old_code.exit_code, 3) << old_code.err;
  EXPECT_EQ(read_file(site.scratch() / "out/D0/rejects.csv"),
            "line,processing_number,reason\n3,,superseded_resident\n");
  const auto done = run_kind(site, "D1", "delete",
                             kind_text("D1", "delete", {{resident_code(100), "clerical_error"}}),
                             {"--confirm", "1"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto dead = dead_symbols(site, "D1", "131016");
  EXPECT_EQ(dead.size(), 2U);
  EXPECT_EQ(dead.count(symbols.at("131016").at(0)), 1U);
  EXPECT_EQ(link_one(site, symbols.at("131016").at(0), "131016", "472018"), "unknown");
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
  // The change's answers named these people: they cannot be made again.
  const auto repeat = run_kind(site, "C1", "change",
                               kind_text("C1", "change", {{resident_code(0), resident_code(100)}}),
                               {}, "elsewhere");
  EXPECT_EQ(repeat.exit_code, 1) << repeat.out;
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "elsewhere/C1"));
}

TEST(DeleteJob, ARepeatFindsItsAnswersOrIsRefused) {
  const TestSite site;
  ASSERT_EQ(issue_everybody(site, 5, {"131016", "472018"}).size(), 2U);
  const auto text = kind_text("D1", "delete", {{resident_code(0), "clerical_error"}});
  ASSERT_EQ(run_kind(site, "D1", "delete", text, {"--confirm", "1"}).exit_code, 0);
  const std::string digest = digest_of(site);
  const auto again = run_kind(site, "D1", "delete", text, {"--confirm", "1", "--json"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["repeated"], true);
  EXPECT_EQ(again.json()["agencies"], 2);
  const auto elsewhere = run_kind(site, "D1", "delete", text, {"--confirm", "1"}, "elsewhere");
  EXPECT_EQ(elsewhere.exit_code, 1);
  EXPECT_NE(elsewhere.err.find("cannot be made again"), std::string::npos) << elsewhere.err;
  write_file(site.scratch() / "out/D1/131016.csv", "changed\n");
  EXPECT_EQ(run_kind(site, "D1", "delete", text, {"--confirm", "1"}).exit_code, 1);
  EXPECT_EQ(digest_of(site), digest);
}

}  // namespace
}  // namespace fugo::test
