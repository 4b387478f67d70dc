// A daemon that cannot write a copy of the journal: it waits as for its own disk, and goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

TEST(CopyTrouble, WithoutACopyNothingIsAnsweredAndNothingIsLost) {
  const TestSite site;
  const auto copies = site.scratch() / "copies", away = site.scratch() / "away";
  fs::create_directory(copies);
  site.set_config("[ledger]",
                  "[daemon]\nretry_most_seconds = 1\nrescan_seconds = 1\n\n[journal]\n"
                  "copies = [\"" +
                      copies.string() + "\"]\n\n[ledger]");
  RunningDaemon daemon(site);
  drop(site, "a", request_text("J1", trial_rows(0, 20, {"131016", "472018"})));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();

  const auto waits = [&] {
    return site.run({"--json", "status"}).json()["daemon"]["phase"] == "waiting_for_disk";
  };
  fs::rename(copies, away);
  drop(site, "b", request_text("J2", trial_rows(20, 20, {"131016", "472018"})));
  ASSERT_TRUE(wait_for(waits)) << daemon.log() << site.run({"--json", "status"}).out;
  EXPECT_FALSE(answered(site, "J2"));
  EXPECT_THAT(daemon.log(), ::testing::HasSubstr("a copy of the journal cannot be kept"));
  fs::rename(away, copies);
  ASSERT_TRUE(wait_for([&] { return answered(site, "J2"); })) << daemon.log();

  // With nothing to do it is noticed too.
  fs::rename(copies, away);
  ASSERT_TRUE(wait_for(waits)) << daemon.log();
  fs::rename(away, copies);
  ASSERT_TRUE(wait_for([&] { return !waits(); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  const auto exported = site.scratch() / "export";
  ASSERT_EQ(site.run({"journal", "export", "--out", exported.string()}).exit_code, 0);
  EXPECT_EQ(read_file(copies / "journal.jsonl"), read_file(exported));
}

}  // namespace
}  // namespace fugo::test
