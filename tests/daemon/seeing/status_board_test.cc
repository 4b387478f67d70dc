// The status board: what one process writes, another reads.
#include "daemon/seeing/status_board.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;
using testing::HasSubstr;

class StatusBoardTest : public testing::Test {
 protected:
  std::unique_ptr<StatusBoard> open() {
    auto board = StatusBoard::open(file(), "1.2.3");
    EXPECT_TRUE(board) << board.error().message();
    return board ? std::move(*board) : nullptr;
  }
  SeenStatus seen() const {
    auto status = read_status(file());
    EXPECT_TRUE(status) << status.error().message();
    return status ? *status : SeenStatus{};
  }
  // until polls for what the writing thread does in its own time.
  template <typename Condition>
  SeenStatus until(const Condition& condition) const {
    for (;;) {
      auto status = seen();
      if (status.status && condition(*status.status)) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  std::filesystem::path file() const { return directory_.path() / "fugod.json"; }
  test::TemporaryDirectory directory_;
};

TEST_F(StatusBoardTest, WithoutADaemonThereIsNothing) {
  EXPECT_FALSE(seen().running);
  EXPECT_FALSE(seen().status);
}

TEST_F(StatusBoardTest, WhatIsWrittenIsRead) {
  const auto board = open();
  board->job_started("J1", JobKind::kChange);
  board->job_progress("changing", 10, 1000);
  HsmStatus hsm{HsmState::kFailed, BreakerState::kOpen, 1234, "C_Encrypt: CKR_DEVICE_ERROR"};
  board->set_hsm(hsm);
  FilesStatus files;
  files.kinds[2] = {1, 2, 3, 4};
  files.oldest_unanswered = 99;
  files.oldest_held = 98;
  board->set_files(files);
  board->set_frozen("inquiry", "");
  board->set_error(Error{ErrorCode::kIo, "cannot write", "/outbox", {}}, "J0");
  board->set_phase(Phase::kWaitingForHsm);
  const auto status = until([](const auto& s) { return s.phase == Phase::kWaitingForHsm; });
  EXPECT_TRUE(status.running);
  const auto& read = *status.status;
  EXPECT_EQ(read.version, "1.2.3");
  EXPECT_EQ(read.pid, ::getpid());
  ASSERT_TRUE(read.job);
  EXPECT_EQ(read.job->id, "J1");
  EXPECT_EQ(read.job->kind, JobKind::kChange);
  EXPECT_EQ(read.job->stage, "changing");
  EXPECT_EQ(read.job->rows_done, 10U);
  EXPECT_EQ(read.job->rows_total, 1000U);
  EXPECT_EQ(read.hsm, hsm);
  EXPECT_EQ(read.files, files);
  EXPECT_EQ(read.freeze_issue, "inquiry");
  EXPECT_GT(read.frozen_since, 0);
  ASSERT_TRUE(read.last_error);
  EXPECT_EQ(read.last_error->text, "/outbox: cannot write");
  EXPECT_EQ(read.last_error->job, "J0");
}

TEST_F(StatusBoardTest, EndsOfJobs) {
  const auto board = open();
  board->job_started("J1", JobKind::kIssue);
  EXPECT_EQ(board->copy().phase, Phase::kWorking);
  board->job_ended(JobEnd::kRefused);
  EXPECT_FALSE(board->copy().job);
  EXPECT_EQ(board->copy().phase, Phase::kIdle);
  EXPECT_EQ(board->copy().last_success, 0);
  board->job_started("J2", JobKind::kIssue);
  board->job_ended(JobEnd::kAnswered);
  EXPECT_GT(board->copy().last_success, 0);
}

TEST(Phase, EachErrorHasItsOwn) {
  EXPECT_STREQ(phase_name(phase_after(ErrorCode::kHsm)), "waiting_for_hsm");
  EXPECT_STREQ(phase_name(phase_after(ErrorCode::kIo)), "waiting_for_disk");
  EXPECT_STREQ(phase_name(phase_after(ErrorCode::kDamaged)), "stopped_by_damage");
  EXPECT_STREQ(phase_name(phase_after(ErrorCode::kUsage)), "stopped_by_setup");
  EXPECT_STREQ(phase_name(phase_after(ErrorCode::kInternal)), "waiting_to_retry");
  EXPECT_STREQ(phase_name(Phase::kStopped), "stopped");
}

TEST_F(StatusBoardTest, ThawingForgetsSince) {
  const auto board = open();
  board->set_frozen("", "reason");
  EXPECT_GT(board->copy().frozen_since, 0);
  board->set_frozen("", "");
  EXPECT_EQ(board->copy().frozen_since, 0);
}

TEST(RunningJob, TimeThatRemains) {
  RunningJob job;
  EXPECT_FALSE(job.seconds_left());
  job.rows_total = 1000;
  job.rows_done = 400;
  EXPECT_FALSE(job.seconds_left());
  job.rows_per_second = 100;
  EXPECT_DOUBLE_EQ(job.seconds_left().value(), 6.0);
}

TEST_F(StatusBoardTest, OneDaemonForAFile) {
  const auto board = open();
  const auto second = StatusBoard::open(file(), "1.2.3");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kRefused);
  EXPECT_THAT(second.error().what, HasSubstr("another fugod"));
}

TEST_F(StatusBoardTest, TheLastStatusStaysAndIsNotAlive) {
  open().reset();
  EXPECT_FALSE(seen().running);
  ASSERT_TRUE(seen().status);
  EXPECT_EQ(seen().status->phase, Phase::kStopped);
  EXPECT_TRUE(open()) << "the lock of an ended daemon is in the way";
}

TEST_F(StatusBoardTest, AKilledDaemonIsSeenToBeDead) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto board = StatusBoard::open(file(), "1.2.3");
    if (board) (*board)->job_started("J1", JobKind::kIssue);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const auto alive = until([](const auto& s) { return s.job.has_value(); });
  EXPECT_TRUE(alive.running);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(seen().running);
  ASSERT_TRUE(seen().status);
  EXPECT_EQ(seen().status->pid, child);
  EXPECT_TRUE(seen().status->job);
}

TEST_F(StatusBoardTest, ReadableByTheGroupAndWrittenWhole) {
  const mode_t before = ::umask(0077);
  const auto board = open();
  ::umask(before);
  struct stat status {};
  ASSERT_EQ(::stat(file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  // Readers beside a writer that never rests find a whole document each time.
  for (std::uint64_t i = 0; i < 2000; ++i) {
    board->job_started("J" + std::to_string(i), JobKind::kIssue);
    if (i % 10 == 0) {
      EXPECT_TRUE(seen().status);
    }
  }
}

TEST_F(StatusBoardTest, WhatIsNoStatusIsSaid) {
  test::write_file(file(), "{\"version\": 1");
  EXPECT_THAT(read_status(file()).error().what, HasSubstr("not a status"));
  test::write_file(file(), R"({"version": 2})");
  EXPECT_THAT(read_status(file()).error().what, HasSubstr("another version"));
}

}  // namespace
}  // namespace fugo::daemon
