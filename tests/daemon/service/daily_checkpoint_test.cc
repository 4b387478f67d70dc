// The daemon signs a checkpoint a day, where the copies of the journal are.
#include "daemon/service/daily_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class DailyCheckpointTest : public ::testing::Test {
 protected:
  DailyCheckpointTest() {
    std::string folders;
    for (const auto& folder : {one_, two_}) {
      fs::create_directory(folder);
      folders += (folders.empty() ? "\"" : ", \"") + folder.string() + "\"";
    }
    site_.set_config("[ledger]", "[daemon]\nrescan_seconds = 1\n\n[journal]\ncopies = [" + folders +
                                     "]\n\n[ledger]");
    site_.set_config("Asia/Tokyo", zone());
    EXPECT_TRUE(set_time_zone(zone()));  // the site's, whose day it is
  }
  // zone is one where no day ends soon.
  static const char* zone() {
    const auto hour = unix_now() / 3600 % 24;
    return hour > 2 && hour < 21 ? "UTC" : "Etc/GMT+12";
  }
  [[nodiscard]] static std::string name() { return daemon::daily_checkpoint_name(); }
  TestSite site_;
  const fs::path one_ = site_.scratch() / "one", two_ = site_.scratch() / "two";
};

TEST_F(DailyCheckpointTest, IsMadeWhereThereIsNoneOfTheDayAndNeverReplaced) {
  write_file(two_ / "checkpoint-2026-01-01.note", "of another day\n");
  std::string first;
  {
    RunningDaemon daemon(site_);
    ASSERT_TRUE(wait_for([&] { return fs::exists(one_ / name()) && fs::exists(two_ / name()); }))
        << daemon.log();
    first = read_file(one_ / name());
    EXPECT_EQ(read_file(two_ / name()), first);
    drop(site_, "a", request_text("J1", trial_rows(0, 5, {"131016"})));
    ASSERT_TRUE(wait_for([&] { return answered(site_, "J1"); })) << daemon.log();
    // While it has nothing to do, too.
    fs::remove(two_ / name());
    ASSERT_TRUE(wait_for([&] { return fs::exists(two_ / name()); })) << daemon.log();
    EXPECT_EQ(daemon.stop(), 0);
  }
  EXPECT_EQ(read_file(one_ / name()), first);
  EXPECT_NE(read_file(two_ / name()), first) << "it signs for more entries";
  EXPECT_EQ(read_file(two_ / "checkpoint-2026-01-01.note"), "of another day\n");
  EXPECT_THAT(first, HasSubstr("\nsenders "));
  const auto verified = site_.run({"journal", "verify", "--checkpoint", (one_ / name()).string(),
                                   "--checkpoint", (two_ / name()).string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  RunningDaemon again(site_);
  EXPECT_EQ(again.stop(), 0);
  EXPECT_EQ(read_file(one_ / name()), first);
}

TEST_F(DailyCheckpointTest, NothingStopsForWantOfOneAndItIsTold) {
  fs::create_directory(one_ / name());
  fs::create_directory(one_ / name() / "full");
  RunningDaemon daemon(site_);
  drop(site_, "a", request_text("J1", trial_rows(0, 5, {"131016"})));
  ASSERT_TRUE(wait_for([&] { return answered(site_, "J1"); })) << daemon.log();
  EXPECT_THAT(daemon.log(), HasSubstr("the day's checkpoint could not be made for now"));
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_TRUE(fs::is_regular_file(two_ / name())) << "one folder's trouble is not another's";
}

// The folders may be on a medium of others, who know what the next file will be called.
TEST_F(DailyCheckpointTest, WritesThroughNothingThatWaitsForIt) {
  const auto precious = site_.scratch() / "precious";
  write_file(precious, "as it was");
  fs::create_symlink(precious, one_ / ("." + name() + ".tmp"));
  ASSERT_EQ(::mkfifo((two_ / ("." + name() + ".tmp")).c_str(), 0600), 0);
  RunningDaemon daemon(site_);
  for (const auto& folder : {one_, two_})
    ASSERT_TRUE(wait_for([&] { return fs::is_regular_file(folder / name()); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(read_file(precious), "as it was");
}

}  // namespace
}  // namespace fugo::test
