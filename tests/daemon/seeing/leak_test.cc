// After jobs that went well and badly: no resident code and no symbol in logs, status or metrics.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/jobs/job.h"
#include "daemon/seeing/log.h"
#include "daemon/seeing/metrics.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/needles.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;

constexpr std::uint64_t kResidents = 30;

class FinalizeAtEnd : public testing::Environment {
  void TearDown() override { hsm::finalize_all(); }
};
const auto* const kFinalize = testing::AddGlobalTestEnvironment(new FinalizeAtEnd);

class SeeingLeak : public testing::Test {
 protected:
  SeeingLeak() : board_(StatusBoard::open(file(), "1.2.3").value()) {
    metrics_ = Metrics::start({}, *board_, {{"scratch", site_.scratch()}}, "1.2.3").value();
    log_ = ::open(log().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    saved_ = ::dup(STDERR_FILENO);
    ::dup2(log_, STDERR_FILENO);
  }
  ~SeeingLeak() override {
    ::dup2(saved_, STDERR_FILENO);
    ::close(log_);
    ::close(saved_);
  }

  std::filesystem::path file() const { return site_.directory() / "ledger/fugod.json"; }
  std::filesystem::path log() const { return site_.scratch() / "log"; }

  // run does with a request what the daemon does, and tells everybody of it.
  void run(engine::Site& site, const std::string& id, const std::string& request) {
    JobOptions options;
    options.request = site_.scratch() / (id + ".csv");
    options.output_directory = site_.scratch() / "out";
    options.records_directory = site_.scratch() / "records";
    options.actor = {"test", ""};
    options.progress = [&](const char* stage, std::uint64_t done, std::uint64_t total) {
      board_->job_progress(stage, done, total);
      log_debug("a job goes on", {field::job(id), field::rows(done)});
    };
    options.segment_committed = [&](double seconds) {
      metrics_->segment_committed(JobKind::kIssue, seconds);
    };
    std::filesystem::create_directory(options.output_directory);
    test::write_file(options.request, request);
    board_->job_started(id, JobKind::kIssue);
    const auto report = run_job(site, options);
    if (report) {
      metrics_->job_answered(*report);
      board_->job_ended(JobEnd::kAnswered);
      log_info("a job was answered",
               {field::job(id), field::file(options.request), field::rows(report->rows),
                field::rows_rejected(report->count_rejected)});
      return;
    }
    metrics_->failed(report.error());
    metrics_->job_ended(JobKind::kIssue, JobEnd::kRefused);
    board_->set_error(report.error(), id);
    board_->job_ended(JobEnd::kRefused);
    log_failure("a job was refused", report.error(), {field::job(id)});
  }

  test::TestSite site_;
  std::unique_ptr<StatusBoard> board_;
  std::unique_ptr<Metrics> metrics_;
  int log_ = -1, saved_ = -1;
};

std::vector<test::Needle> secrets(engine::Site& site, const std::filesystem::path& answers) {
  std::vector<test::Needle> needles;
  std::vector<std::uint64_t> codes;
  for (std::uint64_t i = 0; i < kResidents; ++i) {
    const auto code = test::resident_code(i);
    codes.push_back(std::stoull(code));
    // Counts, times and versions are numbers, too, and the first code is nothing but zeros.
    if (i > 0) test::add_code(code, needles);
  }
  std::vector<Block> symbols(codes.size());
  EXPECT_TRUE(site.symbols().linkage(site.active_generation(), codes, {}, symbols));
  for (const auto& symbol : symbols) test::add_symbol(symbol, needles);
  for (const auto& [agency, rows] : test::read_answers(answers))
    for (const auto& [number, answer] : rows) {
      const auto symbol = decode_symbol(answer.symbol);
      EXPECT_TRUE(symbol) << number;
      if (symbol) test::add_symbol(*symbol, needles);
    }
  return needles;
}

TEST_F(SeeingLeak, NothingOfAPersonIsSeen) {
  start_log("fugod", LogFormat::kJson, LogLevel::kDebug);
  const auto settings = load_settings(site_.config()).value();
  auto opened = open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite);
  ASSERT_TRUE(opened) << opened.error().message();
  auto& site = **opened;
  metrics_->watch(&site);

  const auto rows = test::trial_rows(0, kResidents, {"131016", "472018"});
  run(site, "R1", test::request_text("R1", rows));
  // Codes that went astray: into other columns, a head that counts wrong, a row too long.
  const auto code = test::resident_code(3);
  run(site, "R2", test::request_text("R2", {{code, code, code}, {"1", "131016", code + "0"}}));
  auto cut = test::request_text("R3", rows);
  run(site, "R3", cut.substr(0, cut.size() - 40));
  run(site, "R4", "#fugo-request,version=1,id=R4,kind=" + code + ",records=1\n" + code + "\n");
  run(site, "R1", test::request_text("R1", {{"1", "131016", code}}));

  const auto all_secrets = secrets(site, site_.scratch() / "out/R1");
  EXPECT_GT(all_secrets.size(), 4 * kResidents);
  auto seen = metrics_->text();
  metrics_->watch(nullptr);
  opened->reset();
  metrics_.reset();
  board_.reset();
  seen += test::read_file(file()) + test::read_file(log());
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"status"}, {"--json", "status"}, {"stats"}, {"stats", "--csv"}}) {
    const auto result = site_.run(words);
    seen += result.out + result.err;
  }
  EXPECT_THAT(seen, testing::HasSubstr("\"a job was refused\""));
  EXPECT_THAT(seen, testing::HasSubstr("\"a job was answered\""));
  EXPECT_THAT(test::find_in(as_bytes(seen), all_secrets), testing::IsEmpty());
  seen += code;
  EXPECT_THAT(test::find_in(as_bytes(seen), all_secrets), testing::Contains("code as text"));
}

}  // namespace
}  // namespace fugo::daemon
