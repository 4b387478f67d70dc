// kill -9 at each durable step of a merger, full disks, orders from outside, and the daemon beside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/merge_requests.h"
#include "tests/daemon/service/daemon_fixture.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;
using ::testing::HasSubstr;

struct Left {
  std::map<std::string, std::string> answers;
  std::string digest, state;
  friend bool operator==(const Left&, const Left&) = default;
};

// MergeSite is a site with 20 people of 131016, some of whom 472018 knows and one is superseded,
// and segments of eleven rows.
class MergeSite {
 public:
  MergeSite() {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 11\n\n[ledger]");
    std::vector<std::size_t> residents;
    for (std::size_t i = 0; i < 20; ++i) residents.push_back(i);
    EXPECT_EQ(issue_some(site_, "I1", "131016", residents).size(), 20U);
    EXPECT_EQ(issue_some(site_, "I2", "472018", {3, 4, 5}).size(), 3U);
    EXPECT_EQ(run_kind(site_, "C1", "change",
                       kind_text("C1", "change", {{resident_code(4), resident_code(100)}}))
                  .exit_code,
              0);
    std::filesystem::copy(ledger(), site_.scratch() / "before",
                          std::filesystem::copy_options::recursive);
  }

  void reset() const {
    std::filesystem::remove_all(ledger());
    std::filesystem::copy(site_.scratch() / "before", ledger(),
                          std::filesystem::copy_options::recursive);
    std::filesystem::remove_all(out());
    std::filesystem::create_directory(out());
  }

  FaultOutcome run(FaultPlan plan) const {
    plan.under = site_.scratch();
    plan.except = {site_.directory() / "tokens"};
    return run_with_faults(
        {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", site_.config().string(),
         "agency", "merge", "--from", "131016", "--to", "472018", "--out", out().string()},
        plan);
  }
  FaultOutcome killed_at(std::uint64_t step) const { return killed_at(step, step % 2 == 0); }
  FaultOutcome killed_at(std::uint64_t step, bool after) const {
    reset();
    FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = after;
    return run(plan);
  }

  Left left() const { return {csv_files(answers()), digest_of(site_), state()}; }
  std::string state() const { return agency_states(site_).at("131016"); }
  std::uint64_t rows_done() const {
    const auto status = site_.run({"--json", "status"}).json();
    for (const auto& job : status["jobs"])
      if (job["kind"] == "merge") return job["rows_done"];
    return 0;
  }
  std::size_t litter() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(out()), {})) -
           1;
  }
  std::filesystem::path out() const { return site_.scratch() / "merged"; }
  std::filesystem::path answers() const { return out() / merge_id("131016", "472018"); }
  std::filesystem::path ledger() const { return site_.directory() / "ledger"; }
  const TestSite& site() const { return site_; }

 private:
  TestSite site_;
};

// A merger that was stopped when something of it, and not all, was committed.
void stop_half_way(const MergeSite& merge) {
  for (std::uint64_t step = 10; step < 200; ++step) {
    ASSERT_EQ(merge.killed_at(step).signal, SIGKILL);
    if (const auto done = merge.rows_done(); done > 0 && done < 21) return;
  }
  FAIL();
}

TEST(MergeCrash, KilledAtEachDurableStepItGoesOnAndAnswersTheSame) {
  const MergeSite merge;
  merge.reset();
  const auto undisturbed = merge.run({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  const Left expected = merge.left();
  ASSERT_EQ(expected.answers.size(), 1U);
  ASSERT_EQ(expected.state, "closed");
  ASSERT_GT(undisturbed.steps, 20U);
  std::uint64_t killed = 0;
  for (std::uint64_t step = 1; step <= undisturbed.steps + 1; ++step) {
    killed += merge.killed_at(step).signal == SIGKILL ? 1 : 0;
    const auto resumed = merge.run({});
    ASSERT_EQ(resumed.exit_code, 0) << "step " << step << ": " << resumed.errors;
    ASSERT_EQ(merge.left(), expected) << "step " << step;
    ASSERT_EQ(merge.litter(), 0U) << "step " << step;
    if (step % 16 == 0) {
      const auto verified = merge.site().run({"verify"});
      ASSERT_EQ(verified.exit_code, 0) << "step " << step << ": " << verified.err;
    }
  }
  EXPECT_GE(killed, undisturbed.steps * 8 / 10);
}

TEST(MergeCrash, AFullDiskIsSaidAndNothingIsHalfDone) {
  const MergeSite merge;
  merge.reset();
  ASSERT_EQ(merge.run({}).exit_code, 0);
  const Left expected = merge.left();
  FaultPlan count;
  count.fail_errno = ENOSPC;
  merge.reset();
  const std::uint64_t failable = merge.run(count).failable;
  ASSERT_GT(failable, 15U);
  for (std::uint64_t at = 1; at <= failable; at += 1 + failable / 20) {
    merge.reset();
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_errno = ENOSPC;
    plan.fail_forever = true;
    const auto failed = merge.run(plan);
    ASSERT_EQ(failed.signal, 0) << "call " << at;
    if (failed.exit_code != 0) {
      ASSERT_EQ(failed.exit_code, 1) << "call " << at << ": " << failed.errors;
      ASSERT_THAT(failed.errors, HasSubstr("No space left on device")) << "call " << at;
    }
    const auto resumed = merge.run({});
    ASSERT_EQ(resumed.exit_code, 0) << "call " << at << ": " << resumed.errors;
    ASSERT_EQ(merge.left(), expected) << "call " << at;
  }
}

TEST(MergeCrash, WhileItIsUnfinishedNothingElseBeginsAndItCanBeGivenUp) {
  const MergeSite merge;
  stop_half_way(merge);
  const TestSite& site = merge.site();
  const std::string hint = "fugo agency merge --from 131016 --to 472018";
  const auto issued =
      run_kind(site, "I9", "issue", request_text("I9", {{"1", "472018", resident_code(1)}}));
  EXPECT_EQ(issued.exit_code, 1);
  EXPECT_THAT(issued.err, HasSubstr(hint));
  EXPECT_THAT(site.run({"agency", "suspend", "472018"}).err, HasSubstr(hint));
  EXPECT_THAT(site.run({"status"}).out, HasSubstr(hint));
  EXPECT_THAT(run_merge(site, "472018", "011002").err, HasSubstr(hint));
  EXPECT_EQ(merge.state(), "active");

  const std::string id = merge_id("131016", "472018");
  ASSERT_EQ(site.run({"jobs", "pause", id}).exit_code, 0);
  const auto paused = merge.run({});
  EXPECT_EQ(paused.exit_code, 1);
  EXPECT_THAT(paused.errors, HasSubstr("is paused"));
  ASSERT_EQ(site.run({"jobs", "resume", id}).exit_code, 0);
  ASSERT_EQ(site.run({"freeze", "issue", "--reason", "drill"}).exit_code, 0);
  EXPECT_THAT(merge.run({}).errors, HasSubstr("frozen: drill"));
  ASSERT_EQ(site.run({"thaw", "issue"}).exit_code, 0);

  // Given up: what was committed stays, nobody is closed, and it can be begun anew.
  ASSERT_EQ(site.run({"jobs", "cancel", id}).exit_code, 0);
  EXPECT_EQ(run_kind(site, "I9", "issue", request_text("I9", {{"1", "472018", resident_code(50)}}))
                .exit_code,
            0);
  EXPECT_EQ(merge.state(), "active");
  EXPECT_FALSE(std::filesystem::exists(merge.answers()));
  const auto anew = merge.run({});
  ASSERT_EQ(anew.exit_code, 0) << anew.errors;
  EXPECT_EQ(merge.state(), "closed");
  const auto file = merge.out() / (id + "+2") / "472018.csv";
  EXPECT_EQ(split_lines(read_file(file)).size(), 23U);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(MergeCrash, TheAnswersMayGoElsewhereWhileItIsUnfinished) {
  const MergeSite merge;
  merge.reset();
  ASSERT_EQ(merge.run({}).exit_code, 0);
  const Left expected = merge.left();
  stop_half_way(merge);
  const auto done = run_merge(merge.site(), "131016", "472018", "elsewhere");
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.json()["resumed"], true);
  EXPECT_EQ(csv_files(merge.site().scratch() / "elsewhere/merge+131016+472018"), expected.answers);
  EXPECT_EQ(digest_of(merge.site()), expected.digest);
}

TEST(MergeCrash, TheDaemonHoldsTheLedgerAndEndsAMergerThatWasClosed) {
  const MergeSite merge;
  merge.reset();
  const auto undisturbed = merge.run({});
  const Left expected = merge.left();
  // The last step before which the agency is closed and its answers are not out. Files are merged
  // meanwhile, so that it is not always the same one.
  bool found = false;
  for (std::uint64_t kill = 0; kill < 4 * undisturbed.steps && !found; ++kill) {
    const std::uint64_t step = undisturbed.steps - kill / 2 % undisturbed.steps;
    (void)merge.killed_at(step, /*after=*/kill % 2 != 0);
    found = !std::filesystem::exists(merge.answers()) && merge.state() == "closed";
  }
  ASSERT_TRUE(found);
  {
    const RunningDaemon daemon(merge.site());
    ASSERT_TRUE(wait_for([&] { return std::filesystem::exists(merge.answers()); }));
    const auto refused = run_merge(merge.site(), "472018", "011002");
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.err, HasSubstr("stop fugod"));
    EXPECT_THAT(refused.err, HasSubstr("nothing was applied"));
  }
  EXPECT_EQ(merge.left(), expected);
  EXPECT_EQ(merge.run({}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
