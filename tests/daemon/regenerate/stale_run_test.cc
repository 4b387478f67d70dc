// Steps of a run that others have gone on with meanwhile, steps that are given again, and plans
// that died: nothing is done twice, nothing is undone, and no key is left behind.
#include <gtest/gtest.h>

#include "daemon/key_making.h"
#include "daemon/regenerate/plan_making.h"
#include "daemon/regenerate/regeneration.h"
#include "daemon/site_access.h"
#include "engine/regenerate/run_plan.h"
#include "hsm/token.h"
#include "keystore/bulk_files.h"
#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using keystore::Access;
using keystore::RunRow;
using keystore::RunState;

constexpr std::size_t kPeople = 8;

template <typename T>
T must(Result<T> result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().message());
  return std::move(*result);
}

daemon::Settings settings_of(const TestSite& site) {
  return must(daemon::load_settings(site.config()));
}

// Inside is the site as a process has it open that takes a step of a run.
class Inside {
 public:
  explicit Inside(const TestSite& site)
      : settings_(settings_of(site)),
        site_(must(daemon::open_site(settings_, hsm::TokenRole::kIssuing, Access::kAppend))) {
    options_.actor = {"tester", {}};
    options_.records = settings_.daemon.records;
  }
  ~Inside() {
    site_.reset();
    hsm::finalize_all();
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  RunRow find(const std::string& run) { return must(engine::find_run(site_->ledger(), run)); }
  Status run(RunRow row) { return carry_out(*site_, row, {}, options_); }
  Status commit(RunRow row) { return daemon::commit(*site_, row, false, options_); }
  Status abort(RunRow row) { return daemon::abort(*site_, row, options_); }

 private:
  daemon::Settings settings_;
  std::unique_ptr<engine::Site> site_;
  daemon::RunOptions options_;
};

std::string state_of(const TestSite& site, const std::string& run) {
  return step(site, "status", run).json()["state"];
}

std::uint64_t journal_entries(const TestSite& site) {
  return site.run({"--json", "status"}).json()["journal_entries"];
}

std::string ready_run(const TestSite& site, const std::string& what,
                      const std::vector<std::string>& more = {}) {
  const std::string run = plan_run(site, what, more);
  EXPECT_EQ(step(site, "run", run).exit_code, 0);
  return run;
}

void expect_refused(const Status& status) {
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kRefused) << status.error().message();
}

TEST(StaleRun, ThatWasCommittedMeanwhileStaysCommitted) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string run = ready_run(site, "linkage");
  {
    Inside inside(site);
    const RunRow seen = inside.find(run);
    ASSERT_EQ(seen.state, RunState::kReady);
    ASSERT_EQ(step(site, "commit", run).exit_code, 0);
    EXPECT_TRUE(inside.run(seen));  // no file is lost, and nothing else is left to make
    expect_refused(inside.abort(seen));
    EXPECT_TRUE(inside.commit(seen));  // it is done
  }
  EXPECT_EQ(state_of(site, run), "committed");
  expect_same(ask_again(site, "A", kPeople), translate(site, run, old), "after it");
  expect_sound(site);
}

TEST(StaleRun, ThatWasAbortedMeanwhileIsNeitherMadeNorCommitted) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string run = ready_run(site, "agency", {"--agency", "472018"});
  {
    Inside inside(site);
    const RunRow seen = inside.find(run);
    ASSERT_EQ(step(site, "abort", run).exit_code, 0);
    expect_refused(inside.commit(seen));
    expect_refused(inside.run(seen));
    EXPECT_TRUE(inside.abort(seen));
  }
  EXPECT_EQ(state_of(site, run), "aborted");
  expect_same(ask_again(site, "A", kPeople), old, "after it");
  expect_sound(site);
}

TEST(StaleRun, AStepThatIsGivenAgainSaysThatItIsDone) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = ready_run(site, "linkage");
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  auto entries = journal_entries(site);
  const auto committed = step(site, "commit", run);
  EXPECT_EQ(committed.exit_code, 0) << committed.err;
  EXPECT_EQ(committed.json()["state"], "committed");
  EXPECT_EQ(journal_entries(site), entries);
  const auto otherwise = step(site, "commit", run, {"--reject-old"});
  EXPECT_EQ(otherwise.exit_code, 1);  // that is another wish
  EXPECT_NE(otherwise.err.find("old symbols accepted"), std::string::npos) << otherwise.err;
  ASSERT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0);
  const auto statement = read_file(mapping_folder(site, run) / "statement.json");
  entries = journal_entries(site);
  const auto finished = step(site, "finish", run);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.json()["state"], "finished");
  EXPECT_EQ(journal_entries(site), entries);
  EXPECT_EQ(read_file(mapping_folder(site, run) / "statement.json"), statement);
  EXPECT_EQ(step(site, "commit", run).exit_code, 1);
  EXPECT_EQ(step(site, "abort", run).exit_code, 1);
}

// An agency run's finish changes which symbols are accepted: not within a job.
TEST(StaleRun, AFinishWaitsForTheJobThatIsOpen) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = ready_run(site, "agency", {"--agency", "472018"});
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  const auto put_job = [&](keystore::JobState state) {
    const auto opened =
        must(daemon::open_ledger(settings_of(site), hsm::TokenRole::kIssuing, Access::kAppend));
    const auto update = must(opened.ledger->begin());
    keystore::JobRow job;
    if (const auto known = must(opened.ledger->find_job("HALF"))) job = *known;
    job.id = "HALF";
    job.state = state;
    EXPECT_TRUE(update->put_job(job));
    EXPECT_TRUE(update->commit());
  };
  put_job(keystore::JobState::kRunning);
  hsm::finalize_all();
  const auto refused = step(site, "finish", run, {"--without-acks"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("HALF"), std::string::npos) << refused.err;
  EXPECT_EQ(state_of(site, run), "committed");
  put_job(keystore::JobState::kCancelled);
  hsm::finalize_all();
  EXPECT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0);
  EXPECT_EQ(site.run({"--json", "status"}).json()["frozen"]["issue"], "");
}

TEST(StaleRun, AnAgencyWhoseLastPersonIsDeletedIsNotWaitedFor) {
  const TestSite site;
  (void)issue_everybody(site, 3, {"131016"});
  write_file(site.scratch() / "X.csv", request_text("X", {{"PN1", "472018", resident_code(10)}}));
  ASSERT_EQ(site.run({"issue", (site.scratch() / "X.csv").string(), "--out",
                      (site.scratch() / "out").string()})
                .exit_code,
            0);
  const std::string run = ready_run(site, "linkage");
  ASSERT_TRUE(fs::exists(mapping_folder(site, run) / "472018.csv"));
  delete_one(site, "GONE", 10);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  EXPECT_FALSE(fs::exists(mapping_folder(site, run) / "472018.csv"));
  EXPECT_EQ(step(site, "ack", run, {"--agency", "472018"}).exit_code, 1);
  const auto acknowledged = step(site, "ack", run, {"--agency", "131016"});
  EXPECT_EQ(acknowledged.json()["waiting"].size(), 0U);
  const auto finished = step(site, "finish", run);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
}

// DyingPlan is a plan as its process leaves it that dies when the keys are made.
class DyingPlan {
 public:
  explicit DyingPlan(const TestSite& site) : site_(site), settings_(settings_of(site)) {
    engine::RunWish wish;
    wish.what = keystore::kRunLinkage;
    wish.reason = "a trial";
    wish.actor = {"tester", {}};
    engine::RunPlan plan;
    {
      const auto opened = open();
      plan = must(engine::begin_plan(*opened.ledger, wish, false));
    }
    names_ = plan.keys.to_make;
    run_ = plan.run.id;
    auto administration = must(daemon::KeyAdministration::open(settings_));
    package_ = must(administration.make(names_, run_)).recovery_package;
  }

  const std::string& run() const { return run_; }
  const fs::path& package() const { return package_; }
  const std::vector<hsm::KeyName>& names() const { return names_; }
  // keys counts those that are in a token.
  std::size_t keys() const {
    std::size_t count = 0;
    for (const auto role : daemon::configured_roles(settings_)) {
      const auto token = must(hsm::Token::open(must(settings_.token(role))));
      for (const auto& name : names_) count += token->find_key(name, std::nullopt) ? 1 : 0;
    }
    hsm::finalize_all();
    return count;
  }
  daemon::OpenLedger open() const {
    return must(daemon::open_ledger(settings_, hsm::TokenRole::kIssuing, Access::kAppend));
  }
  const daemon::Settings& settings() const { return settings_; }

 private:
  const TestSite& site_;
  daemon::Settings settings_;
  std::vector<hsm::KeyName> names_;
  std::string run_;
  fs::path package_;
};

TEST(DeadPlan, IsTakenBackByAnAbortWithItsKeys) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const DyingPlan dead(site);
  ASSERT_GE(dead.keys(), 2 * dead.names().size());  // not every token has every key
  ASSERT_TRUE(fs::exists(dead.package()));
  EXPECT_EQ(state_of(site, dead.run()), "planning");
  EXPECT_EQ(step(site, "run", dead.run()).exit_code, 1);
  const auto aborted = step(site, "abort", dead.run());
  ASSERT_EQ(aborted.exit_code, 0) << aborted.err;
  EXPECT_EQ(aborted.json()["state"], "aborted");
  EXPECT_EQ(dead.keys(), 0U);
  EXPECT_FALSE(fs::exists(dead.package()));
  EXPECT_EQ(step(site, "abort", dead.run()).exit_code, 0);
  expect_sound(site);
  EXPECT_EQ(plan_run(site, "linkage"), "R+0002");
}

TEST(DeadPlan, IsTakenBackByTheNextPlan) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const DyingPlan dead(site);
  const std::string next = plan_run(site, "linkage");
  EXPECT_EQ(state_of(site, dead.run()), "aborted");
  EXPECT_EQ(state_of(site, next), "planned");
  EXPECT_EQ(dead.keys(), 0U);
  EXPECT_FALSE(fs::exists(dead.package()));
  EXPECT_TRUE(fs::exists(dead.package().parent_path() / ("recovery-package-" + next + ".json")));
}

TEST(DeadPlan, IsNotTakenForDeadWhileSomebodyMakesItsKeys) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const DyingPlan plan(site);
  const std::size_t keys = plan.keys();
  {
    const auto administration = must(daemon::KeyAdministration::open(plan.settings()));
    for (const auto& refused :
         {step(site, "abort", plan.run()),
          site.run({"regenerate", "plan", "--what", "linkage", "--reason", "x"})}) {
      EXPECT_EQ(refused.exit_code, 1);
      EXPECT_NE(refused.err.find("another process makes or destroys keys"), std::string::npos)
          << refused.err;
    }
  }
  EXPECT_EQ(state_of(site, plan.run()), "planning");
  EXPECT_EQ(plan.keys(), keys);
}

TEST(DeadPlan, ThatWentOnIsNotGivenUp) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage");
  const auto settings = settings_of(site);
  std::vector<hsm::KeyName> names;
  {
    const auto opened =
        must(daemon::open_ledger(settings, hsm::TokenRole::kIssuing, Access::kAppend));
    RunRow stale = must(engine::find_run(*opened.ledger, run));
    names = engine::keys_of(stale);
    stale.state = RunState::kPlanning;  // as another process saw it a moment ago
    expect_refused(engine::give_up_plan(*opened.ledger, stale, {"tester", {}}));
  }
  auto administration = must(daemon::KeyAdministration::open(settings));
  expect_refused(administration.take_back(names, run));
  EXPECT_EQ(state_of(site, run), "planned");
  EXPECT_TRUE(
      fs::exists(settings.recovery.package_directory / ("recovery-package-" + run + ".json")));
  expect_sound(site);  // looks every key up
}

}  // namespace
}  // namespace fugo::test
