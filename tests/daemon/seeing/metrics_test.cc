// Metrics: what is counted, what a scrape gets, and that tools for Prometheus find it well formed.
#include "daemon/seeing/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <set>

#include "base/text.h"
#include "daemon/link_day.h"
#include "daemon/link_usage.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/seeing/http.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// What is still loaded of PKCS#11 must go before static objects do.
class FinalizeAtEnd : public testing::Environment {
  void TearDown() override { hsm::finalize_all(); }
};
const auto* const kFinalize = testing::AddGlobalTestEnvironment(new FinalizeAtEnd);

std::set<std::string> names_in(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() : board_(StatusBoard::open(directory_.path() / "fugod.json", "1.2.3").value()) {}
  std::unique_ptr<Metrics> start(std::uint16_t port = 0) {
    MetricsSection section;
    section.port = port;
    auto metrics = Metrics::start(
        section, *board_,
        {{"outbox", directory_.path()}, {"journal_copy_1", directory_.path() / "copy", true}},
        "1.2.3");
    EXPECT_TRUE(metrics) << metrics.error().message();
    return metrics ? std::move(*metrics) : nullptr;
  }
  test::TemporaryDirectory directory_;
  std::unique_ptr<StatusBoard> board_;
};

TEST_F(MetricsTest, EventsAreCounted) {
  const auto metrics = start();
  JobReport report;
  report.count_new = 1000;
  report.rejects["bad_check_digit"] = 3;
  metrics->job_answered(report);
  report.repeated = true;  // the same rows once more: answered, not done
  metrics->job_answered(report);
  metrics->job_ended(JobKind::kDelete, JobEnd::kHeld);
  metrics->segment_committed(JobKind::kIssue, 0.2);
  metrics->failed(Error{ErrorCode::kHsm, "x", {}, {}});
  const auto text = metrics->text();
  EXPECT_THAT(text, HasSubstr(R"(fugo_jobs_total{end="answered",kind="issue"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_jobs_total{end="held",kind="delete"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_jobs_total{end="failed",kind="change"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_rows_total{kind="issue",result="new"} 1000)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_rows_total{kind="issue",result="bad_check_digit"} 3)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_segment_seconds_bucket{kind="issue",le="0.25"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_errors_total{code="hsm"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_build_info{version="1.2.3"} 1)"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_damaged 0\n"));
}

TEST_F(MetricsTest, DamageStaysUntilTheRestart) {
  const auto metrics = start();
  metrics->failed(Error{ErrorCode::kDamaged, "x", {}, {}});
  EXPECT_THAT(metrics->text(), HasSubstr("fugo_ledger_damaged 1\n"));
  EXPECT_THAT(start()->text(), HasSubstr("fugo_ledger_damaged 0\n"));
}

TEST_F(MetricsTest, TheBoardIsRead) {
  const auto metrics = start();
  EXPECT_THAT(metrics->text(), HasSubstr("fugo_oldest_unanswered_age_seconds 0\n"));
  FilesStatus files;
  files.kinds[1].waiting = 7;
  files.kinds[3].held = 2;
  files.oldest_unanswered = unix_now() - 5000;
  board_->set_files(files);
  hsm::Health health;
  health.state = hsm::TokenState::kLatched;
  board_->set_hsm(hsm_status_of(health));
  board_->set_frozen("inquiry", "");
  board_->set_phase(Phase::kWaitingForHsm);
  const auto text = metrics->text();
  EXPECT_THAT(text, HasSubstr(R"(fugo_files{kind="issue",state="waiting"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_files{kind="delete",state="held"} 2)"));
  EXPECT_THAT(text, HasSubstr("fugo_oldest_unanswered_age_seconds 50"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_hsm_state{state="pin_refused"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_hsm_state{state="ok"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_hsm_breaker{state="open"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_frozen{what="issue"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_frozen{what="link"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_phase{phase="waiting_for_hsm"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_folder_free_bytes{folder="outbox"})"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_journal_copy_failing{folder="journal_copy_1"} 0)"));
  EXPECT_THAT(text, Not(HasSubstr("inquiry"))) << "a reason is for people, not for labels";
}

TEST_F(MetricsTest, AScrapeOverHttp) {
  const auto port = test::free_port();
  {
    const auto metrics = start(port);
    const auto answer = test::http_get(port, "/metrics");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("fugo_build_info"));
    EXPECT_THAT(test::http_get(port, "/"), HasSubstr(" 404 "));
    MetricsSection section;
    section.port = port;
    const auto second = Metrics::start(section, *board_, {}, "1.2.3");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kIo);
    EXPECT_THAT(second.error().where, HasSubstr(std::to_string(port)));
  }
  EXPECT_EQ(test::http_get(port, "/metrics"), "");
}

TEST_F(MetricsTest, LedgerTokenAndSymbols) {
  const test::TestSite site;
  const auto rows = test::trial_rows(0, 50, {"131016", "472018"});
  const auto request = site.scratch() / "R1.csv";
  test::write_file(request, test::request_text("R1", rows));
  ASSERT_EQ(site.run({"issue", request.string(), "--out", site.scratch().string()}).exit_code, 0);

  const auto settings = load_settings(site.config());
  ASSERT_TRUE(settings);
  auto opened = open_site(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
  ASSERT_TRUE(opened) << opened.error().message();
  std::vector<std::uint64_t> codes(20);
  std::vector<Block> symbols(codes.size());
  ASSERT_TRUE((*opened)->symbols().linkage((*opened)->active_generation(), codes, {}, symbols));

  // Uses that wait for the daemon are today's too.
  const auto spool = UsageSpool::open(settings->link_usage, "core").value();
  const auto now = unix_now();
  ASSERT_TRUE(spool->write(std::vector<engine::LinkUse>{{"131016", 7, 4, 1}}, now, now));
  const auto metrics = start();
  EXPECT_THAT(metrics->text(), HasSubstr("fugo_ledger_readable 0\n"));
  metrics->watch(opened->get());
  EXPECT_THAT(metrics->text(), Not(HasSubstr("fugo_link_")));
  metrics->count_links(std::make_unique<LinkDay>(settings->link_usage,
                                                 Calendar::of(settings->link.time_zone).value()),
                       /*quota_per_day=*/1000);
  const auto text = metrics->text();
  EXPECT_THAT(text, HasSubstr("fugo_ledger_readable 1\n"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_people 50\n"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_issuances " + std::to_string(rows.size()) + "\n"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_segments 1\n"));
  // What the journal says of the job's blocks, and of its rows.
  const auto shown = site.run({"--json", "journal", "show"}).json();
  nlohmann::json done;
  for (const auto& entry : shown["entries"])
    if (entry["act"] == "issue.done") done = entry["details"];
  ASSERT_FALSE(done["blocks"].empty());
  for (const auto& [key, count] : done["blocks"].items())
    EXPECT_THAT(text, HasSubstr("fugo_key_blocks_total{key=\"" + key + "\"} " +
                                std::to_string(count.get<std::uint64_t>()) + "\n"));
  EXPECT_THAT(text, HasSubstr("fugo_unexplained_blocks_total 0\n"));
  EXPECT_THAT(text, HasSubstr("fugo_quota_rows_today " + std::to_string(rows.size()) + "\n"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_link_asked_today{agency="131016"} 7)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_link_used_today{agency="131016"} 6)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_link_ok_today{agency="131016"} 4)"));
  EXPECT_THAT(text, HasSubstr("fugo_link_quota_per_day 1000\n"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_ledger_files{kind="issued"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_ledger_file_entries{kind="person"} 50)"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_ledger_pages{state="free"} )"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_map_bytes 17179869184\n"));
  EXPECT_THAT(text, HasSubstr("fugo_ledger_commit_seconds_count 0\n"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_hsm_calls_total{function="C_EncryptInit"})"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_hsm_call_seconds_bucket{le="+Inf"})"));
  EXPECT_THAT(text, HasSubstr("fugo_hsm_sessions_dropped_total 0\n"));
  EXPECT_THAT(text, HasSubstr(R"(fugo_symbols_total{kind="linkage",method="cmac-ff-aes256"} 20)"));

  // The reference and the rules name what there is, and all of it.
  JobReport report;
  report.count_new = 1;
  metrics->job_answered(report);
  auto there = names_in(metrics->text(), "# TYPE (fugo_\\w+) ");
  there.insert("fugo_hsm_errors_total");  // only once there was one
  const std::filesystem::path source = FUGO_SOURCE_DIR;
  auto named = names_in(test::read_file(source / "docs/operation.md"), "`(fugo_\\w+)[`{]");
  EXPECT_EQ(named, there);
  EXPECT_THAT(there,
              testing::IsSupersetOf(names_in(
                  test::read_file(source / "daemon/seeing/fugo-alerts.yml"), "\\b(fugo_\\w+)")));

  metrics->watch(nullptr);
  EXPECT_THAT(metrics->text(), HasSubstr("fugo_ledger_readable 0\n"));
}

TEST_F(MetricsTest, NamesAndHelpAreAsTheToolsWantThem) {
  const auto metrics = start();
  JobReport report;
  report.count_new = 1;
  metrics->job_answered(report);
  const auto file = directory_.path() / "metrics.txt";
  test::write_file(file, metrics->text());
  const auto command = "promtool check metrics < " + file.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace fugo::daemon
