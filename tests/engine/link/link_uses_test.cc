// LinkUses: counts, and the quota of a day, by a clock of the test's own.
#include "engine/link/link_uses.h"

#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"

namespace {
// 2026-11-20 09:00:00 in Tokyo.
constexpr std::time_t kMorning = 1'795'132'800;
std::atomic<std::time_t> g_now{kMorning};
}  // namespace

// The program's own time() comes before libc's.
extern "C" std::time_t time(std::time_t* to) noexcept {
  if (to != nullptr) *to = g_now;
  return g_now;
}

namespace fugo::engine {
namespace {

using keystore::Agency;
using keystore::AgencyNumber;

constexpr std::time_t kHour = 3600;

class LinkUsesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(set_time_zone("America/New_York"));  // the process's is not the site's
    g_now = kMorning;
  }
  static std::vector<Agency> agencies(const std::vector<AgencyNumber>& numbers) {
    std::vector<Agency> list;
    for (const AgencyNumber number : numbers) {
      list.emplace_back();
      list.back().number = number;
      list.back().code = "A" + std::to_string(number);
    }
    return list;
  }
  static unsigned allowed(LinkUses& uses, AgencyNumber agency, unsigned tries) {
    unsigned count = 0;
    for (unsigned i = 0; i < tries; ++i) count += uses.allow(agency, uses.today()) ? 1 : 0;
    return count;
  }
  static Calendar tokyo() { return *Calendar::of("Asia/Tokyo"); }
};

TEST_F(LinkUsesTest, WhatOthersUsedIsNotThereAnyMore) {
  LinkUses uses(10, tokyo());
  EXPECT_EQ(allowed(uses, 1, 2), 2U);
  uses.raise(1, uses.today(), 7);
  uses.raise(1, uses.today(), 4);  // an older word: what is used stays used
  EXPECT_EQ(allowed(uses, 2, 100), 10U);
  EXPECT_EQ(allowed(uses, 1, 100), 3U);
  uses.raise(1, uses.today(), 1'000);
  EXPECT_EQ(allowed(uses, 1, 100), 0U);
  const auto yesterday = uses.today();
  g_now += 24 * kHour;
  uses.raise(1, yesterday, 1'000);  // added up before midnight
  EXPECT_EQ(allowed(uses, 1, 100), 10U);
  LinkUses unlimited(0, tokyo());
  unlimited.raise(1, unlimited.today(), 5);
  EXPECT_EQ(allowed(unlimited, 1, 100), 100U);
}

TEST_F(LinkUsesTest, WithoutAQuotaEverythingIsAllowed) {
  LinkUses uses(0, tokyo());
  EXPECT_EQ(allowed(uses, 1, 100'000), 100'000U);
}

TEST_F(LinkUsesTest, EachAgencyHasItsOwnQuota) {
  LinkUses uses(7, tokyo());
  EXPECT_EQ(allowed(uses, 1, 5), 5U);
  EXPECT_EQ(allowed(uses, 2, 20), 7U);
  EXPECT_EQ(allowed(uses, 1, 20), 2U);
  EXPECT_EQ(allowed(uses, 65535, 20), 7U);
}

TEST_F(LinkUsesTest, ANewDayInTheSitesTimeZoneHasANewQuota) {
  LinkUses uses(3, tokyo());
  EXPECT_EQ(allowed(uses, 1, 5), 3U);
  EXPECT_EQ(allowed(uses, 2, 5), 3U);
  g_now = kMorning + 14 * kHour;  // 23:00: it is the 20th still, though the next day's in UTC + 10
  EXPECT_EQ(allowed(uses, 1, 5), 0U);
  g_now = kMorning + 15 * kHour - 1;
  EXPECT_EQ(allowed(uses, 1, 5), 0U);
  g_now = kMorning + 15 * kHour;  // midnight in Tokyo
  EXPECT_EQ(allowed(uses, 1, 5), 3U);
  EXPECT_EQ(allowed(uses, 2, 5), 3U);
  g_now = kMorning + 24 * kHour;
  EXPECT_EQ(allowed(uses, 1, 5), 0U);
}

TEST_F(LinkUsesTest, WhatWasNotAnsweredIsGivenBackToItsOwnDay) {
  LinkUses uses(3, tokyo());
  const auto first = uses.today();
  EXPECT_EQ(allowed(uses, 1, 5), 3U);
  uses.give_back(1, first);
  EXPECT_EQ(allowed(uses, 1, 5), 1U);
  g_now = kMorning + 15 * kHour;
  EXPECT_EQ(uses.today(), first + 1);
  uses.give_back(1, first);  // yesterday's uses are nobody's any more
  EXPECT_EQ(allowed(uses, 1, 5), 3U);
  uses.give_back(1, first);
  EXPECT_EQ(allowed(uses, 1, 5), 0U);
  // A call that began yesterday is one of today's, and opens no second quota.
  EXPECT_FALSE(uses.allow(1, first));
  EXPECT_EQ(allowed(uses, 1, 5), 0U);
  uses.give_back(2, first + 1);  // of nothing nothing comes back
  EXPECT_EQ(allowed(uses, 2, 5), 3U);
}

TEST_F(LinkUsesTest, ThreadsGetNoMoreThanTheQuota) {
  LinkUses uses(300'000, tokyo());
  std::atomic<unsigned> sum{0}, ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (++ready; ready < 4;) std::this_thread::yield();
      sum += allowed(uses, 5, 100'000);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sum, 300'000U);
}

TEST_F(LinkUsesTest, CountsAreTakenOnce) {
  LinkUses uses(0, tokyo());
  for (int i = 0; i < 5; ++i) uses.count(3, i % 2 == 0);
  uses.count(65535, false);
  uses.count(9, true);  // of no agency that is known
  const auto known = agencies({1, 3, 65535});
  const auto taken = uses.take(known);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].agency, "A3");
  EXPECT_EQ(taken[0].asked, 5U);
  EXPECT_EQ(taken[0].ok, 3U);
  EXPECT_EQ(taken[1].agency, "A65535");
  EXPECT_EQ(taken[1].asked, 1U);
  EXPECT_EQ(taken[1].ok, 0U);
  EXPECT_TRUE(uses.take(known).empty());
  uses.count(3, true);
  const auto again = uses.take(known);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].asked, 1U);
  EXPECT_EQ(again[0].ok, 1U);
}

TEST_F(LinkUsesTest, NothingIsLostOrCountedTwiceWhileItIsTaken) {
  constexpr std::uint64_t kOfEach = 200'000;
  LinkUses uses(0, tokyo());
  const auto known = agencies({1, 2});
  std::atomic<unsigned> left{3};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      for (std::uint64_t n = 0; n < kOfEach; ++n)
        uses.count(static_cast<AgencyNumber>(1 + n % 2), n % 4 == 0);
      --left;
    });
  std::map<std::string, LinkUse> sums;
  const auto take = [&] {
    for (const auto& use : uses.take(known)) {
      sums[use.agency].asked += use.asked;
      sums[use.agency].ok += use.ok;
    }
  };
  while (left != 0) take();
  for (auto& thread : threads) thread.join();
  take();
  EXPECT_EQ(sums["A1"].asked, 3 * kOfEach / 2);
  EXPECT_EQ(sums["A2"].asked, 3 * kOfEach / 2);
  EXPECT_EQ(sums["A1"].ok, 3 * kOfEach / 4);
  EXPECT_EQ(sums["A2"].ok, 0U);
}

// Whatever is taken in the middle of counting can be written down: no answer without its question.
TEST_F(LinkUsesTest, NoTakeHasMoreAnswersThanQuestions) {
  LinkUses uses(0, tokyo());
  const auto known = agencies({1});
  std::atomic<unsigned> left{3};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < 500'000; ++n) uses.count(1, true);
      --left;
    });
  std::uint64_t wrong = 0, ok = 0;
  const auto take = [&] {
    for (const auto& use : uses.take(known)) {
      wrong += use.ok > use.asked ? 1 : 0;
      ok += use.ok;
    }
  };
  while (left != 0) take();
  for (auto& thread : threads) thread.join();
  take();
  EXPECT_EQ(wrong, 0U);
  EXPECT_EQ(ok, 1'500'000U);
}

TEST_F(LinkUsesTest, AProcessHasOneQuotaOfALedger) {
  const Block ledger{{1}}, other{{2}};
  LinkUses first(3, tokyo(), used_quota(ledger));
  EXPECT_EQ(allowed(first, 1, 2), 2U);
  {
    LinkUses second(3, tokyo(), used_quota(ledger));
    EXPECT_EQ(allowed(second, 1, 5), 1U);
    EXPECT_EQ(allowed(second, 2, 5), 3U);
  }
  EXPECT_EQ(allowed(first, 1, 5), 0U);
  LinkUses again(3, tokyo(), used_quota(ledger));  // as a handle that is closed and opened again
  EXPECT_EQ(allowed(again, 1, 5), 0U);
  LinkUses of_other(3, tokyo(), used_quota(other));
  EXPECT_EQ(allowed(of_other, 1, 5), 3U);
}

}  // namespace
}  // namespace fugo::engine
