// A daemon whose disk is full, or fails, at one call: it waits and goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

RunningDaemon::Environment fault(const TestSite& site, unsigned call, int error) {
  return {{"LD_PRELOAD", FUGO_INTERPOSE_LIBRARY},
          {"ASAN_OPTIONS", "verify_asan_link_order=0"},
          {"FUGO_FAULT_UNDER", site.directory().string()},
          {"FUGO_FAULT_EXCEPT", (site.directory() / "tokens").string()},
          {"FUGO_FAULT_FAIL_AT", std::to_string(call)},
          {"FUGO_FAULT_ERRNO", std::to_string(error)}};
}

// DiskSite has one file to be answered, and one to be refused, again and again.
class DiskSite {
 public:
  DiskSite() {
    site_.set_config("[ledger]", "[daemon]\nretry_most_seconds = 1\n\n[ledger]");
    fs::copy(site_.directory() / "ledger", site_.scratch() / "before", fs::copy_options::recursive);
  }
  void reset() const {
    fs::remove_all(site_.directory() / "ledger");
    fs::copy(site_.scratch() / "before", site_.directory() / "ledger", fs::copy_options::recursive);
    for (const char* name : {"inbox", "work", "held", "outbox", "refused", "records"})
      fs::remove_all(folder(site_, name));
    drop(site_, "a", request_text("J1", trial_rows(0, 20, {"131016", "472018"})));
    drop(site_, "b", "#fugo-request,version=1,id=BAD,kind=issue,records=9\n");
  }
  bool done() const {
    return answered(site_, "J1") && refused(site_, "BAD") && entries(folder(site_, "work")).empty();
  }
  std::map<std::string, std::string> answers() const {
    return csv_files(folder(site_, "outbox") / "J1");
  }
  const TestSite& site() const { return site_; }

 private:
  TestSite site_;
};

TEST(DiskTrouble, OneCallThatFailsIsWaitedForAndNothingIsHalfDone) {
  const DiskSite disk;
  disk.reset();
  {
    RunningDaemon daemon(disk.site());
    ASSERT_TRUE(wait_for([&] { return disk.done(); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  const auto expected = disk.answers();
  ASSERT_EQ(expected.size(), 3U);
  unsigned waited = 0, told = 0;
  for (unsigned call = 12; call <= 90; call += 6) {
    disk.reset();
    RunningDaemon daemon(disk.site(), RunningDaemon::DontWait{},
                         fault(disk.site(), call, call % 4 == 0 ? ENOSPC : EIO));
    ASSERT_TRUE(wait_for([&] { return disk.done() || daemon.ended(); }))
        << "call " << call << ": " << daemon.log();
    if (daemon.ended()) {
      // Before it was ready: that is said, and a restart is what systemd does.
      ASSERT_EQ(daemon.end(), 1) << "call " << call << ": " << daemon.log();
      RunningDaemon second(disk.site());
      ASSERT_TRUE(wait_for([&] { return disk.done(); })) << second.log();
      ASSERT_EQ(second.stop(), 0) << "call " << call;
    } else {
      if (daemon.log().find("work stops for now") != std::string::npos) ++waited;
      if (daemon.notices().find("STATUS=waiting_for_disk") != std::string::npos) ++told;
      EXPECT_EQ(daemon.notices().find("waiting_for_hsm"), std::string::npos) << "call " << call;
      ASSERT_EQ(daemon.stop(), 0) << "call " << call;
    }
    ASSERT_EQ(disk.answers(), expected) << "call " << call;
    ASSERT_EQ(entries(folder(disk.site(), "refused")).size(), 1U) << "call " << call;
  }
  EXPECT_GE(waited, 5U);
  EXPECT_GE(told, 1U);
  EXPECT_EQ(disk.site().run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
