// Jobs that are given up half way: what was committed stays, and agencies can follow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/jobs/job.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

using Symbols = std::map<std::string, std::map<std::size_t, std::string>>;
const std::vector<std::string> kAgencies = {"131016", "472018"};

// BegunSite is a site whose daemon was stopped after the first three of six rows of a change, C1.
class BegunSite {
 public:
  BegunSite() {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 3\n\n[ledger]");
    symbols_ = issue_everybody(site_, 6, kAgencies);
    std::vector<std::pair<std::string, std::string>> rows;
    for (std::size_t i = 0; i < 6; ++i) rows.emplace_back(resident_code(i), resident_code(100 + i));
    text_ = kind_text("C1", "change", rows);
    for (const char* name : {"work", "outbox"}) {
      fs::create_directory(folder(site_, name));
      fs::permissions(folder(site_, name), fs::perms::owner_all);
    }
    write_file(request(), text_);
    const auto settings = daemon::load_settings(site_.config()).value();
    const auto site =
        daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
    daemon::JobOptions options;
    options.request = request();
    options.output_directory = settings.daemon.outbox;
    options.records_directory = settings.daemon.records;
    options.actor = {"fugod", ""};
    options.hold = options.own_request = true;
    options.segment_rows = 3;
    bool stop = false;
    options.progress = [&stop](const char* stage, std::uint64_t done, std::uint64_t) {
      stop = std::string(stage) == "changing" && done == 3;
    };
    options.keep_going = [&stop]() -> Status {
      if (!stop) return {};
      return fail(ErrorCode::kRefused, "the service is stopping");
    };
    EXPECT_FALSE(daemon::run_job(*site, options));
    EXPECT_EQ(site->ledger().find_job("C1").value()->rows_done, 3U);
  }
  const TestSite& site() const { return site_; }
  fs::path request() const { return folder(site_, "work") / "c"; }
  const std::string& text() const { return text_; }

  // What agencies and the site learn of the three rows, and that they can follow.
  void expect_answers() const {
    const auto out = folder(site_, "outbox") / "C1";
    for (const auto& agency : kAgencies) {
      const auto lines = split_lines(read_file(out / (agency + ".csv")));
      ASSERT_EQ(lines.size(), 5U) << agency;
      std::map<std::string, std::string> pairs;
      for (std::size_t i = 2; i < lines.size(); ++i) pairs[lines[i].at(0)] = lines[i].at(1);
      for (std::size_t i = 0; i < 3; ++i) {
        const auto& old_symbol = symbols_.at(agency).at(i);
        ASSERT_EQ(pairs.count(old_symbol), 1U);
        const auto other = agency == kAgencies[0] ? kAgencies[1] : kAgencies[0];
        EXPECT_EQ(link_one(site_, old_symbol, agency, other), "superseded");
        EXPECT_THAT(link_one(site_, pairs[old_symbol], agency, other), HasSubstr("ok,"));
      }
    }
    EXPECT_EQ(read_file(out / "rejects.csv"), "line,processing_number,reason\n");
    const auto summary = nlohmann::json::parse(read_file(out / "summary.json"));
    EXPECT_EQ(summary["counts"]["changed"], 3);
    EXPECT_EQ(summary["counts"]["cancelled"], 3);
    EXPECT_EQ(split_lines(read_file(folder(site_, "records") / "C1.csv")).size(), 4U);
    const auto jobs = site_.run({"--json", "jobs", "list", "--all"}).json()["jobs"];
    for (const auto& job : jobs) {
      if (job["id"] == "C1") {
        EXPECT_EQ(job["state"], "cancelled");
      }
    }
  }

 private:
  TestSite site_;
  Symbols symbols_;
  std::string text_;
};

TEST(Cancel, ABegunChangeWhoseRequestIsThereIsNot) {
  const BegunSite begun;
  const auto cancel = [&] { return begun.site().run({"jobs", "cancel", "C1"}); };
  const auto refused_cancel = cancel();
  EXPECT_EQ(refused_cancel.exit_code, 1);
  EXPECT_THAT(refused_cancel.err, HasSubstr("its request is there"));
  for (const char* name : {"inbox", "held"}) {
    const auto place = folder(begun.site(), name) / (std::string(name) == "held" ? "C1" : ".");
    fs::create_directories(place);
    fs::rename(begun.request(), place / "c");
    EXPECT_EQ(cancel().exit_code, 1) << name;
    fs::rename(place / "c", begun.request());
  }
  RunningDaemon daemon(begun.site());
  ASSERT_TRUE(wait_for([&] { return answered(begun.site(), "C1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(split_lines(read_file(folder(begun.site(), "outbox") / "C1/131016.csv")).size(), 8U);
}

TEST(Cancel, ABegunChangeWhoseRequestIsLostEndsWithWhatWasCommitted) {
  const BegunSite begun;
  const auto& site = begun.site();
  fs::remove(begun.request());
  RunningDaemon daemon(site);
  drop(site, "z", request_text("I1", trial_rows(500, 4, kAgencies)));
  ASSERT_TRUE(wait_for([&] {
    return daemon.log().find("its request file is not there") != std::string::npos;
  })) << daemon.log();
  EXPECT_THAT(entries(folder(site, "inbox")), ElementsAre("z"));
  const auto cancelled = site.run({"--operator", "chief", "jobs", "cancel", "C1"});
  ASSERT_EQ(cancelled.exit_code, 0) << cancelled.err;
  EXPECT_THAT(cancelled.out, HasSubstr("3 of 6 rows had been applied, and stay"));
  EXPECT_THAT(cancelled.out, HasSubstr((folder(site, "outbox") / "C1").string()));
  ASSERT_TRUE(wait_for([&] { return answered(site, "C1") && answered(site, "I1"); }))
      << daemon.log();
  begun.expect_answers();
  // The file that was lost and found: it says what happened to it.
  drop(site, "c", begun.text());
  ASSERT_TRUE(wait_for([&] { return refused(site, "C1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  const auto journal = site.run({"--json", "journal", "show"}).json();
  std::vector<std::string> entries_of_end;
  for (const auto& entry : journal["entries"])
    if (entry["act"] == "change.cancelled") entries_of_end.push_back(entry["details"].dump());
  ASSERT_EQ(entries_of_end.size(), 1U);
  EXPECT_THAT(entries_of_end[0], HasSubstr("\"changed\":3"));

  // A crash between the commit and the answers: the next start brings them out.
  const auto out = folder(site, "outbox"), records = folder(site, "records");
  fs::rename(out / "C1", out / ".C1.tmp");
  fs::rename(records / "C1.csv", records / ".C1.csv.tmp");
  RunningDaemon second(site);
  ASSERT_TRUE(wait_for([&] { return answered(site, "C1"); })) << second.log();
  EXPECT_EQ(second.stop(), 0);
  begun.expect_answers();
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(Cancel, TheCommandGivesItUpBeforeItRunsAnother) {
  const BegunSite begun;
  const auto& site = begun.site();
  fs::remove(begun.request());
  ASSERT_EQ(site.run({"jobs", "cancel", "C1"}).exit_code, 0);
  const auto issued =
      run_kind(site, "I1", "issue", request_text("I1", {{"1", "131016", resident_code(50)}}));
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  begun.expect_answers();
}

}  // namespace
}  // namespace fugo::test
