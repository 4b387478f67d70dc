// Backups, shipments and a second site while the ledger is given new keys.
#include <atomic>
#include <thread>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kWhat = "linkage,agency,ledger";

// BesideRekey has a second site that follows.
class BesideRekey : public ::testing::Test {
 protected:
  BesideRekey() {
    EXPECT_EQ(sites_.ship().exit_code, 0);
    EXPECT_EQ(sites_.found().exit_code, 0);
  }
  // begin_run plans, runs and commits.
  [[nodiscard]] std::string begin_run() const {
    const auto run = plan_run(sites_.first(), kWhat);
    EXPECT_EQ(step(sites_.first(), "run", run).exit_code, 0);
    EXPECT_EQ(step(sites_.first(), "commit", run).exit_code, 0);
    return run;
  }
  const TwoSites sites_;
};

// send_and_follow brings the second site to where the first is, and compares them.
void send_and_follow(const TwoSites& sites, const std::string& when) {
  const auto sent = sites.ship({"--always"});
  ASSERT_EQ(sent.exit_code, 0) << when << sent.err;
  const auto followed = sites.follow({"--verify"});
  ASSERT_EQ(followed.exit_code, 0) << when << followed.err;
  EXPECT_EQ(followed.json()["applied"], 1) << when;
  EXPECT_EQ(sites.digest_second(), sites.digest_first()) << when;
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0) << when;
}

void back_up(const TwoSites& sites, const std::string& name) {
  const auto made = sites.first().run({"backup", (sites.scratch() / name).string()});
  EXPECT_EQ(made.exit_code, 0) << name << made.err;
}

void expect_restores(const TwoSites& sites, const std::string& name) {
  const auto to = sites.scratch() / ("restored-" + name);
  const auto restored =
      sites.first().run({"restore", (sites.scratch() / name).string(), "--dir", to.string()});
  EXPECT_EQ(restored.exit_code, 0) << name << restored.err;
}

TEST_F(BesideRekey, TheSecondSiteGoesThroughItStepByStep) {
  const auto before = sites_.digest_first();
  const auto run = plan_run(sites_.first(), kWhat);
  send_and_follow(sites_, "planned");
  back_up(sites_, "planned");
  ASSERT_EQ(step(sites_.first(), "run", run).exit_code, 0);
  send_and_follow(sites_, "run");
  back_up(sites_, "run");
  ASSERT_EQ(step(sites_.first(), "commit", run).exit_code, 0);
  const auto copy = (sites_.scratch() / "journal.jsonl").string();
  ASSERT_EQ(sites_.first().run({"journal", "export", "--out", copy}).exit_code, 0);
  const auto lacks = sites_.at_second({"--json", "reconcile", copy});
  EXPECT_EQ(lacks.json()["same_symbols"], false) << lacks.err;
  EXPECT_THAT(lacks.out, ::testing::HasSubstr("a regeneration was committed"));
  send_and_follow(sites_, "committed");
  (void)sites_.issue_first("N1", 500);
  back_up(sites_, "committed");
  ASSERT_EQ(step(sites_.first(), "finish", run, {"--without-acks"}).exit_code, 0);
  send_and_follow(sites_, "finished");
  back_up(sites_, "finished");
  EXPECT_NE(sites_.digest_first(), before) << "the ledger was to get another data key";
  for (const char* name : {"planned", "run", "committed", "finished"})
    expect_restores(sites_, name);
  // Nothing of the old generation is left at the second site either.
  EXPECT_EQ(std::distance(fs::directory_iterator(sites_.second() / "ledger/data"), {}),
            std::distance(fs::directory_iterator(sites_.first().directory() / "ledger/data"), {}));
  ASSERT_EQ(sites_.take_over().exit_code, 0);
  EXPECT_EQ(sites_.issue_second("N2", 7), sites_.issue_first("N2", 7));
  EXPECT_NE(sites_.issue_second("N3", 7), sites_.symbols().at("131016").at(7));
}

// One shipment over all of it, as after a night.
TEST_F(BesideRekey, ASecondSiteThatWasBehindFollowsOverAllOfItAtOnce) {
  const auto run = begin_run();
  ASSERT_EQ(step(sites_.first(), "finish", run, {"--without-acks"}).exit_code, 0);
  send_and_follow(sites_, "all at once");
}

TEST_F(BesideRekey, WhatIsCopiedWhileItFinishesIsWhole) {
  const auto run = begin_run();
  std::atomic<bool> over{false};
  CommandResult finished;
  std::thread finisher([&] {
    finished = step(sites_.first(), "finish", run, {"--without-acks"});
    over = true;
  });
  int backups = 0;
  do {
    back_up(sites_, "backup" + std::to_string(++backups));
    const auto sent = sites_.ship({"--always"});
    EXPECT_EQ(sent.exit_code, 0) << sent.err;
  } while (!over && backups < 20);
  finisher.join();
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  ASSERT_EQ(sites_.ship({"--always"}).exit_code, 0);
  const auto followed = sites_.follow({"--verify"});
  ASSERT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_EQ(sites_.digest_second(), sites_.digest_first());
  for (int i = 1; i <= backups; ++i) expect_restores(sites_, "backup" + std::to_string(i));
}

// The first site is lost in the middle of a regeneration: the second one ends it.
TEST_F(BesideRekey, ATakeoverInTheMiddleMayAbortTheRun) {
  const auto run = plan_run(sites_.first(), "agency");
  EXPECT_EQ(sites_.ship({"--final"}).exit_code, 1) << "nothing is handed over in the middle of it";
  ASSERT_EQ(step(sites_.first(), "run", run).exit_code, 0);
  send_and_follow(sites_, "run");
  ASSERT_EQ(sites_.take_over().exit_code, 0);
  const auto aborted = sites_.at_second({"regenerate", "abort", run});
  ASSERT_EQ(aborted.exit_code, 0) << aborted.err;
  EXPECT_EQ(sites_.issue_second("N1", 7), sites_.symbols().at("131016").at(7));
  EXPECT_EQ(sites_.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
