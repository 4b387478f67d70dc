// Backups, shipments and a second site while the ledger is given new keys.
#include <atomic>
#include <thread>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kWhat = "linkage,agency,ledger";

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

TEST(BesideRekey, TheSecondSiteGoesThroughItStepByStep) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto before = sites.digest_first();
  const auto run = plan_run(sites.first(), kWhat);
  send_and_follow(sites, "planned");
  back_up(sites, "planned");
  ASSERT_EQ(step(sites.first(), "run", run).exit_code, 0);
  send_and_follow(sites, "run");
  back_up(sites, "run");
  ASSERT_EQ(step(sites.first(), "commit", run).exit_code, 0);
  send_and_follow(sites, "committed");
  (void)sites.issue_first("N1", 500);
  back_up(sites, "committed");
  ASSERT_EQ(step(sites.first(), "finish", run, {"--without-acks"}).exit_code, 0);
  send_and_follow(sites, "finished");
  back_up(sites, "finished");
  EXPECT_NE(sites.digest_first(), before) << "the ledger was to get another data key";
  for (const char* name : {"planned", "run", "committed", "finished"}) expect_restores(sites, name);
  // Nothing of the old generation is left at the second site either.
  EXPECT_EQ(std::distance(fs::directory_iterator(sites.second() / "ledger/data"), {}),
            std::distance(fs::directory_iterator(sites.first().directory() / "ledger/data"), {}));
  ASSERT_EQ(sites.take_over().exit_code, 0);
  EXPECT_EQ(sites.issue_second("N2", 7), sites.issue_first("N2", 7));
  EXPECT_NE(sites.issue_second("N3", 7), sites.symbols().at("131016").at(7));
}

// One shipment over all of it, as after a night.
TEST(BesideRekey, ASecondSiteThatWasBehindFollowsOverAllOfItAtOnce) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto run = plan_run(sites.first(), kWhat);
  ASSERT_EQ(step(sites.first(), "run", run).exit_code, 0);
  ASSERT_EQ(step(sites.first(), "commit", run).exit_code, 0);
  ASSERT_EQ(step(sites.first(), "finish", run, {"--without-acks"}).exit_code, 0);
  send_and_follow(sites, "all at once");
}

TEST(BesideRekey, WhatIsCopiedWhileItFinishesIsWhole) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto run = plan_run(sites.first(), kWhat);
  ASSERT_EQ(step(sites.first(), "run", run).exit_code, 0);
  ASSERT_EQ(step(sites.first(), "commit", run).exit_code, 0);
  std::atomic<bool> over{false};
  CommandResult finished;
  std::thread finisher([&] {
    finished = step(sites.first(), "finish", run, {"--without-acks"});
    over = true;
  });
  int backups = 0;
  do {
    back_up(sites, "backup" + std::to_string(++backups));
    const auto sent = sites.ship({"--always"});
    EXPECT_EQ(sent.exit_code, 0) << sent.err;
  } while (!over && backups < 20);
  finisher.join();
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  ASSERT_EQ(sites.ship({"--always"}).exit_code, 0);
  const auto followed = sites.follow({"--verify"});
  ASSERT_EQ(followed.exit_code, 0) << followed.err;
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
  for (int i = 1; i <= backups; ++i) expect_restores(sites, "backup" + std::to_string(i));
}

// The first site is lost in the middle of a regeneration: the second one ends it.
TEST(BesideRekey, ATakeoverInTheMiddleMayAbortTheRun) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto run = plan_run(sites.first(), "agency");
  ASSERT_EQ(step(sites.first(), "run", run).exit_code, 0);
  send_and_follow(sites, "run");
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto aborted = sites.at_second({"regenerate", "abort", run});
  ASSERT_EQ(aborted.exit_code, 0) << aborted.err;
  EXPECT_EQ(sites.issue_second("N1", 7), sites.symbols().at("131016").at(7));
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
