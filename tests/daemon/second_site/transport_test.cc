// What others can do to the folder that shipments go through, and a first site that was put back.
#include <sys/stat.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "daemon/link_usage.h"
#include "keystore/standby.h"
#include "keystore/writer_lock.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(Transport, AShipmentUnderTheNextOnesNameIsNotAppliedAgain) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  fs::copy(sites.shipment(1), sites.shipment(2), fs::copy_options::recursive);
  const auto refused = sites.follow();
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_THAT(refused.err, HasSubstr("under the name of another shipment"));
  // Nor to a gap that a whole one would bridge.
  fs::rename(sites.shipment(2), sites.shipment(5));
  EXPECT_EQ(sites.follow().exit_code, 5);
  fs::remove_all(sites.shipment(5));
  EXPECT_EQ(sites.follow().exit_code, 0);
}

// The first site is put back and gives out numbers that the second has applied already.
TEST(Transport, AFirstSiteThatWasPutBackIsNoticedByOneShipment) {
  const TwoSites sites;
  const auto old = sites.scratch() / "old";
  fs::copy(sites.first().directory() / "ledger", old, fs::copy_options::recursive);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  for (int i = 2; i <= 4; ++i) {
    (void)sites.issue_first("N" + std::to_string(i), 500 + static_cast<std::uint64_t>(i));
    ASSERT_EQ(sites.ship().exit_code, 0);
  }
  ASSERT_EQ(sites.follow().exit_code, 0);
  const auto before = sites.digest_second();
  fs::remove_all(sites.first().directory() / "ledger");
  fs::rename(old, sites.first().directory() / "ledger");
  fs::rename(sites.shipment(1), sites.scratch() / "applied");
  // The very same acts within the same second would make the very same shipment.
  ASSERT_EQ(sites.first().run({"agency", "suspend", "011002"}).exit_code, 0);
  const auto sent = sites.ship();
  ASSERT_EQ(sent.exit_code, 0) << sent.err;
  ASSERT_EQ(sent.json()["number"], 1);
  const auto refused = sites.follow();
  EXPECT_EQ(refused.exit_code, 5) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("was put back"));
  EXPECT_THAT(refused.err, HasSubstr("an earlier takeover left behind, move the shipment"));
  EXPECT_EQ(sites.digest_second(), before);
  // One that nobody signed proves nothing.
  const auto file = sites.shipment(1) / "shipment.json.sig";
  write_file(file, read_file(file) + "x");
  EXPECT_EQ(sites.follow().exit_code, 0);
  EXPECT_EQ(sites.take_over().exit_code, 0);
}

// The same where the second site was made later, and does not know what had that number.
TEST(Transport, ANumberFromBeforeThisSiteIsToldByItsJournal) {
  const TwoSites sites;
  const auto old = sites.scratch() / "old";
  fs::copy(sites.first().directory() / "ledger", old, fs::copy_options::recursive);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.ship({"--whole"}).exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  fs::remove_all(sites.first().directory() / "ledger");
  fs::rename(old, sites.first().directory() / "ledger");
  fs::rename(sites.shipment(1), sites.scratch() / "applied");
  // The time of a shipment counts in seconds.
  for (const auto now = std::time(nullptr); std::time(nullptr) == now;)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto sent = sites.ship();
  ASSERT_EQ(sent.exit_code, 0) << sent.err;
  ASSERT_EQ(sent.json()["number"], 1);
  const auto refused = sites.follow();
  EXPECT_EQ(refused.exit_code, 5) << refused.out;
  EXPECT_THAT(refused.err, HasSubstr("was put back"));
}

// Shipments that a takeover left behind lie there for good; a site that is made anew in another
// epoch follows beside them.
TEST(Transport, WhatAnEarlierTakeoverLeftBehindStopsNobody) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);  // 2 is never applied
  ASSERT_EQ(sites.take_over({"--leave-behind"}).exit_code, 0);
  const auto back = sites.scratch() / "back";
  fs::create_directory(back);
  const auto send = [&](const fs::path& folder) {
    const auto sent = sites.at_second({"--json", "ship", folder.string(), "--whole", "--always"});
    EXPECT_EQ(sent.exit_code, 0) << sent.err;
    return sent.exit_code == 0 ? sent.json()["number"].get<int>() : 0;
  };
  ASSERT_EQ(send(back), 2);
  ASSERT_EQ(send(sites.folder()), 3);
  ASSERT_EQ(sites.found("third").exit_code, 0);
  const auto beside = sites.follow({}, "third");
  EXPECT_EQ(beside.exit_code, 0) << beside.err;
  ASSERT_EQ(send(sites.folder()), 4);
  const auto next = sites.follow({}, "third");
  ASSERT_EQ(next.exit_code, 0) << next.err;
  EXPECT_EQ(next.json()["standby"]["shipment"], 4) << next.out;
  // Under the name of one that was applied it proves nothing: it says another number itself.
  fs::remove_all(sites.shipment(3));
  fs::copy(sites.shipment(2), sites.shipment(3), fs::copy_options::recursive);
  EXPECT_EQ(sites.follow({}, "third").exit_code, 0);
}

TEST(Transport, ATakeoverDoesNotLoseWhatLiesInAFolderThatIsAway) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  fs::rename(sites.folder(), sites.scratch() / "away");
  const auto status = sites.at_second({"--json", "status"}).json()["sites"]["standby"];
  EXPECT_TRUE(status["unapplied"].is_null()) << status;
  EXPECT_THAT(sites.at_second({"status"}).out, HasSubstr("unknown"));
  const auto refused = sites.take_over();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("may lie unapplied"));
  EXPECT_EQ(sites.take_over({"--leave-behind"}).exit_code, 0);
}

// A timer follows while somebody takes over: either comes first, and neither is told of damage.
TEST(Transport, ATakeoverBesideAFollowTellsOfNoDamage) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  CommandResult followed, taken;
  std::thread follower([&] { followed = sites.follow(); });
  for (int i = 0; i < 20; ++i) {
    taken = sites.take_over();
    ASSERT_THAT(taken.exit_code, AnyOf(0, 1)) << taken.err;
    if (taken.exit_code == 0) break;
    EXPECT_THAT(taken.err, AnyOf(HasSubstr("lie unapplied"), HasSubstr("another process")));
  }
  follower.join();
  // The takeover may have had the lock while it looked: the timer comes again.
  if (followed.exit_code != 0) {
    EXPECT_EQ(followed.exit_code, 1);
    EXPECT_THAT(followed.err, HasSubstr("another process"));
    ASSERT_NE(taken.exit_code, 0) << "nothing was applied";
    const auto again = sites.follow();
    ASSERT_EQ(again.exit_code, 0) << again.err;
  }
  if (taken.exit_code != 0) taken = sites.take_over();
  EXPECT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
}

TEST(Transport, ADirectoryThatSomebodyElsePreparedIsNotFilled) {
  const TwoSites sites;
  const auto prepared = sites.folder() / ".shipment-0000000001.tmp";
  fs::create_directory(prepared);
  ASSERT_EQ(::chmod(prepared.c_str(), 0777), 0);
  const auto refused = sites.ship();
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("can be written by others"));
  ASSERT_EQ(::chmod(prepared.c_str(), 0700), 0);
  EXPECT_EQ(sites.ship().exit_code, 0);
}

// Whoever writes the folder fills no disk, and makes nobody wait.
TEST(Transport, WhatIsLongerThanItWasSignedIsNotTakenAndAPipeNotWaitedFor) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto rows = sites.shipment(2) / "ledger/data.mdb";
  const auto size = fs::file_size(rows);
  constexpr std::uint64_t kMost = 64U << 20U;
  fs::resize_file(rows, 4 * kMost);
  const auto longer = sites.follow();
  EXPECT_EQ(longer.exit_code, 5) << longer.err;
  EXPECT_THAT(longer.err, HasSubstr("is not as it was when it was signed"));
  EXPECT_LE(fs::file_size(sites.second() / "ledger/incoming/data.mdb"), size);
  fs::resize_file(rows, size);
  const auto sound = sites.scratch() / "sound", signature = sites.shipment(2) / "shipment.json.sig";
  for (const fs::path& file : {rows, signature}) {
    fs::rename(file, sound);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    EXPECT_NE(sites.follow().exit_code, 0) << file;
    fs::remove(file);
    fs::rename(sound, file);
  }
  EXPECT_EQ(sites.follow().exit_code, 0);
  EXPECT_EQ(sites.digest_second(), sites.digest_first());
}

// One process sends at a time, and nothing is handed over while somebody writes.
TEST(Transport, SendingWaitsForNobodyAndGoesBesideNobody) {
  const TwoSites sites;
  const auto ledger = sites.first().directory() / "ledger";
  {
    const auto lock = keystore::take_ship_lock(ledger);
    ASSERT_TRUE(lock);
    const auto busy = sites.ship();
    EXPECT_EQ(busy.exit_code, 1);
    EXPECT_THAT(busy.err, HasSubstr("another process sends"));
  }
  const auto lock = keystore::take_writer_lock(ledger);
  ASSERT_TRUE(lock);
  const auto busy = sites.ship({"--final"});
  EXPECT_EQ(busy.exit_code, 1);
  EXPECT_THAT(busy.err, HasSubstr("open for writing"));
  EXPECT_FALSE(fs::exists(ledger / "standby.json"));
  EXPECT_EQ(sites.ship().exit_code, 0);
}

// What is remembered of shipments is lost: numbers go on, and the next is whole.
TEST(Transport, NumbersGoOnWithoutTheMemoryOfThem) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  fs::remove_all(sites.first().directory() / "ledger/shipments");
  const auto sent = sites.ship();
  ASSERT_EQ(sent.exit_code, 0) << sent.err;
  EXPECT_EQ(sent.json()["number"], 2);
  EXPECT_EQ(sites.follow().json()["standby"]["shipment"], 2);
}

// A copy of the journal that cannot be kept would leave the site fenced and nothing sent.
TEST(Transport, AHandOverIsNotBegunWithoutTheCopiesOfTheJournal) {
  const TwoSites sites;
  const auto copies = sites.scratch() / "copies";
  fs::create_directory(copies);
  sites.first().set_config("[ledger]",
                           "[journal]\ncopies = [\"" + copies.string() + "\"]\n\n[ledger]");
  ASSERT_EQ(sites.ship().exit_code, 0);
  fs::rename(copies, sites.scratch() / "away");
  EXPECT_EQ(sites.ship({"--final"}).exit_code, 1);
  EXPECT_FALSE(fs::exists(sites.first().directory() / "ledger/standby.json"));
  fs::rename(sites.scratch() / "away", copies);
  EXPECT_EQ(sites.ship({"--final"}).exit_code, 0);
}

TEST(Transport, AHandOverTakesTheUsesOfLinkingAlong) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto uses = sites.first().directory() / "link-usage";
  {
    const auto spool = daemon::UsageSpool::open(uses, "core");
    ASSERT_TRUE(spool) << spool.error().message();
    const std::vector<engine::LinkUse> counts = {{"131016", 7, 5}};
    ASSERT_TRUE((*spool)->write(counts, 1'795'000'000, 1'795'000'060));
  }
  ASSERT_FALSE(fs::is_empty(uses));
  const auto final = sites.ship({"--final"});
  ASSERT_EQ(final.exit_code, 0) << final.err;
  EXPECT_TRUE(fs::is_empty(uses));
  ASSERT_EQ(sites.follow().exit_code, 0);
  const auto journal = sites.at_second({"--json", "journal", "show"}).json();
  std::uint64_t asked = 0;
  for (const auto& entry : journal["entries"])
    if (entry["act"] == "link.use")
      asked += entry["details"]["agencies"]["131016"]["asked"].get<std::uint64_t>();
  EXPECT_EQ(asked, 7U);
}

}  // namespace
}  // namespace fugo::test
