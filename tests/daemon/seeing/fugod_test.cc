// A real fugod: what a Prometheus server, fugo status and the log tell of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/seeing/http.h"
#include "tests/daemon/seeing/prometheus_server.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::filesystem::path kRules =
    std::filesystem::path(FUGO_SOURCE_DIR) / "daemon/seeing/fugo-alerts.yml";

class SeenDaemon : public testing::Test {
 protected:
  SeenDaemon() : port_(free_port()) {
    std::ofstream(site_.config(), std::ios::app)
        << "\n[metrics]\nport = " << port_ << "\n\n[log]\nlevel = \"debug\"\nformat = \"json\"\n";
  }
  std::string metrics() const { return http_get(port_, "/metrics"); }

  TestSite site_;
  std::uint16_t port_;
};

TEST_F(SeenDaemon, MetricsStatusAndLogTellOfAJobAndOfNobody) {
  RunningDaemon daemon(site_);
  auto rows = trial_rows(0, 30, {"131016", "472018"});
  const auto good = rows.size();
  // A code in each wrong place: its row is rejected, and it is told nowhere.
  const auto code = resident_code(3);
  rows.push_back({code, "131016", code.substr(0, 10) + (code[10] == '0' ? "1" : "0")});
  rows.push_back({"Z1", code, code});
  drop(site_, "R1.csv", request_text("R1", rows));
  ASSERT_TRUE(wait_for([&] { return answered(site_, "R1"); })) << daemon.log();
  ASSERT_TRUE(wait_for([&] {
    return metrics().find(R"(fugo_jobs_total{end="answered",kind="issue"} 1)") != std::string::npos;
  })) << metrics();
  drop(site_, "R2.csv", "#fugo-request,version=1,id=R2,kind=" + code + "\n" + code + "\n");
  ASSERT_TRUE(wait_for([&] { return refused(site_, "R2.csv"); })) << daemon.log();
  // A code in the name of a file, with what would change a terminal, is told nowhere either.
  drop(site_, code + "\x1b[7m\n.csv",
       "#fugo-request,version=1,id=R3,kind=issue,records=9\n" +
           std::string("processing_number,agency_code,resident_code\n"));
  ASSERT_TRUE(wait_for([&] { return refused(site_, "R3"); })) << daemon.log();

  // The first has no kind that could be read, the second is an issue.
  ASSERT_TRUE(wait_for([&] {
    return metrics().find(R"(fugo_files{kind="issue",state="refused"} 1)") != std::string::npos;
  })) << metrics();
  auto seen = metrics();
  EXPECT_THAT(seen, HasSubstr(R"(fugo_files{kind="unknown",state="refused"} 1)"));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_jobs_total{end="refused",kind="issue"} 1)"));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_jobs_total{end="refused",kind="unknown"} 1)"));
  EXPECT_THAT(seen,
              HasSubstr(R"(fugo_rows_total{kind="issue",result="new"} )" + std::to_string(good)));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_rows_total{kind="issue",result="unknown_agency"} 1)"));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_segment_seconds_count{kind="issue"} 1)"));
  EXPECT_THAT(seen, HasSubstr("fugo_ledger_people 30\n"));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_symbols_total{kind="agency",method="cmac-ff-aes256"} )" +
                              std::to_string(good)));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_hsm_state{state="ok"} 1)"));
  EXPECT_THAT(seen, HasSubstr(R"(fugo_folder_free_bytes{folder="outbox"})"));
  EXPECT_THAT(seen, Not(HasSubstr("fugo_ledger_commit_seconds_count 0\n")));

  // The status is told a moment after the file was refused.
  nlohmann::json status;
  ASSERT_TRUE(wait_for([&] {
    status = site_.run({"--json", "status"}).json();
    return status["daemon"].value("phase", "") == "idle" &&
           status["daemon"]["last_error"].dump().find("xxxxxxxxxxx_") != std::string::npos;
  })) << status.dump();
  EXPECT_EQ(status["daemon"]["running"], true);
  EXPECT_EQ(status["daemon"]["process"], daemon.pid());
  EXPECT_EQ(status["people"], 30);

  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"},
                                                {"--json", "status"},
                                                {"stats"},
                                                {"stats", "--csv"},
                                                {"journal", "show"}}) {
    const auto result = site_.run(words);
    seen += result.out + result.err;
  }
  EXPECT_EQ(daemon.stop(), 0);
  seen += daemon.log() + daemon.notices() + read_file(site_.directory() / "ledger/fugod.json") +
          read_file(folder(site_, "refused") / "R3/reason.txt");
  EXPECT_EQ(seen.find('\x1b'), std::string::npos);
  EXPECT_THAT(daemon.log(), HasSubstr("\"message\":\"a job was answered\""));
  for (std::uint64_t i = 0; i < 30; ++i)
    EXPECT_EQ(seen.find(resident_code(i)), std::string::npos) << "the code of resident " << i;
  std::size_t symbols = 0;
  for (const auto& [agency, answers] : read_answers(folder(site_, "outbox") / "R1"))
    for (const auto& [number, answer] : answers) {
      EXPECT_EQ(seen.find(answer.symbol), std::string::npos) << "a symbol of " << number;
      ++symbols;
    }
  EXPECT_EQ(symbols, good);
  EXPECT_EQ(site_.run({"--json", "status"}).json()["daemon"]["running"], false);
}

TEST_F(SeenDaemon, ChangesDeletionsAndRefusalsAreToldByTheirKinds) {
  {
    RunningDaemon daemon(site_);
    drop(site_, "a", request_text("I", trial_rows(0, 4, {"131016", "472018"})));
    drop(site_, "b",
         kind_text("C", "change",
                   {{resident_code(0), resident_code(100)}, {resident_code(1), resident_code(2)}}));
    drop(site_, "c", kind_text("D", "delete", {{resident_code(3), "clerical_error"}}));
    drop(site_, "d", "#fugo-request,version=1,id=BAD,kind=delete,records=9\n");
    ASSERT_TRUE(wait_for([&] {
      return answered(site_, "I") && answered(site_, "C") && refused(site_, "BAD");
    })) << daemon.log();
    ASSERT_EQ(site_.run({"jobs", "approve", "D"}).exit_code, 0);
    ASSERT_TRUE(wait_for([&] {
      return metrics().find(R"(fugo_jobs_total{end="answered",kind="delete"} 1)") !=
             std::string::npos;
    })) << daemon.log();
    const auto seen = metrics();
    for (const char* kind : {"issue", "change", "delete"})
      EXPECT_THAT(seen,
                  HasSubstr(std::string("fugo_segment_seconds_count{kind=\"") + kind + "\"} 1"));
    EXPECT_THAT(seen, HasSubstr(R"(fugo_files{kind="delete",state="refused"} 1)"));
    EXPECT_EQ(daemon.stop(), 0);
  }
  const auto shown = site_.run({"status"}).out;
  EXPECT_THAT(shown, HasSubstr("changed 1, joined 0"));
  EXPECT_THAT(shown, HasSubstr("deleted 1"));
  EXPECT_THAT(shown, HasSubstr("new 8, existing 0"));
  const auto jobs = site_.run({"--json", "status"}).json()["jobs"];
  EXPECT_EQ(jobs[1]["changed"], 1);
  EXPECT_FALSE(jobs[1].contains("new"));
  EXPECT_EQ(jobs[2]["deleted"], 1);
  // A restarted daemon still knows of what kind it was.
  RunningDaemon daemon(site_);
  ASSERT_TRUE(wait_for([&] {
    return metrics().find(R"(fugo_files{kind="delete",state="refused"} 1)") != std::string::npos;
  })) << metrics();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_F(SeenDaemon, ARealServerScrapesItAndSeesItDie) {
  RunningDaemon daemon(site_);
  const PrometheusServer server(port_, kRules);
  ASSERT_TRUE(wait_for_value(server, "up", "1"));
  ASSERT_TRUE(wait_for_value(server, "fugo_ledger_readable", "1"));
  EXPECT_TRUE(wait_for_firing(server, {}));
  daemon.kill_now();
  EXPECT_TRUE(wait_for_value(server, "up", "0"));
  EXPECT_TRUE(wait_for([&] { return server.alerts("pending").count("FugoMetricsMissing") == 1; }));
  EXPECT_EQ(site_.run({"--json", "status"}).json()["daemon"]["running"], false);
  EXPECT_THAT(site_.run({"status"}).out, HasSubstr("it was killed, or crashed"));
}

TEST_F(SeenDaemon, APortThatIsTakenIsSaidAtTheStart) {
  RunningDaemon first(site_);
  const TestSite other;
  std::ofstream(other.config(), std::ios::app) << "\n[metrics]\nport = " << port_ << "\n";
  RunningDaemon second(other, RunningDaemon::DontWait{});
  EXPECT_EQ(second.end(), 1);
  EXPECT_THAT(second.log(), HasSubstr("cannot serve metrics at this address"));
}

}  // namespace
}  // namespace fugo::test
