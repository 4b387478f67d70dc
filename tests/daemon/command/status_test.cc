// fugo status beside a daemon: a board of this process plays the daemon's part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/text.h"
#include "daemon/seeing/status_board.h"
#include "daemon/site_access.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using testing::HasSubstr;
using testing::Not;

class FinalizeAtEnd : public testing::Environment {
  void TearDown() override { hsm::finalize_all(); }
};
const auto* const kFinalize = testing::AddGlobalTestEnvironment(new FinalizeAtEnd);

class StatusCommand : public testing::Test {
 protected:
  std::filesystem::path file() const { return site_.directory() / "ledger/fugod.json"; }
  std::unique_ptr<StatusBoard> board() {
    auto opened = StatusBoard::open(file(), "1.2.3");
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }
  // written waits until the file says what `phase` says: the board writes in its own time.
  void written(Phase phase) {
    for (;;) {
      const auto seen = read_status(file());
      if (seen && seen->status && seen->status->phase == phase) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  nlohmann::json json() { return site_.run({"--json", "status"}).json(); }
  test::TestSite site_;
};

TEST_F(StatusCommand, WithoutADaemonItSaysSo) {
  EXPECT_EQ(json()["daemon"], nlohmann::json({{"running", false}}));
  EXPECT_THAT(site_.run({"status"}).out, HasSubstr("does not run"));
}

TEST_F(StatusCommand, WhatTheDaemonDoes) {
  const auto daemon = board();
  daemon->job_started("J1", keystore::JobKind::kIssue);
  daemon->job_progress("issuing", 400, 1000);
  FilesStatus files;
  files.kinds[1].waiting = 3;
  files.kinds[3].held = 1;
  files.oldest_unanswered = unix_now() - 7200;
  daemon->set_files(files);
  daemon->set_hsm({HsmState::kFailed, BreakerState::kOpen, unix_now() + 60, "C_Sign: CKR_X"});
  daemon->set_phase(Phase::kWaitingForHsm);
  written(Phase::kWaitingForHsm);
  const auto all = json();
  const auto& told = all["daemon"];
  EXPECT_EQ(told["running"], true);
  EXPECT_EQ(told["process"], ::getpid());
  EXPECT_EQ(told["phase"], "waiting_for_hsm");
  EXPECT_EQ(told["job"]["id"], "J1");
  EXPECT_EQ(told["job"]["rows_done"], 400);
  EXPECT_EQ(told["hsm"]["breaker"], "open");
  EXPECT_EQ(told["requests"]["issue"]["waiting"], 3);
  EXPECT_EQ(told["requests"]["delete"]["held"], 1);
  EXPECT_THAT(told["requests"]["oldest_unanswered"].get<std::string>(), HasSubstr("+09:00"));
  EXPECT_EQ(all["people"], 0);
  const auto text = site_.run({"status"}).out;
  EXPECT_THAT(text, HasSubstr("waiting_for_hsm: fugod 1.2.3, process "));
  EXPECT_THAT(text, HasSubstr("J1 (issue), issuing: 400 of 1,000 rows"));
  EXPECT_THAT(text, HasSubstr("failed, tried again at "));
  EXPECT_THAT(text, HasSubstr("C_Sign: CKR_X"));
  EXPECT_THAT(text, HasSubstr("issue: 3 waiting, 0 in work, 0 held, 0 refused; delete: 0"));
  EXPECT_THAT(text, HasSubstr("(2 h 00 min ago)"));
}

TEST_F(StatusCommand, TheTokenIsAwayAndTheDaemonRuns) {
  const auto daemon = board();
  daemon->set_phase(Phase::kWaitingForHsm);
  written(Phase::kWaitingForHsm);
  std::filesystem::remove_all(site_.directory() / "tokens/issuing/objects");
  const auto result = site_.run({"--json", "status"});
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_EQ(result.json()["daemon"]["phase"], "waiting_for_hsm");
  EXPECT_THAT(result.json()["ledger_error"].get<std::string>(), Not(testing::IsEmpty()));
  EXPECT_THAT(site_.run({"status"}).out, HasSubstr("cannot be read: "));
}

TEST_F(StatusCommand, AStatusOfADeadDaemonIsNotTakenForALivingOne) {
  board().reset();
  const auto stopped = json()["daemon"];
  EXPECT_EQ(stopped["running"], false);
  EXPECT_EQ(stopped["phase"], "stopped");
  EXPECT_THAT(site_.run({"status"}).out, HasSubstr(", when it stopped"));
}

TEST_F(StatusCommand, WhatTheLedgerHoldsBack) {
  {
    const auto settings = load_settings(site_.config()).value();
    auto opened = open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend);
    ASSERT_TRUE(opened) << opened.error().message();
    auto update = (*opened)->ledger().begin();
    ASSERT_TRUE(update);
    (*update)->state().freeze_issue = "inquiry 7";
    keystore::JobRow job;
    job.id = "D1";
    job.kind = keystore::JobKind::kDelete;
    job.state = keystore::JobState::kHeld;
    job.hold_reason = "delete";
    ASSERT_TRUE((*update)->put_job(job));
    ASSERT_TRUE((*update)->commit());
  }
  const auto all = json();
  EXPECT_EQ(all["frozen"]["issue"], "inquiry 7");
  EXPECT_EQ(all["frozen"]["link"], "");
  EXPECT_EQ(all["held"][0]["id"], "D1");
  EXPECT_EQ(all["held"][0]["reason"], "delete");
  const auto text = site_.run({"status"}).out;
  EXPECT_THAT(text, HasSubstr("frozen          issue: inquiry 7\n"));
  EXPECT_THAT(text, HasSubstr("held            D1: delete: fugo jobs approve or refuse\n"));
}

}  // namespace
}  // namespace fugo::daemon
