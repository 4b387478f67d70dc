// Holding, approving, pausing, cancelling, freezing and stopping a job; its own request file.
#include <gtest/gtest.h>

#include <atomic>

#include "daemon/config.h"
#include "daemon/jobs/job.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

using daemon::JobOptions;
using daemon::JobStop;
using keystore::JobRow;
using keystore::JobState;

// OpenSite is a site with people that is open in this process, as the daemon has it.
class OpenSite {
 public:
  OpenSite() {
    symbols_ = issue_everybody(files_, 6, {"131016", "472018"});
    settings_ = daemon::load_settings(files_.config()).value();
    site_ =
        daemon::open_site(settings_, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
  }

  // A request file in the daemon's hands.
  JobOptions own(const std::string& id, const std::string& text) const {
    JobOptions options;
    options.request = files_.scratch() / (id + ".work");
    write_file(options.request, text);
    options.output_directory = files_.scratch() / "outbox";
    options.records_directory = files_.directory() / "records";
    options.actor = {"fugod", ""};
    options.hold = true;
    options.own_request = true;
    options.segment_rows = 3;
    return options;
  }

  JobRow job(const std::string& id) { return site_->ledger().find_job(id).value().value(); }
  // What another process would commit.
  void order(const std::string& id, const std::function<void(JobRow&)>& change) {
    auto row = job(id);
    change(row);
    const auto update = site_->ledger().begin().value();
    ASSERT_TRUE(update->put_job(row));
    ASSERT_TRUE(update->commit());
  }
  void freeze(const std::string& reason) {
    const auto update = site_->ledger().begin().value();
    update->state().freeze_issue = reason;
    ASSERT_TRUE(update->commit());
  }
  engine::Site& site() { return *site_; }
  const TestSite& files() const { return files_; }

 private:
  TestSite files_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;
  daemon::Settings settings_;
  std::unique_ptr<engine::Site> site_;
};

std::string delete_text(const std::string& id, std::size_t resident) {
  return kind_text(id, "delete", {{resident_code(resident), "clerical_error"}});
}

TEST(JobControl, ADeletionIsHeldUntilItIsApproved) {
  OpenSite open;
  const auto options = open.own("D1", delete_text("D1", 0));
  auto report = daemon::run_job(open.site(), options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->held);
  EXPECT_EQ(report->hold_reason, "delete");
  EXPECT_EQ(open.job("D1").state, JobState::kHeld);
  EXPECT_TRUE(std::filesystem::exists(options.request));
  EXPECT_EQ(open.site().ledger().state()->open_job, 0U);

  ASSERT_TRUE(daemon::run_job(open.site(), options)->held) << "nobody has approved it";
  open.order("D1", [](JobRow& row) { row.approved_by = "alice,bob"; });
  report = daemon::run_job(open.site(), options);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_FALSE(report->held);
  EXPECT_EQ(report->count_deleted, 1U);
  EXPECT_EQ(report->agencies, 2U);
  EXPECT_EQ(open.job("D1").state, JobState::kDone);
  EXPECT_EQ(open.job("D1").hold_reason, "delete");
  EXPECT_FALSE(std::filesystem::exists(options.request)) << "its own request is destroyed";
}

TEST(JobControl, WhatAnOperatorRefusedIsRefusedAgain) {
  OpenSite open;
  const auto options = open.own("D1", delete_text("D1", 0));
  ASSERT_TRUE(daemon::run_job(open.site(), options)->held);
  open.order("D1", [](JobRow& row) { row.state = JobState::kRefused; });
  const auto entries = open.site().ledger().state()->journal_entries;
  auto command = options;
  command.hold = command.own_request = false;
  command.confirm_rows = 1;
  for (const auto& again : {options, command}) {
    const auto report = daemon::run_job(open.site(), again);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::kRefused);
    EXPECT_NE(report.error().message().find("an operator refused it"), std::string::npos)
        << report.error().message();
    EXPECT_EQ(open.job("D1").state, JobState::kRefused);
    EXPECT_TRUE(std::filesystem::exists(options.request));
  }
  EXPECT_EQ(open.site().ledger().state()->journal_entries, entries);
}

TEST(JobControl, AJoinIsHeldAndAnIssueIsNot) {
  OpenSite open;
  const auto join = open.own(
      "J1", kind_text("J1", "change", {{resident_code(0), resident_code(1)}}, /*join=*/true));
  const auto report = daemon::run_job(open.site(), join);
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->hold_reason, "join");
  const auto issue = open.own("I1", request_text("I1", {{"1", "131016", resident_code(50)}}));
  const auto issued = daemon::run_job(open.site(), issue);
  ASSERT_TRUE(issued) << issued.error().message();
  EXPECT_FALSE(issued->held);
  EXPECT_FALSE(std::filesystem::exists(issue.request));
  open.order("J1", [](JobRow& row) { row.approved_by = "alice"; });
  const auto joined = daemon::run_job(open.site(), join);
  ASSERT_TRUE(joined) << joined.error().message();
  EXPECT_EQ(joined->count_joined, 1U);
}

TEST(JobControl, PausedFrozenAndCancelledJobsStopAndSayWhy) {
  OpenSite open;
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < 12; ++i)
    rows.push_back({std::to_string(10 + i), "131016", resident_code(100 + i)});
  auto options = open.own("I1", request_text("I1", rows));
  int segments = 0;
  options.progress = [&](const char* stage, std::uint64_t, std::uint64_t) {
    if (std::string(stage) == "issuing" && ++segments == 2)
      open.order("I1", [](JobRow& row) { row.paused = true; });
  };
  auto stopped = daemon::run_job(open.site(), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(daemon::stop_of(stopped.error()), JobStop::kPaused) << stopped.error().message();
  EXPECT_EQ(open.job("I1").rows_done, 3U);
  EXPECT_TRUE(open.job("I1").paused) << "the job's own commits must not undo the order";
  options.progress = {};
  EXPECT_EQ(daemon::stop_of(daemon::run_job(open.site(), options).error()), JobStop::kPaused);

  open.order("I1", [](JobRow& row) { row.paused = false; });
  open.freeze("audit");
  stopped = daemon::run_job(open.site(), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(daemon::stop_of(stopped.error()), JobStop::kFrozen);
  EXPECT_NE(stopped.error().message().find("audit"), std::string::npos);
  open.freeze("");

  open.order("I1", [](JobRow& row) { row.cancelled = true; });
  stopped = daemon::run_job(open.site(), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(daemon::stop_of(stopped.error()), JobStop::kCancelled);
  EXPECT_EQ(open.job("I1").state, JobState::kCancelled);
  EXPECT_EQ(open.site().ledger().state()->open_job, 0U);
  EXPECT_FALSE(std::filesystem::exists(options.output_directory / ".I1.tmp"));
  EXPECT_FALSE(daemon::run_job(open.site(), options)) << "a cancelled id is used up";
}

// stops_of runs a job, stopped at the n-th question, for every n until it is never asked so often.
std::uint64_t stops_of(OpenSite& open, JobOptions options) {
  std::uint64_t stops = 0;
  for (std::uint64_t most = 1;; ++most) {
    std::atomic<std::uint64_t> asked{0};
    options.keep_going = [&]() -> Status {
      if (++asked < most) return {};
      return fail(ErrorCode::kRefused, "the service is stopping");
    };
    const auto report = daemon::run_job(open.site(), options);
    if (report) return stops;
    ++stops;
    EXPECT_EQ(report.error().what, "the service is stopping");
    EXPECT_TRUE(std::filesystem::exists(options.request));
    if (stops > 300) return stops;
  }
}

TEST(JobControl, WhatKeepGoingSaysEndsTheRunAndALaterOneGoesOn) {
  OpenSite open;
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < 12; ++i)
    rows.push_back({std::to_string(10 + i), "131016", resident_code(100 + i)});
  const auto options = open.own("I1", request_text("I1", rows));
  EXPECT_GT(stops_of(open, options), 10U);
  EXPECT_EQ(open.job("I1").state, JobState::kDone);
  EXPECT_EQ(read_answers(options.output_directory / "I1").at("131016").size(), 12U);
}

TEST(JobControl, AChangeAndADeletionAreStoppedWithinTheirSegmentsToo) {
  OpenSite open;
  auto change = open.own("C1", kind_text("C1", "change", {{resident_code(0), resident_code(100)}}));
  const auto stops = stops_of(open, change);
  EXPECT_GE(stops, 12U) << "those within the only segment included";
  EXPECT_EQ(split_lines(read_file(change.output_directory / "C1/131016.csv")).size(), 3U);
  auto deletion = open.own("D1", delete_text("D1", 100));
  deletion.hold = false;
  deletion.confirm_rows = 1;
  const auto people = open.site().ledger().state()->deleted_people;
  EXPECT_GE(stops_of(open, deletion), 13U)
      << "those while it looks, and before the commit, included";
  EXPECT_EQ(open.site().ledger().state()->deleted_people, people + 2);
  // What was written and given up is gone: the catalogue names every file that is there.
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(open.files().directory() / "ledger/data"))
    if (entry.is_regular_file()) ++files;
  EXPECT_EQ(files, open.site().ledger().snapshot().value()->files().size());
}

TEST(JobControl, AnAnsweredJobEndsWithoutItsRequest) {
  OpenSite open;
  const auto options = open.own("I1", request_text("I1", {{"1", "131016", resident_code(50)}}));
  ASSERT_TRUE(daemon::run_job(open.site(), options));
  EXPECT_FALSE(daemon::finish_job(open.site(), options, "I1")) << "it has ended";
  open.order("I1", [](JobRow& row) { row.state = JobState::kAnswered; });
  const auto finished = daemon::finish_job(open.site(), options, "I1");
  ASSERT_TRUE(finished) << finished.error().message();
  EXPECT_EQ(finished->agencies, 1U);
  EXPECT_EQ(open.job("I1").state, JobState::kDone);
}

TEST(JobControl, AnswersThatWereReceivedAreNotMadeAgain) {
  OpenSite open;
  const auto text = kind_text("C1", "change", {{resident_code(0), resident_code(100)}});
  ASSERT_TRUE(daemon::run_job(open.site(), open.own("C1", text)));
  const auto folder = open.files().scratch() / "outbox/C1";
  std::filesystem::remove(folder / "131016.csv");
  const auto again = daemon::run_job(open.site(), open.own("C1", text));
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_TRUE(again->repeated);
  EXPECT_EQ(again->agencies, 2U);
  EXPECT_FALSE(std::filesystem::exists(folder / "131016.csv"));
  write_file(folder / "472018.csv", "changed");
  EXPECT_FALSE(daemon::run_job(open.site(), open.own("C1", text))) << "not what was made";
}

TEST(JobControl, ASecondWriterIsRefused) {
  OpenSite open;  // holds the ledger for writing
  const auto second = run_kind(open.files(), "I1", "issue",
                               request_text("I1", {{"1", "131016", resident_code(50)}}));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.err.find("nothing was applied"), std::string::npos) << second.err;
  EXPECT_NE(second.err.find("process"), std::string::npos) << second.err;
}

TEST(JobControl, LinkingNeverReplacesAFileAndCanBeFrozen) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 2, {"131016", "472018"});
  const std::string symbol = symbols.at("131016").at(0);
  write_file(site.scratch() / "question", symbol + "\n");
  write_file(site.scratch() / "answer", "precious\n");
  const auto link = [&](const char* out) {
    return site.run({"link", (site.scratch() / "question").string(), "--from", "131016", "--to",
                     "472018", "--out", (site.scratch() / out).string()});
  };
  const auto refused = link("answer");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("is there already"), std::string::npos) << refused.err;
  EXPECT_EQ(read_file(site.scratch() / "answer"), "precious\n");
  ASSERT_EQ(site.run({"freeze", "link", "--reason", "audit"}).exit_code, 0);
  const auto frozen = link("other");
  EXPECT_EQ(frozen.exit_code, 1);
  EXPECT_NE(frozen.err.find("audit"), std::string::npos) << frozen.err;
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "other"));
  ASSERT_EQ(site.run({"thaw", "link"}).exit_code, 0);
  EXPECT_EQ(link("other").exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
