// Mergers of agencies through the command: who holds whom before and after.
#include "daemon/jobs/merge_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/merge_requests.h"

namespace fugo::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Pairs = std::map<std::string, std::string>;
using Symbols = std::map<std::size_t, std::string>;

std::vector<std::size_t> range(std::size_t first, std::size_t last) {
  std::vector<std::size_t> all;
  for (; first < last; ++first) all.push_back(first);
  return all;
}

std::string verify(const TestSite& site) {
  const auto done = site.run({"verify"});
  return done.exit_code == 0 ? "sound" : done.out + done.err;
}

TEST(MergeJob, TheOneTakesOverEverybodyAndTheOtherIsClosed) {
  const TestSite site;
  const Symbols from = issue_some(site, "I1", "131016", range(0, 20));
  const Symbols into = issue_some(site, "I2", "472018", range(15, 40));
  (void)issue_some(site, "I3", "131130", range(0, 40));
  const auto done = run_merge(site, "131016", "472018");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto report = done.json();
  EXPECT_EQ(report["id"], "merge+131016+472018");
  EXPECT_EQ(report["symbols"], 20);
  EXPECT_EQ(report["new"], 15);
  EXPECT_EQ(report["existing"], 5);
  EXPECT_EQ(report["superseded"], 0);

  const Pairs pairs = merged_symbols(site, "131016", "472018");
  ASSERT_EQ(pairs.size(), 20U);
  for (const auto& [resident, symbol] : from) {
    ASSERT_EQ(pairs.count(symbol), 1U) << resident;
    if (into.count(resident) != 0) {
      EXPECT_EQ(pairs.at(symbol), into.at(resident));
    }
    EXPECT_THAT(link_one(site, pairs.at(symbol), "472018", "131130"), HasSubstr("ok,")) << resident;
  }
  // What was issued by the merger is what an issue gives, and is known already.
  const Symbols again = issue_some(site, "I4", "472018", range(0, 20));
  for (const auto& [resident, symbol] : from) EXPECT_EQ(pairs.at(symbol), again.at(resident));
  const auto answered1 = read_answers(site.scratch() / "out/I4");
  for (const auto& [number, answer] : answered1.at("472018"))
    EXPECT_EQ(answer.status, "existing") << number;

  const auto folder = site.scratch() / "out/merge+131016+472018";
  EXPECT_FALSE(std::filesystem::exists(folder / "rejects.csv"));
  const auto summary = nlohmann::json::parse(read_file(folder / "summary.json"));
  EXPECT_EQ(summary["kind"], "merge");
  EXPECT_EQ(summary["closed_agency"], "131016");
  EXPECT_EQ(summary["rows"], 20);
  EXPECT_EQ(summary["counts"]["new"], 15);
  EXPECT_EQ(summary["agencies"]["472018"]["symbols"], 20);
  EXPECT_EQ(agency_states(site).at("131016"), "closed");
  EXPECT_EQ(agency_states(site).at("472018"), "active");
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, TheFileAloneTranslatesTheData) {
  const TestSite site;
  const Symbols from = issue_some(site, "I1", "131016", range(0, 25));
  (void)issue_some(site, "I2", "472018", range(20, 30));
  // What the agency's own system has, in no order of ours.
  std::map<std::string, std::size_t> data;
  for (const auto& [resident, symbol] : from) data[symbol] = resident;
  ASSERT_EQ(run_merge(site, "131016", "472018").exit_code, 0);
  std::map<std::string, std::size_t> moved;
  const Pairs pairs = merged_symbols(site, "131016", "472018");
  for (const auto& [symbol, resident] : data) moved[pairs.at(symbol)] = resident;
  const Symbols truth = issue_some(site, "I3", "472018", range(0, 25));
  for (const auto& [resident, symbol] : truth) {
    ASSERT_EQ(moved.count(symbol), 1U);
    EXPECT_EQ(moved.at(symbol), resident);
  }
}

TEST(MergeJob, AgenciesOfEveryMethodMerge) {
  const TestSite site;  // one-way by CMAC and HMAC, and symbols that can be inverted
  const Symbols cmac = issue_some(site, "I1", "131016", range(0, 8));
  const Symbols xts = issue_some(site, "I2", "141003", range(6, 14));
  (void)issue_some(site, "I3", "131130", range(0, 2));
  ASSERT_EQ(run_merge(site, "131016", "141003").exit_code, 0);
  const Pairs first = merged_symbols(site, "131016", "141003");
  EXPECT_EQ(first.at(cmac.at(7)), xts.at(7));
  ASSERT_EQ(run_merge(site, "141003", "131130").exit_code, 0);
  const Pairs second = merged_symbols(site, "141003", "131130");
  EXPECT_EQ(second.size(), 14U);
  const Symbols hmac = issue_some(site, "I4", "131130", range(0, 14));
  for (const auto& [resident, symbol] : cmac)
    EXPECT_EQ(second.at(first.at(symbol)), hmac.at(resident));
  for (const auto& [resident, symbol] : xts) EXPECT_EQ(second.at(symbol), hmac.at(resident));
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, OldSymbolsOfSupersededPeopleLeadToTheLivingOnesAndTheDeletedAreGone) {
  const TestSite site;
  site.set_config("[ledger]", "[issue]\nsegment_rows = 3\n\n[ledger]");
  const Symbols from = issue_some(site, "I1", "131016", range(0, 10));
  (void)issue_some(site, "I2", "472018", {0, 1});
  // 0 to 100 to 200; 2 and 3 become one; 4 goes.
  ASSERT_EQ(run_kind(site, "C1", "change",
                     kind_text("C1", "change",
                               {{resident_code(0), resident_code(100)},
                                {resident_code(100), resident_code(200)}}))
                .exit_code,
            0);
  ASSERT_EQ(run_kind(site, "C2", "change",
                     kind_text("C2", "change", {{resident_code(2), resident_code(3)}}, true),
                     {"--approve-join"})
                .exit_code,
            0);
  ASSERT_EQ(run_kind(site, "D1", "delete",
                     kind_text("D1", "delete", {{resident_code(4), "clerical_error"}}),
                     {"--confirm", "1"})
                .exit_code,
            0);
  const auto done = run_merge(site, "131016", "472018");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  // Ten people and 100 and 200, without 4; 0, 100 and 2 are superseded; 1 and 200 were known.
  EXPECT_EQ(done.json()["symbols"], 11);
  EXPECT_EQ(done.json()["superseded"], 3);
  EXPECT_EQ(done.json()["existing"], 2);
  EXPECT_EQ(done.json()["new"], 6);
  const Pairs pairs = merged_symbols(site, "131016", "472018");
  const Symbols into = issue_some(site, "I3", "472018", {1, 3, 5, 6, 7, 8, 9, 200});
  const auto answered2 = read_answers(site.scratch() / "out/I3");
  for (const auto& [number, answer] : answered2.at("472018"))
    EXPECT_EQ(answer.status, "existing") << number;
  EXPECT_EQ(pairs.at(from.at(0)), into.at(200));
  EXPECT_EQ(pairs.at(from.at(2)), into.at(3));
  EXPECT_EQ(pairs.count(from.at(4)), 0U);
  for (const std::size_t resident : {1U, 3U, 5U, 6U, 7U, 8U, 9U})
    EXPECT_EQ(pairs.at(from.at(resident)), into.at(resident));
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, NothingIsIssuedForTheSupersededAndTheDigestIsThatOfAnIssue) {
  const TestSite merged, issued;
  for (const TestSite* site : {&merged, &issued}) {
    (void)issue_some(*site, "I1", "131016", range(0, 6));
    ASSERT_EQ(run_kind(*site, "C1", "change",
                       kind_text("C1", "change", {{resident_code(0), resident_code(100)}}))
                  .exit_code,
              0);
  }
  ASSERT_EQ(run_merge(merged, "131016", "472018").exit_code, 0);
  (void)issue_some(issued, "I2", "472018", {1, 2, 3, 4, 5, 100});
  EXPECT_EQ(digest_of(merged), digest_of(issued));
}

TEST(MergeJob, ThreeMergersInARowLoseNobody) {
  const TestSite site;
  const Symbols a = issue_some(site, "I1", "131016", range(0, 10));
  const Symbols b = issue_some(site, "I2", "472018", range(5, 15));
  const Symbols c = issue_some(site, "I3", "011002", range(12, 20));
  ASSERT_EQ(run_merge(site, "131016", "472018").exit_code, 0);
  ASSERT_EQ(run_merge(site, "472018", "011002").exit_code, 0);
  const Pairs first = merged_symbols(site, "131016", "472018");
  const Pairs second = merged_symbols(site, "472018", "011002");
  const Symbols truth = issue_some(site, "I4", "011002", range(0, 20));
  for (const auto& [resident, symbol] : a)
    EXPECT_EQ(second.at(first.at(symbol)), truth.at(resident));
  for (const auto& [resident, symbol] : b) EXPECT_EQ(second.at(symbol), truth.at(resident));
  for (const auto& [resident, symbol] : c) EXPECT_EQ(symbol, truth.at(resident));
  // The first one is answered again although both its agencies are closed.
  ASSERT_EQ(run_merge(site, "131016", "472018", "again").exit_code, 0);
  EXPECT_EQ(merged_symbols(site, "131016", "472018", "again"), first);
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, AClosedAgencyIsNobodysAndItsCodeIsNotUsedAgain) {
  const TestSite site;
  const Symbols from = issue_some(site, "I1", "131016", range(0, 5));
  const Symbols into = issue_some(site, "I2", "472018", range(0, 5));
  ASSERT_EQ(run_merge(site, "131016", "472018").exit_code, 0);

  const auto request =
      request_text("I3", {{"1", "131016", resident_code(1)}, {"2", "472018", resident_code(1)}});
  const auto issued = run_kind(site, "I3", "issue", request);
  EXPECT_EQ(issued.exit_code, 3);
  EXPECT_EQ(read_file(site.scratch() / "out/I3/rejects.csv"),
            "line,processing_number,reason\n3,1,unknown_agency\n");
  EXPECT_THAT(link_one(site, from.at(1), "131016", "472018"), HasSubstr("131016"));
  EXPECT_THAT(link_one(site, into.at(1), "472018", "131016"), HasSubstr("131016"));
  const auto added = site.run({"agency", "add", "131016", "--name", "Chiyoda"});
  EXPECT_EQ(added.exit_code, 1);
  EXPECT_THAT(added.err, HasSubstr("a code is not used again"));
  EXPECT_EQ(site.run({"agency", "resume", "131016"}).exit_code, 1);
  EXPECT_EQ(site.run({"agency", "suspend", "131016"}).exit_code, 1);
  // A change tells the one that took over, and not the closed one.
  ASSERT_EQ(run_kind(site, "C1", "change",
                     kind_text("C1", "change", {{resident_code(2), resident_code(200)}}))
                .exit_code,
            0);
  EXPECT_TRUE(std::filesystem::exists(site.scratch() / "out/C1/472018.csv"));
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "out/C1/131016.csv"));
  // What it was issued is still in the ledger and in the figures.
  const auto stats = site.run({"--json", "stats", "--by", "agency"}).json();
  EXPECT_THAT(stats.dump(), HasSubstr("131016"));
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, TheSameCommandAgainAnswersAgain) {
  const TestSite site;
  (void)issue_some(site, "I1", "131016", range(0, 12));
  (void)issue_some(site, "I2", "472018", range(6, 9));
  ASSERT_EQ(run_merge(site, "131016", "472018").exit_code, 0);
  const auto folder = site.scratch() / "out/merge+131016+472018";
  const auto files = csv_files(folder);
  const std::string summary = read_file(folder / "summary.json");
  const std::string digest = digest_of(site);
  // Later changes of people do not change what is answered.
  ASSERT_EQ(run_kind(site, "C1", "change",
                     kind_text("C1", "change", {{resident_code(2), resident_code(200)}}))
                .exit_code,
            0);
  EXPECT_NE(digest_of(site), digest);
  const std::string later = digest_of(site);
  for (const bool there : {true, false}) {
    if (!there) std::filesystem::remove_all(folder);
    const auto again = run_merge(site, "131016", "472018");
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(again.json()["repeated"], true);
    EXPECT_EQ(again.json()["new"], 9);
    EXPECT_EQ(csv_files(folder), files);
    EXPECT_EQ(read_file(folder / "summary.json"), summary);
    EXPECT_EQ(digest_of(site), later);
  }
  ASSERT_EQ(run_merge(site, "131016", "472018", "elsewhere").exit_code, 0);
  EXPECT_EQ(csv_files(site.scratch() / "elsewhere/merge+131016+472018"), files);
  // Of somebody who was deleted nothing can be made again.
  ASSERT_EQ(run_kind(site, "D1", "delete",
                     kind_text("D1", "delete", {{resident_code(3), "clerical_error"}}),
                     {"--confirm", "1"})
                .exit_code,
            0);
  const auto refused = run_merge(site, "131016", "472018", "third");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("people were deleted"), HasSubstr("nothing was")));
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, AnAgencyWithoutPeopleIsClosedAndToldSo) {
  const TestSite site;
  const auto done = run_merge(site, "131016", "472018");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(merged_symbols(site, "131016", "472018").size(), 0U);
  EXPECT_EQ(agency_states(site).at("131016"), "closed");
  EXPECT_EQ(run_merge(site, "131016", "472018").json()["repeated"], true);
  EXPECT_EQ(verify(site), "sound");
}

TEST(MergeJob, RefusedWithNothingApplied) {
  const TestSite site;
  (void)issue_some(site, "I1", "131016", range(0, 5));
  (void)issue_some(site, "I2", "472018", range(0, 3));
  ASSERT_EQ(run_merge(site, "011002", "131130").exit_code, 0);
  const std::string digest = digest_of(site);
  const auto refused = [&](const std::string& from, const std::string& into,
                           const std::string& why) {
    const auto before = site.run({"--json", "journal", "show", "--last", "1"}).out;
    const auto done = run_merge(site, from, into);
    EXPECT_EQ(done.exit_code, 1) << from << " " << into;
    EXPECT_THAT(done.err, AllOf(HasSubstr(why), HasSubstr("nothing was applied")));
    EXPECT_EQ(digest_of(site), digest);
    EXPECT_EQ(site.run({"--json", "journal", "show", "--last", "1"}).out, before);
    EXPECT_FALSE(std::filesystem::exists(site.scratch() / "out" / merge_id(from, into)));
  };
  refused("131016", "999999", "999999");
  refused("999999", "131016", "999999");
  refused("131016", "131016", "into itself");
  refused("011002", "131016", "011002 is closed");
  refused("131016", "011002", "011002 is closed");
  const auto hidden = run_merge(site, "131016", "24727059608");
  EXPECT_EQ(hidden.err.find("24727059608"), std::string::npos);
  ASSERT_EQ(site.run({"freeze", "issue", "--reason", "drill"}).exit_code, 0);
  refused("131016", "472018", "issuing is frozen: drill");
  ASSERT_EQ(site.run({"thaw", "issue"}).exit_code, 0);
  ASSERT_EQ(site.run({"agency", "suspend", "472018"}).exit_code, 0);
  refused("131016", "472018", "472018 is suspended");
  ASSERT_EQ(site.run({"agency", "resume", "472018"}).exit_code, 0);
  std::filesystem::create_directories(site.scratch() / "taken/merge+131016+472018");
  EXPECT_THAT(run_merge(site, "131016", "472018", "taken").err, HasSubstr("is there already"));
  // The one that goes may be suspended.
  ASSERT_EQ(site.run({"agency", "suspend", "131016"}).exit_code, 0);
  EXPECT_EQ(run_merge(site, "131016", "472018").exit_code, 0);
}

// A regeneration's row, as planning one leaves it, and as aborting it does.
void put_run(const TestSite& test, keystore::RunState state) {
  const auto settings = daemon::load_settings(test.config());
  ASSERT_TRUE(settings);
  const auto site =
      daemon::open_site(*settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend);
  ASSERT_TRUE(site) << site.error().message();
  const auto update = (*site)->ledger().begin();
  ASSERT_TRUE(update);
  keystore::RunRow run;
  run.number = (*update)->state().open_run;
  if (run.number != 0) run.id = "R+0001";
  run.state = state;
  run.what = keystore::kRunAgency;
  run.to = 2;
  run.reason = "drill";
  run.operator_name = "hanako";
  ASSERT_TRUE((*update)->put_run(run));
  ASSERT_TRUE((*update)->commit());
}

TEST(MergeJob, RefusedWhileARegenerationIsUnfinished) {
  const TestSite site;
  (void)issue_some(site, "I1", "131016", range(0, 5));
  const std::string digest = digest_of(site);
  put_run(site, keystore::RunState::kPlanned);
  const auto refused = run_merge(site, "131016", "472018");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("a regeneration is not finished"),
                    HasSubstr("fugo regenerate status"), HasSubstr("nothing was applied")));
  EXPECT_EQ(digest_of(site), digest);
  EXPECT_EQ(agency_states(site).at("131016"), "active");
  put_run(site, keystore::RunState::kAborted);
  EXPECT_EQ(run_merge(site, "131016", "472018").exit_code, 0);
}

TEST(MergeJob, EveryStepIsJournaledWithWhoDidIt) {
  const TestSite site;
  (void)issue_some(site, "I1", "131016", range(0, 5));
  const auto done = site.run({"--operator", "hanako", "--order", "W-9", "agency", "merge", "--from",
                              "131016", "--to", "472018", "--out", (site.scratch() / "out")});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("131016 is merged into 472018 and closed"));
  const auto entries = site.run({"--json", "journal", "show", "--last", "4"}).json()["entries"];
  ASSERT_EQ(entries.size(), 4U);
  const char* acts[] = {"merge.start", "merge.segment", "agency.close", "merge.done"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(entries[i]["act"], acts[i]);
    EXPECT_EQ(entries[i]["operator"], "hanako");
    EXPECT_EQ(entries[i]["order"], "W-9");
    EXPECT_EQ(entries[i]["details"]["request"], "merge+131016+472018");
  }
  EXPECT_EQ(entries[2]["details"]["from"], "131016");
  EXPECT_EQ(entries[2]["details"]["into"], "472018");
  EXPECT_EQ(entries[3]["details"]["new"], 5);
  EXPECT_THAT(site.run({"jobs", "list", "--all"}).out, HasSubstr("merge+131016+472018  merge"));
  EXPECT_THAT(site.run({"status"}).out, HasSubstr("new 5, existing 0, superseded 0"));
}

TEST(MergeId, IsReadBackAndNoRequests) {
  const auto agencies = daemon::merger_of(daemon::merge_job_id({"A1", "B2"}));
  ASSERT_TRUE(agencies);
  EXPECT_EQ(agencies->from, "A1");
  EXPECT_EQ(agencies->into, "B2");
  const auto third = daemon::merger_of(daemon::merge_job_id({"A1", "B2"}, 3));
  ASSERT_TRUE(third);
  EXPECT_EQ(third->into, "B2");
  EXPECT_EQ(daemon::merge_job_id({std::string(16, 'A'), std::string(16, 'B')}, 1000).size(), 44U);
  for (const char* other : {"", "merge", "merge-A-B", "merge+A", "merge++B", "merge+A+",
                            "merge+a+B", "xmerge+A+B", "merge+../x+B"})
    EXPECT_FALSE(daemon::merger_of(other)) << other;
  const TestSite site;
  const auto done = run_kind(site, "M", "issue", request_text("merge+131016+472018", {}));
  EXPECT_EQ(done.exit_code, 1);
}

}  // namespace
}  // namespace fugo::test
