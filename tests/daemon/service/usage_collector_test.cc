// Uses of linking that processes left in files, journaled by the real daemon.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "daemon/config.h"
#include "daemon/link_day.h"
#include "daemon/link_usage.h"
#include "daemon/site_access.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;
using daemon::UsageSpool;
using engine::LinkUse;

constexpr std::int64_t kFrom = 1'795'000'000;

class UsesTest : public testing::Test {
 protected:
  UsesTest() { site_.set_config("[ledger]", "[daemon]\nrescan_seconds = 1\n\n[ledger]"); }
  fs::path uses() const { return site_.directory() / "link-usage"; }
  void leave(const std::vector<LinkUse>& counts) const {
    const auto spool = UsageSpool::open(uses(), "core");
    ASSERT_TRUE(spool) << spool.error().message();
    ASSERT_TRUE((*spool)->write(counts, kFrom, kFrom + 60));
  }
  std::vector<nlohmann::json> acts() const {
    std::vector<nlohmann::json> found;
    const auto shown = site_.run({"--json", "journal", "show", "--last", "1000"}).json();
    for (const auto& entry : shown["entries"])
      if (entry["act"] == "link.use") found.push_back(entry);
    return found;
  }
  bool wait_until_taken() const {
    return wait_for([&] { return entries(uses()).empty(); });
  }
  // asked adds up all entries of the journal.
  std::uint64_t asked(const std::string& agency) const {
    std::uint64_t sum = 0;
    for (const auto& act : acts())
      if (act["details"]["agencies"].contains(agency))
        sum += act["details"]["agencies"][agency]["asked"].get<std::uint64_t>();
    return sum;
  }
  const TestSite site_;
};

TEST_F(UsesTest, AreJournaledWithTheirCountsAndDestroyed) {
  leave({{"131016", 7, 5}, {"472018", 1, 0}});
  leave({{"131016", 3, 3}});
  const auto names = entries(uses());
  ASSERT_EQ(names.size(), 2U);
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  ASSERT_EQ(acts().size(), 1U);  // what waits is one entry
  const auto act = acts()[0];
  EXPECT_EQ(act["operator"], "fugod");
  EXPECT_EQ(act["details"]["agencies"]["131016"], (nlohmann::json{{"asked", 10}, {"ok", 8}}));
  EXPECT_EQ(act["details"]["agencies"]["472018"], (nlohmann::json{{"asked", 1}, {"ok", 0}}));
  ASSERT_EQ(act["details"]["files"].size(), 2U);
  EXPECT_EQ(act["details"]["files"][0]["name"], names[0]);
  EXPECT_EQ(act["details"]["files"][0]["program"], "core");
  EXPECT_EQ(act["details"]["files"][0]["process"], ::getpid());
  EXPECT_EQ(act["details"]["files"][0]["account"], ::getuid());
  // A running daemon takes more without being told.
  leave({{"131130", 4, 4}});
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(asked("131130"), 4U);
  EXPECT_EQ(fugod.stop(), 0);
  EXPECT_EQ(site_.run({"verify"}).exit_code, 0);
}

// What waited for days counts for the days on which it was left, before it is journaled and after.
TEST_F(UsesTest, AreOfTheDayOnWhichTheyWereLeft) {
  constexpr std::int64_t kTwoDays = 2 * 86'400;
  const auto now = unix_now();
  const auto spool = UsageSpool::open(uses(), "core").value();
  const auto left = [&](std::uint64_t asked, std::int64_t at) {
    const std::vector<LinkUse> some = {{"131016", asked, asked}};
    ASSERT_TRUE(spool->write(some, at - 60, at));
  };
  left(100, now - kTwoDays);
  left(7, now);
  const auto settings = daemon::load_settings(site_.config()).value();
  const auto used_today = [&] {
    const auto open =
        daemon::open_site(settings, hsm::TokenRole::kLinking, keystore::Access::kRead).value();
    daemon::LinkDay day(uses(), Calendar::of(settings.link.time_zone).value());
    EXPECT_TRUE(day.read(open->ledger()));
    return day.used("131016");
  };
  left(1000, now + kTwoDays);  // which nobody can have left
  EXPECT_EQ(used_today(), 7U);
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(fugod.stop(), 0);
  EXPECT_EQ(acts().size(), 3U) << "an entry is of one day";
  EXPECT_EQ(asked("131016"), 1107U);
  EXPECT_EQ(used_today(), 7U) << "journaled late, or of the future";
}

// What processes say of the blocks that they evaluated is in the entry and in the sum.
TEST_F(UsesTest, BlocksAreAddedUp) {
  const auto spool = UsageSpool::open(uses(), "core").value();
  constexpr keystore::KeyNumber kLinkage = 0x1'0001, kNoKey = 0x1'0009;
  const std::vector<LinkUse> some = {{"131016", 7, 4, 1}};
  ASSERT_TRUE(spool->write(some, kFrom, kFrom + 60, {{kLinkage, 30}}));
  ASSERT_TRUE(spool->write(some, kFrom, kFrom + 60, {{kLinkage, 12}}));
  ASSERT_TRUE(spool->write(some, kFrom, kFrom + 60, {{kNoKey, 5}}));
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(fugod.stop(), 0);
  ASSERT_EQ(acts().size(), 1U);
  const auto details = acts()[0]["details"];
  EXPECT_EQ(details["files"].size(), 2U) << "a key that is not registered is nobody's";
  EXPECT_EQ(details["blocks"], (nlohmann::json{{"linkage-v1", 42}}));
  EXPECT_EQ(details["in_vain"], (nlohmann::json{{"131016", 2}}));
  const auto settings = daemon::load_settings(site_.config()).value();
  const auto open =
      daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead).value();
  EXPECT_EQ(open->ledger().state().value().blocks, (keystore::KeyBlocks{kLinkage, 42}));
}

TEST_F(UsesTest, OfADaemonThatDiedBeforeItDestroyedThemAreNotJournaledTwice) {
  leave({{"131016", 7, 5}});
  const auto name = entries(uses()).front();
  const auto kept = site_.scratch() / name;
  fs::copy_file(uses() / name, kept);
  {
    RunningDaemon fugod(site_);
    ASSERT_TRUE(wait_until_taken()) << fugod.log();
    EXPECT_EQ(fugod.stop(), 0);
  }
  // As if it had been killed between the commit and the unlinking.
  fs::copy_file(kept, uses() / name);
  leave({{"131016", 100, 100}});
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(fugod.stop(), 0);
  EXPECT_EQ(acts().size(), 2U);
  EXPECT_EQ(asked("131016"), 107U);
}

TEST_F(UsesTest, ManyFilesAreAFewEntriesThatFit) {
  std::vector<std::string> codes;
  std::string registry = "agency_code,name,method\n";
  for (int i = 1000; i < 1600; ++i) {
    codes.push_back("LONGCODEOF" + std::to_string(i));
    registry += codes.back() + ",X,\n";
  }
  write_file(site_.scratch() / "more.csv", registry);
  ASSERT_EQ(site_.run({"agency", "import", (site_.scratch() / "more.csv").string()}).exit_code, 0);
  std::vector<LinkUse> counts;
  counts.reserve(codes.size());
  for (const auto& code : codes) counts.push_back({code, 999'999'999'999, 999'999'999'999});
  for (int i = 0; i < 100; ++i) leave(counts);  // two files each
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(fugod.stop(), 0);
  EXPECT_GT(acts().size(), 1U);
  EXPECT_LT(acts().size(), 20U);
  for (const auto& code : {codes.front(), codes.back()})
    EXPECT_EQ(asked(code), 100 * 999'999'999'999U);
}

TEST_F(UsesTest, ThatAreNotAsTheyMustBeAreMovedAside) {
  leave({{"131016", 7, 5}});
  leave({{"999999", 1, 1}});  // nobody's code
  const auto use_name = [](const char* letters) {
    return std::string("use-20261121T030405Z-1-") + letters + ".json";
  };
  write_file(uses() / use_name("aaaaaaaaaaaaaaaa"), "{\"version\":1");
  write_file(uses() / use_name("bbbbbbbbbbbbbbbb"), std::string(1 << 20U, ' '));
  fs::create_symlink("/etc/passwd", uses() / use_name("cccccccccccccccc"));
  ASSERT_EQ(::mkfifo((uses() / use_name("dddddddddddddddd")).c_str(), 0600), 0);
  fs::create_directory(uses() / use_name("eeeeeeeeeeeeeeee"));
  write_file(uses() / "24727059608", "x");
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_until_taken()) << fugod.log();
  EXPECT_EQ(asked("131016"), 7U);
  EXPECT_EQ(acts().size(), 1U);
  EXPECT_THAT(fugod.log(), HasSubstr("moved aside"));
  EXPECT_THAT(fugod.log(), HasSubstr("names an agency that is not registered"));
  EXPECT_THAT(fugod.log(), Not(HasSubstr("24727059608")));
  EXPECT_EQ(std::distance(fs::directory_iterator(uses()), {}), 7);  // all under hidden names
  EXPECT_EQ(fugod.stop(), 0);
}

// Names that are too long to be moved aside stay, however many there are.
TEST_F(UsesTest, ThatCannotBeMovedAsideKeepNobodyWaiting) {
  leave({});  // makes the folder
  for (int i = 0; i < 2000; ++i)
    write_file(uses() / (std::to_string(1000 + i) + std::string(246, 'x')), "x");
  for (int i = 0; i < 40; ++i) leave({{"131016", 7, 5}});  // wherever among them the folder has it
  RunningDaemon fugod(site_);
  ASSERT_TRUE(wait_for([&] { return asked("131016") == 280; })) << fugod.log();
  EXPECT_EQ(fugod.stop(), 0);
  EXPECT_EQ(entries(uses()).size(), 2000U);
}

}  // namespace
}  // namespace fugo::test
