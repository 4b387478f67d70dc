// Encrypted requests in the daemon's folders: named, ordered, held, refused and killed as others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kAgencies = {"131016", "472018"};

class Inbox : public ::testing::Test {
 protected:
  void drop_sealed(const std::string& name, const std::string& text) const {
    drop(site(), name, read_file(with_.seal("sealed", text)));
  }
  [[nodiscard]] const TestSite& site() const { return with_.site(); }
  [[nodiscard]] std::string reason(const std::string& id) const {
    return read_file(folder(site(), "refused") / id / "reason.txt");
  }
  [[nodiscard]] bool quiet() const {
    return entries(folder(site(), "inbox")).empty() && entries(folder(site(), "work")).empty();
  }
  ExchangeSite with_;
};

TEST_F(Inbox, IsWorkedThrough) {
  const std::string text = request_text("J1", trial_rows(0, 20, kAgencies));
  RunningDaemon daemon(site());
  drop_sealed("J1.p7m", text);
  ASSERT_TRUE(wait_for([&] { return answered(site(), "J1") && quiet(); })) << daemon.log();
  const auto journal = site().run({"journal", "show", "--json"});
  EXPECT_THAT(journal.out, HasSubstr("\"sender\": \"jlis\""));
  EXPECT_THAT(site().run({"outbox", "ack", "J1", "131016"}).err, "");
  // The same request in the clear is answered again, and both files are destroyed.
  drop(site(), "clear", text);
  ASSERT_TRUE(wait_for([&] { return quiet(); })) << daemon.log();
  EXPECT_FALSE(refused(site(), "J1"));
  // Another name than the id, and none at all.
  drop_sealed("J9.p7m", text);
  ASSERT_TRUE(wait_for([&] { return refused(site(), "J9"); })) << daemon.log();
  EXPECT_THAT(reason("J9"), HasSubstr("another id than the file's name"));
  drop_sealed("some file", text);
  ASSERT_TRUE(wait_for([&] { return refused(site(), "some_file"); })) << daemon.log();
  EXPECT_THAT(reason("some_file"), HasSubstr("must be called ID.p7m"));
  // Changed on the way: refused with its reason, destroyed; the daemon goes on.
  std::string bytes =
      read_file(with_.seal("sealed", request_text("J3", trial_rows(0, 5, kAgencies))));
  bytes[bytes.size() - 40] = static_cast<char>(bytes[bytes.size() - 40] ^ 1);
  drop(site(), "J3.p7m", bytes);
  ASSERT_TRUE(wait_for([&] { return refused(site(), "J3"); })) << daemon.log();
  EXPECT_THAT(reason("J3"), HasSubstr("was changed"));
  EXPECT_TRUE(quiet());
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(site().run({"verify"}).exit_code, 0);
}

TEST_F(Inbox, AHeldChangeIsApprovedAndNothingOvertakesIt) {
  ASSERT_EQ(issue_everybody(site(), 10, kAgencies).size(), kAgencies.size());
  RunningDaemon daemon(site());
  drop_sealed("C1.p7m", kind_text("C1", "change", {{resident_code(1), resident_code(2)}}, true));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site(), "held") / "C1/C1.p7m"); }))
      << daemon.log();
  drop_sealed("A1.p7m", kind_text("A1", "delete", {{resident_code(3), "clerical_error"}}));
  ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site(), "held") / "A1/A1.p7m"); }))
      << daemon.log();
  drop_sealed("E1.p7m", request_text("E1", trial_rows(20, 5, kAgencies)));
  drop_sealed("B1.p7m", request_text("B1", trial_rows(30, 5, kAgencies)));
  ASSERT_TRUE(wait_for([&] { return answered(site(), "B1"); })) << daemon.log();
  EXPECT_THAT(entries(folder(site(), "inbox")), ElementsAre("E1.p7m"));
  ASSERT_EQ(site().run({"jobs", "approve", "C1"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site(), "C1") && answered(site(), "E1"); }))
      << daemon.log();
  ASSERT_EQ(site().run({"jobs", "refuse", "A1"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return refused(site(), "A1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_THAT(entries(folder(site(), "held")), IsEmpty());
}

// Kills at random moments over encrypted requests and answers: what comes out is what an
// undisturbed run gives, once.
TEST_F(Inbox, KillsChangeNothing) {
  constexpr int kKills = 12;
  site().set_config("[ledger]", "[issue]\nsegment_rows = 25\n\n[ledger]");
  with_.make_identity("a131016");
  ASSERT_EQ(
      site()
          .run({"agency", "certificate", "131016", (with_.scratch() / "a131016.pem").string()})
          .exit_code,
      0);
  const auto copy = [&](const char* from, const char* to, const fs::path& a, const fs::path& b) {
    fs::remove_all(b / to);
    fs::copy(a / from, b / to, fs::copy_options::recursive);
  };
  copy("ledger", "before", site().directory(), with_.scratch());
  copy("tokens", "tokens", site().directory(), with_.scratch());
  const auto reset = [&] {
    copy("before", "ledger", with_.scratch(), site().directory());
    for (const char* name : {"inbox", "work", "held", "outbox", "refused", "records"})
      fs::remove_all(folder(site(), name));
    drop_sealed("I1.p7m", request_text("I1", trial_rows(0, 40, kAgencies)));
    drop_sealed("I2.p7m", kind_text("I2", "change", {{resident_code(3), resident_code(903)}}));
    drop_sealed("I3.p7m", request_text("I3", trial_rows(20, 40, kAgencies)));
  };
  const auto done = [&] { return quiet() && answered(site(), "I3"); };
  const auto outcome = [&] {
    std::map<std::string, std::string> out;
    for (const char* id : {"I1", "I2", "I3"}) {
      const auto answers = folder(site(), "outbox") / id;
      out[std::string(id) + " sealed"] = with_.opened(answers / "131016.csv.p7m", "a131016");
      for (const auto& [name, text] : csv_files(answers)) out[std::string(id) + name] = text;
    }
    out["digest"] = digest_of(site());
    std::map<std::string, int> acts;
    const auto journal = site().run({"--json", "journal", "show"}).json();
    for (const auto& entry : journal["entries"]) ++acts[entry["act"].get<std::string>()];
    for (const char* act : {"issue.start", "issue.segment", "issue.done", "change.start"})
      out[act] = std::to_string(acts[act]);
    return out;
  };
  reset();
  const auto started = std::chrono::steady_clock::now();
  {
    RunningDaemon daemon(site());
    ASSERT_TRUE(wait_for(done)) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const auto expected = outcome();
  ASSERT_THAT(expected.at("I1 sealed"), HasSubstr("agency=131016"));
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> moment(0, took.count());
  for (int kills = 0; kills < kKills;) {
    reset();
    while (!done() && kills < kKills) {
      RunningDaemon daemon(site(), RunningDaemon::DontWait{});
      std::this_thread::sleep_for(std::chrono::duration<double>(moment(random)));
      daemon.kill_now();
      ++kills;
      copy("tokens", "tokens", with_.scratch(), site().directory());  // SoftHSM's own fault
    }
    RunningDaemon daemon(site());
    ASSERT_TRUE(wait_for(done)) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
    EXPECT_EQ(outcome(), expected);
  }
  EXPECT_EQ(site().run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
