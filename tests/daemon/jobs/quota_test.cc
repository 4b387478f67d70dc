// Quotas of requests, and what is metered of them.
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/jobs/job.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

using Json = nlohmann::json;

// Limited is a site with quotas of its own.
class Limited {
 public:
  explicit Limited(const std::string& quota) {
    site_.set_config("[ledger]", "[issue]\n" + quota + "\n\n[ledger]");
  }
  // issue asks for people [first, first + count) at one agency.
  CommandResult issue(const std::string& id, std::size_t first, std::size_t count,
                      const std::string& out = "out") const {
    std::vector<TrialRow> rows;
    for (std::size_t i = first; i < first + count; ++i)
      rows.push_back({std::to_string(1000 + i), "131016", resident_code(i)});
    return run_kind(site_, id, "issue", request_text(id, rows), {}, out);
  }
  std::string rejects(const std::string& id, const std::string& out = "out") const {
    return read_file(site_.scratch() / out / id / "rejects.csv");
  }
  const TestSite& site() const { return site_; }

 private:
  TestSite site_;
};

TEST(Quota, RowsBeyondThatOfARequestAreRejectedForGood) {
  const Limited limited("rows_per_request = 3");
  EXPECT_EQ(limited.issue("J1", 0, 3).exit_code, 0);
  const auto over = limited.issue("J2", 0, 5);
  EXPECT_EQ(over.exit_code, 3) << over.err;
  EXPECT_EQ(limited.rejects("J2"),
            "line,processing_number,reason\n6,1003,quota_exceeded\n7,1004,quota_exceeded\n");
  // What was answered stays so, whatever the quota is afterwards.
  limited.site().set_config("rows_per_request = 3", "rows_per_request = 0");
  EXPECT_EQ(limited.issue("J2", 0, 5, "again").exit_code, 3);
  EXPECT_EQ(limited.rejects("J2", "again"), limited.rejects("J2"));
  EXPECT_EQ(limited.issue("J3", 0, 5).exit_code, 0);
  EXPECT_EQ(limited.site().run({"verify"}).exit_code, 0);
}

TEST(Quota, OfADayIsSharedByItsRequests) {
  const Limited limited("rows_per_day = 6");
  EXPECT_EQ(limited.issue("J1", 0, 4).exit_code, 0);
  // A check takes nothing of it, and a repeat neither.
  EXPECT_EQ(limited.site().run({"check", (limited.site().scratch() / "J1.csv").string()}).exit_code,
            0);
  EXPECT_EQ(limited.issue("J1", 0, 4).exit_code, 0);
  EXPECT_EQ(limited.issue("J2", 10, 4).exit_code, 3);
  EXPECT_EQ(limited.rejects("J2"),
            "line,processing_number,reason\n5,1012,quota_exceeded\n6,1013,quota_exceeded\n");
  const auto none = run_kind(limited.site(), "C1", "change",
                             kind_text("C1", "change", {{resident_code(1), resident_code(77)}}));
  EXPECT_EQ(none.exit_code, 3) << none.err;
  EXPECT_EQ(limited.rejects("C1"), "line,processing_number,reason\n3,,quota_exceeded\n");
}

// What a check tells is whether codes are known: it is bounded and journaled like a request.
TEST(Quota, ChecksOfADayAreBoundedAndJournaled) {
  const Limited limited("rows_per_day = 6");
  const auto& site = limited.site();
  const auto check = [&](const std::string& id, std::size_t first, std::size_t count) {
    std::vector<TrialRow> rows;
    for (std::size_t i = first; i < first + count; ++i)
      rows.push_back({std::to_string(1000 + i), "131016", resident_code(i)});
    write_file(site.scratch() / (id + ".csv"), request_text(id, rows));
    return site.run({"--json", "check", (site.scratch() / (id + ".csv")).string()});
  };
  EXPECT_EQ(check("K1", 0, 4).exit_code, 0);
  const auto over = check("K2", 10, 4);
  EXPECT_EQ(over.exit_code, 3) << over.err;
  EXPECT_EQ(over.json()["rejects"]["quota_exceeded"], 2) << over.out;
  EXPECT_EQ(limited.issue("J1", 0, 6).exit_code, 0) << "checks take nothing of the requests' quota";
  const auto entries = site.run({"--json", "journal", "show"}).json()["entries"];
  std::vector<Json> found;
  for (const Json& entry : entries)
    if (entry["act"].get<std::string>().rfind("check.", 0) == 0) found.push_back(entry);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[2]["act"], "check.start");
  EXPECT_EQ(found[2]["details"]["request"], "K2");
  EXPECT_EQ(found[2]["details"]["rows"], 4);
  EXPECT_EQ(found[3]["details"]["rows_rejected"], 2);
  EXPECT_FALSE(found[3]["details"].contains("unexplained_blocks"));
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

// A refusal that depends on what is known tells of it: never unseen, never for nothing.
TEST(Quota, ARefusalThatLookedCodesUpIsJournaledAndPaidFor) {
  const Limited limited("rows_per_day = 150");
  const auto& site = limited.site();
  ASSERT_EQ(limited.issue("J1", 0, 3).exit_code, 0);
  std::vector<std::pair<std::string, std::string>> rows;
  for (std::size_t i = 0; i < 100; ++i) {
    std::string wrong = resident_code(i);
    wrong.back() = wrong.back() == '9' ? '0' : static_cast<char>(wrong.back() + 1);
    rows.emplace_back(wrong, "clerical_error");
  }
  rows.emplace_back(resident_code(1), "clerical_error");
  const auto refused = run_kind(site, "D1", "delete", kind_text("D1", "delete", rows));
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE(refused.err.find("nothing was applied"), std::string::npos) << refused.err;
  const auto entries = site.run({"--json", "journal", "show"}).json()["entries"];
  const Json last = entries.back();
  EXPECT_EQ(last["act"], "delete.look");
  EXPECT_EQ(last["details"]["request"], "D1");
  EXPECT_EQ(last["details"]["rows"], 101);
  EXPECT_GE(last["details"]["blocks"]["linkage-v1"].get<int>(), 2);
  // 46 rows of the day are left.
  const auto over = limited.issue("J2", 200, 50);
  EXPECT_EQ(over.exit_code, 3) << over.err;
  EXPECT_NE(limited.rejects("J2").find("quota_exceeded"), std::string::npos);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(Quota, IsFullAgainOnTheNextDay) {
  keystore::LedgerState state;
  const daemon::RequestQuota quota{10, 12, "Asia/Tokyo"};
  const std::int64_t evening = 1'795'186'799;  // 2026-11-20 23:59:59 in Tokyo
  auto allowed = daemon::row_allowance(quota, state, evening).value();
  EXPECT_EQ(allowed.rows, 10U);
  daemon::take_rows(state, allowed.day, 9);
  EXPECT_EQ(daemon::row_allowance(quota, state, evening)->rows, 3U);
  const auto next = daemon::row_allowance(quota, state, evening + 1).value();
  EXPECT_EQ(next.day, allowed.day + 1);
  EXPECT_EQ(next.rows, 10U);
  daemon::take_rows(state, next.day, 11);
  EXPECT_EQ(daemon::row_allowance(quota, state, evening + 1)->rows, 1U);
  // A clock that is set back over midnight gives nothing again.
  EXPECT_EQ(daemon::row_allowance(quota, state, evening)->rows, 1U);
  EXPECT_EQ(daemon::row_allowance({}, state, evening)->rows, keystore::kNoQuota);
}

TEST(Metering, BlocksAreInTheJournalAndInCheckpoints) {
  const TestSite site;
  (void)issue_everybody(site, 6, {"131016", "472018"});
  const auto entries = site.run({"--json", "journal", "show"}).json()["entries"];
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [](const Json& entry) { return entry["act"] == "issue.done"; });
  ASSERT_NE(found, entries.end());
  const Json done = *found;
  const auto blocks = done["details"]["blocks"];
  EXPECT_GE(blocks["linkage-v1"].get<std::uint64_t>(), 12U) << blocks;  // L and V of six people
  EXPECT_GE(blocks["agency-v1"].get<std::uint64_t>(), 12U) << blocks;
  EXPECT_FALSE(done["details"].contains("unexplained_blocks")) << done;
  const auto note = site.run({"journal", "checkpoint"});
  ASSERT_EQ(note.exit_code, 0) << note.err;
  EXPECT_NE(note.out.find("\nblocks linkage-v1 " + blocks["linkage-v1"].dump() + "\n"),
            std::string::npos)
      << note.out;
  EXPECT_NE(note.out.find("\nunexplained-blocks 0\n"), std::string::npos);
}

TEST(Metering, MoreThanTheRowsNeedIsTold) {
  keystore::JobRow job;
  job.rows = 1000;
  job.blocks = {65536 + 1, 6000, 2 * 65536 + 1, 1'000'000};  // agency keys are not bounded by rows
  EXPECT_EQ(daemon::unexplained_blocks(job, 1), 0U);
  job.blocks[1] = 1'000'000;
  const auto more = daemon::unexplained_blocks(job, 1);
  EXPECT_GT(more, 900'000U);
  EXPECT_LT(daemon::unexplained_blocks(job, 3), more);
  // Stops make an honest job derive its rows anew.
  auto stopped = job;
  stopped.blocks = {0, 400'000, 65536 + 1, 1'000'000};
  EXPECT_EQ(daemon::unexplained_blocks(stopped, 1), 0U);
  job.row_quota = 0;
  EXPECT_GT(daemon::unexplained_blocks(job, 1), more);
}

// A process that derives codes beside its job, as one that was tampered with would.
TEST(Metering, CodesTriedBesideAJobAreFound) {
  const TestSite files;
  (void)issue_everybody(files, 4, {"131016"});
  const auto settings = daemon::load_settings(files.config()).value();
  const auto site =
      daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
  constexpr std::size_t kTried = 20'000;
  auto codes = SecretArray<std::uint64_t>::create(kTried).value();
  auto symbols = SecretArray<Block>::create(kTried).value();
  std::vector<keystore::CheckValue> checks(kTried);
  daemon::JobOptions options;
  options.request = files.scratch() / "T1.csv";
  write_file(options.request, request_text("T1", {{"1", "131016", resident_code(9)}}));
  options.output_directory = files.scratch() / "out";
  options.actor = {"mallory", ""};
  options.progress = [&](const char*, std::uint64_t, std::uint64_t) {
    ASSERT_TRUE(site->symbols().linkage_and_check(site->active_generation(), codes.span(),
                                                  symbols.span(), checks));
  };
  ASSERT_TRUE(daemon::run_job(*site, options));
  EXPECT_GT(site->ledger().state()->unexplained_blocks, kTried);
}

}  // namespace
}  // namespace fugo::test
