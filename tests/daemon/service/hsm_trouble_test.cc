// A daemon whose token goes away, comes back, refuses the PIN, or hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"
#include "tests/hsm/fault_script.h"

namespace fugo::test {
namespace {

using hsm::testing::FaultScript;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130"};

// TroubledSite is a site whose token can be made to fail at any time.
class TroubledSite {
 public:
  TroubledSite() : faults_(site_.scratch() / "faults") {
    const auto text = read_file(site_.config());
    const auto at = text.find("module = "), end = text.find('\n', at);
    site_.set_config(text.substr(at, end - at),
                     "module = \"" + hsm::testing::fault_module().string() + "\"");
    site_.set_config("[ledger]",
                     "[issue]\nsegment_rows = 10\n\n[daemon]\nretry_most_seconds = 1\n\n[ledger]");
  }
  const TestSite& site() const { return site_; }
  const FaultScript& faults() const { return faults_; }
  RunningDaemon::Environment environment() const { return faults_.environment(); }

  static std::string request(const std::string& id, std::size_t residents) {
    return request_text(id, trial_rows(0, residents, kAgencies));
  }
  CommandResult run(const std::vector<std::string>& arguments) const {
    RunOptions options;
    options.environment = faults_.environment();
    return site_.run(arguments, options);
  }

 private:
  TestSite site_;
  FaultScript faults_;
};

bool logged(const RunningDaemon& daemon, const std::string& text) {
  return daemon.log().find(text) != std::string::npos;
}

TEST(HsmTrouble, ATokenThatIsAwayAtTheStartIsWaitedFor) {
  const TroubledSite troubled;
  troubled.faults().set("gone");
  drop(troubled.site(), "a", TroubledSite::request("J1", 5));
  RunningDaemon daemon(troubled.site(), troubled.environment());
  ASSERT_TRUE(wait_for([&] { return logged(daemon, "work stops for now"); })) << daemon.log();
  EXPECT_FALSE(daemon.ended());
  EXPECT_THAT(entries(folder(troubled.site(), "inbox")), ElementsAre("a"));
  ASSERT_TRUE(wait_for([&] {
    return daemon.notices().find("STATUS=waiting_for_hsm") != std::string::npos;
  })) << daemon.notices();
  troubled.faults().lift();
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(HsmTrouble, ATokenThatIsLostInTheMiddleIsWaitedFor) {
  const TroubledSite troubled;
  RunningDaemon daemon(troubled.site(), troubled.environment());
  troubled.faults().set("C_Encrypt after 20 rv CKR_DEVICE_REMOVED");
  drop(troubled.site(), "a", TroubledSite::request("J1", 100));
  ASSERT_TRUE(wait_for([&] { return logged(daemon, "work stops for now"); })) << daemon.log();
  EXPECT_FALSE(answered(troubled.site(), "J1"));
  EXPECT_THAT(entries(folder(troubled.site(), "work")), ElementsAre("a"));
  troubled.faults().lift();
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(entries(folder(troubled.site(), "refused")).empty());
  EXPECT_EQ(troubled.run({"verify"}).exit_code, 0);
}

TEST(HsmTrouble, AWrongPinIsTriedOnceUntilAReload) {
  const TroubledSite troubled;
  const auto pin = troubled.site().directory() / "tokens/issuing/pin";
  const auto good = read_file(pin);
  write_file(pin, "not-the-pin");
  RunningDaemon daemon(troubled.site(), troubled.environment());
  ASSERT_TRUE(wait_for([&] { return logged(daemon, "nothing is tried again before a reload"); }))
      << daemon.log();
  drop(troubled.site(), "a", TroubledSite::request("J1", 5));
  ASSERT_TRUE(wait_for([&] {
    return daemon.notices().find("the PIN is wrong") != std::string::npos;
  })) << daemon.notices();
  write_file(pin, good);
  daemon.signal(SIGHUP);
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << daemon.log();
  const auto log = daemon.log();
  EXPECT_EQ(log.find("work stops for now"), log.rfind("work stops for now")) << log;
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(HsmTrouble, ADaemonIsStoppedAlthoughTheTokenHangs) {
  const TroubledSite troubled;
  RunningDaemon daemon(troubled.site(), troubled.environment());
  troubled.faults().set("C_Encrypt after 10 hang");
  drop(troubled.site(), "a", TroubledSite::request("J1", 50));
  ASSERT_TRUE(wait_for([&] { return troubled.faults().happened() > 0; })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(logged(daemon, "does not come to its next step")) << daemon.log();
  EXPECT_FALSE(answered(troubled.site(), "J1"));
  troubled.faults().lift();
  RunningDaemon second(troubled.site(), troubled.environment());
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << second.log();
  EXPECT_EQ(second.stop(), 0);
}

// Not even the last words of the daemon may keep it: here its status file cannot be written, for a
// pipe that nobody reads is in its place.
TEST(HsmTrouble, ADaemonIsStoppedAlthoughTokenAndStatusHang) {
  const TroubledSite troubled;
  {
    RunningDaemon daemon(troubled.site(), troubled.environment());
    troubled.faults().set("C_Encrypt after 10 hang");
    drop(troubled.site(), "a", TroubledSite::request("J1", 50));
    ASSERT_TRUE(wait_for([&] { return troubled.faults().happened() > 0; })) << daemon.log();
    const auto pipe = troubled.site().directory() / "ledger/fugod.json.new";
    ASSERT_TRUE(wait_for([&] { return ::mkfifo(pipe.c_str(), 0600) == 0; }));
    EXPECT_EQ(daemon.stop(), 0);
    fs::remove(pipe);
  }
  troubled.faults().lift();
  RunningDaemon second(troubled.site(), troubled.environment());
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << second.log();
  EXPECT_EQ(second.stop(), 0);
}

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

TEST(HsmTrouble, TheWatchdogIsNotFedWhileAJobIsStuck) {
  const TroubledSite troubled;
  troubled.site().set_config("[daemon]\n", "[daemon]\nstuck_after_seconds = 1\n");
  auto environment = troubled.environment();
  environment.emplace_back("WATCHDOG_USEC", "100000");
  RunningDaemon daemon(troubled.site(), environment);
  const auto fed = [&] { return count_of(daemon.notices(), "WATCHDOG=1"); };
  ASSERT_TRUE(wait_for([&] { return fed() > 2; }));
  troubled.faults().set("C_Encrypt after 10 hang");
  drop(troubled.site(), "a", TroubledSite::request("J1", 50));
  ASSERT_TRUE(wait_for([&] { return troubled.faults().happened() > 0; })) << daemon.log();
  // A daemon that feeds it does so twenty times in this while.
  EXPECT_TRUE(wait_for([&] {
    const auto before = fed();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return fed() == before;
  }));
  const auto before = fed();
  troubled.faults().lift();
  ASSERT_TRUE(wait_for([&] { return answered(troubled.site(), "J1"); })) << daemon.log();
  EXPECT_TRUE(wait_for([&] { return fed() > before; }));
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
