// Regenerations while fugod works and other processes link: nobody waits for the run, and
// everything that happens meanwhile comes out right.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "tests/daemon/regenerate/beside.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using engine::LinkStatus;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;

constexpr std::size_t kPeople = 120;

// A job was open, or a request waited for its approval.
bool no_moment(const std::string& error) {
  return error.find("is not finished") != std::string::npos ||
         error.find("a job is unfinished") != std::string::npos ||
         error.find("waits for an approval") != std::string::npos;
}

// A site whose daemon runs, with people at all agencies.
class BesideDaemon : public ::testing::Test {
 public:
  BesideDaemon() : old_(issue_everybody(site(), kPeople, kHolders)) { site_.start_daemon(); }

  [[nodiscard]] const TestSite& site() const { return site_.site(); }
  [[nodiscard]] const Symbols& old() const { return old_; }

  // A step that needs a moment without a job is given until it finds one.
  void give(const std::string& name, const std::string& run,
            const std::vector<std::string>& more = {}) const {
    CommandResult done;
    EXPECT_TRUE(wait_for([&] {
      done = step(site(), name, run, more);
      return done.exit_code == 0 || !no_moment(done.err);
    }));
    ASSERT_EQ(done.exit_code, 0) << name << ": " << done.err;
  }

 protected:
  void stop_and_verify() {
    EXPECT_EQ(site_.stop_daemon(), 0);
    expect_sound(site());
    EXPECT_EQ(unnamed_files(site()), std::vector<std::string>());
  }

  [[nodiscard]] fs::path litter(const std::string& name) const {
    const auto path = site().directory() / "ledger/data" / name;
    std::ofstream(path) << "left";
    return path;
  }

  LinkedSite site_;
  const Symbols old_;
};

// What the new version has for a symbol that was answered at some time of the regeneration.
Symbols of_today(const TestSite& site, const std::string& run, const Symbols& answered) {
  Symbols today;
  for (const auto& [agency, symbols] : answered) {
    const Mapping mapping = read_mapping(site, run, agency);
    for (const auto& [resident, symbol] : symbols) {
      const auto found = mapping.find(symbol);
      today[agency][resident] = found == mapping.end() ? symbol : found->second;
    }
  }
  return today;
}

void expect_worked(engine::Linking& linking, const Symbols& today, const Work& work) {
  for (const auto& [agency, symbols] : today)
    for (const auto& [resident, symbol] : symbols) {
      const std::string to = agency == "131016" ? "472018" : "131016";
      Linked right{LinkStatus::kOk, 2, today.at(to).at(resident)};
      if (work.changed().contains(resident)) right = {LinkStatus::kSuperseded, 0, {}};
      if (work.deleted().contains(resident)) right = {LinkStatus::kUnknown, 0, {}};
      EXPECT_EQ(link_text(linking, symbol, agency, to), right) << agency << " " << resident;
    }
}

// Everything between a plan and some time after the finish, with the two at work all the while.
void go_through(BesideDaemon& self, Asker& asker, Work& work, std::string& run, Symbols& now) {
  work.more(1);
  run = plan_run(self.site(), "linkage,agency");
  // Until requests were answered while the new generation was being made.
  std::uint64_t meanwhile = 0;
  for (int times = 0; times < 20 && meanwhile < 3; ++times) {
    const std::uint64_t before = work.rounds();
    ASSERT_EQ(step(self.site(), "run", run).exit_code, 0);
    meanwhile += work.rounds() - before;
  }
  EXPECT_GE(meanwhile, 3U);
  asker.more(20);
  asker.enter(Phase::kCommitting);
  ASSERT_NO_FATAL_FAILURE(self.give("commit", run));
  now = translate(self.site(), run, self.old());
  asker.enter_both(now);
  asker.more(40);
  work.more(2);
  asker.enter(Phase::kFinishing);
  ASSERT_NO_FATAL_FAILURE(self.give("finish", run, {"--without-acks"}));
  asker.enter(Phase::kAfter);
  asker.more(40);
  work.more(2);
}

TEST_F(BesideDaemon, EverybodyGoesOnFromThePlanToTheFinishAndAfterIt) {
  std::string run;
  Symbols now;
  {
    Asker asker(site_, old_);
    Work work(site_);
    ASSERT_NO_FATAL_FAILURE(go_through(*this, asker, work, run, now));
    work.stop();
    asker.stop();
    EXPECT_FALSE(work.deleted().empty());
    expect_worked(asker.linking(), of_today(site(), run, work.symbols()), work);
    for (const auto& agency : kHolders)
      for (const auto& [resident, symbol] : now.at(agency)) {
        const std::string to = agency == "131016" ? "472018" : "131016";
        EXPECT_EQ(link_text(asker.linking(), symbol, agency, to),
                  (Linked{LinkStatus::kOk, 2, now.at(to).at(resident)}));
        EXPECT_EQ(link_text(asker.linking(), old_.at(agency).at(resident), agency, to),
                  (Linked{LinkStatus::kUnknown, 0, {}}));
      }
  }
  stop_and_verify();
}

TEST_F(BesideDaemon, AFinishThatDiesIsEndedWhileTheDaemonWorks) {
  const std::string run = plan_run(site(), "linkage");
  ASSERT_EQ(step(site(), "run", run).exit_code, 0);
  Work work(site_);
  ASSERT_NO_FATAL_FAILURE(give("commit", run));
  work.more(1);
  FaultPlan plan;
  plan.under = site().scratch();
  plan.except = {site().directory() / "tokens", site().directory() / "work",
                 site().directory() / "outbox"};
  std::uint64_t killed = 0;
  for (std::uint64_t at = 8;; at += 7) {
    plan.kill_at = at;
    const auto done =
        run_with_faults({FUGO_BINARY_DIR "/daemon/fugo", "--config", site().config().string(),
                         "regenerate", "finish", run, "--without-acks"},
                        plan);
    if (done.signal != SIGKILL && done.exit_code == 0) break;
    ASSERT_TRUE(done.signal == SIGKILL || no_moment(done.errors)) << done.errors;
    killed += done.signal == SIGKILL ? 1 : 0;
  }
  EXPECT_GT(killed, 1U);
  work.more(2);
  work.stop();
  stop_and_verify();
}

TEST_F(BesideDaemon, TheDaemonRemovesWhatWasLeftWhenARunEnds) {
  // As if whoever ended the run had died before it could unlink a file of the writer's numbers.
  const std::string aborted = plan_run(site(), "linkage");
  ASSERT_EQ(step(site(), "run", aborted).exit_code, 0);
  const auto first = litter("0000000777.fugo");
  ASSERT_EQ(step(site(), "abort", aborted).exit_code, 0);
  EXPECT_TRUE(wait_for([&] { return !fs::exists(first); }));
  EXPECT_EQ(step(site(), "abort", aborted).exit_code, 0);

  const std::string run = plan_run(site(), "ledger");
  ASSERT_EQ(step(site(), "run", run).exit_code, 0);
  ASSERT_EQ(step(site(), "commit", run).exit_code, 0);
  const auto second = litter("0000000778.fugo");
  ASSERT_EQ(step(site(), "finish", run).exit_code, 0);
  EXPECT_FALSE(fs::exists(second)) << "the statement was signed before";
  stop_and_verify();
}

}  // namespace
}  // namespace fugo::test
