// The memory of a daemon, read from outside and as a core dump: while a segment is in work codes
// and linkage symbols are found there, so the search works; in a core dump they are not even then;
// and when the batch is answered they are nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>

#include "tests/daemon/jobs/needles.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"
#include "tests/daemon/service/process_memory.h"
#include "tests/hsm/fault_script.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

constexpr std::size_t kResidents = 20'000;
// Not where a thread's part ends: whom a thread looked at last is on its stack for a while.
constexpr std::array<std::uint64_t, 3> kPlanted = {7, 4711, 15'000};

// BusySite is a site whose token can be made to hang, and the secrets of some of its people.
class BusySite {
 public:
  BusySite() : faults_(site_.scratch() / "faults") {
    std::vector<std::uint64_t> codes;
    for (const std::uint64_t number : kPlanted) {
      codes.push_back(std::stoull(resident_code(number)));
      add_code(resident_code(number), needles_);
    }
    for (const Block& symbol : symbols_of(site_, codes, "131016").linkage)
      add_symbol(symbol, needles_);
    expect_findable(needles_);
    const auto text = read_file(site_.config());
    const auto at = text.find("module = "), end = text.find('\n', at);
    site_.set_config(text.substr(at, end - at),
                     "module = \"" + hsm::testing::fault_module().string() + "\"");
  }

  [[nodiscard]] const TestSite& site() const { return site_; }
  [[nodiscard]] const hsm::testing::FaultScript& faults() const { return faults_; }
  [[nodiscard]] std::vector<std::string> found(const std::string& memory) const {
    EXPECT_GT(memory.size(), 1U << 20U);
    // What must be in every memory of this daemon.
    EXPECT_NE(memory.find(site_.config().string()), std::string::npos);
    EXPECT_NE(memory.find("fugo-issuing"), std::string::npos);
    return find_in(as_bytes(memory), needles_);
  }
  [[nodiscard]] std::string core_of(pid_t pid, bool all = false) const {
    return test::core_of(pid, site_.scratch(), all);
  }

  void drop_request() const {
    std::vector<TrialRow> rows;
    for (std::uint64_t i = 0; i < kResidents; ++i)
      rows.push_back(
          {std::to_string(1'000'000 + i), i % 2 == 0 ? "131016" : "472018", resident_code(i)});
    drop(site_, "M1.csv", request_text("M1", rows));
  }

  // next_call lets the call that hangs go on, and waits until the next one hangs; false when the
  // request was answered instead.
  [[nodiscard]] bool next_call() const {
    faults_.clear_log();
    faults_.set("# " + std::to_string(++calls_) + "\nC_Encrypt hang\n");
    EXPECT_TRUE(wait_for([&] { return faults_.happened() > 0 || answered(site_, "M1"); }));
    return faults_.happened() > 0;
  }

 private:
  TestSite site_;
  hsm::testing::FaultScript faults_;
  std::vector<Needle> needles_;
  mutable int calls_ = 0;
};

TEST(DaemonMemory, HoldsCodesAndSymbolsWhileTheyAreInWorkAndNotAfterwards) {
  const BusySite busy;
  RunningDaemon daemon(busy.site(), busy.faults().environment());
  busy.faults().set("C_Encrypt hang\n");
  busy.drop_request();
  ASSERT_TRUE(wait_for([&] { return busy.faults().happened() > 0; })) << daemon.log();
  std::map<std::string, std::size_t> most;  // of each needle, how many people's were found at once
  do {
    std::map<std::string, std::size_t> count;
    for (const auto& what : busy.found(memory_of(daemon.pid()))) ++count[what];
    for (const auto& [what, people] : count) most[what] = std::max(most[what], people);
    EXPECT_THAT(busy.found(busy.core_of(daemon.pid())), IsEmpty()) << "a core dump in a segment";
  } while (busy.next_call());
  for (const char* what : {"code as text", "code, little-endian", "symbol", "symbol, second half"})
    EXPECT_EQ(most[what], kPlanted.size()) << what;

  busy.faults().lift();
  ASSERT_TRUE(
      wait_for([&] { return daemon.log().find("a job was answered") != std::string::npos; }));
  EXPECT_THAT(busy.found(memory_of(daemon.pid())), IsEmpty());
  EXPECT_THAT(busy.found(busy.core_of(daemon.pid(), true)), IsEmpty());
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
