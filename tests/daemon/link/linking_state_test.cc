// Linking that is limited, stopped or asked wrongly, and a ledger that changes between two calls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "daemon/site_access.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::IndexPolicy;
using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;
using engine::PersonHandle;
using keystore::AgencyNumber;

namespace {

constexpr LinkStatus kAnyStatus[] = {LinkStatus::kOk,
                                     LinkStatus::kNotIssued,
                                     LinkStatus::kUnknown,
                                     LinkStatus::kSuperseded,
                                     LinkStatus::kUnknownAgency,
                                     LinkStatus::kFrozen,
                                     LinkStatus::kQuotaExceeded,
                                     LinkStatus::kUnavailable,
                                     LinkStatus::kIndexTooLarge,
                                     LinkStatus::kForked};

LinkStatus status_of(Linking& linking, const LinkedSite& site, const std::string& from,
                     const std::string& to, std::size_t resident) {
  const auto asked = link_one(linking, {from, to, site.symbol(from, resident)});
  if (asked.status == LinkStatus::kOk) {
    EXPECT_EQ(asked.linked, site.symbol(to, resident));
  } else {
    EXPECT_EQ(asked.linked, Block{});
    EXPECT_EQ(asked.record, Block{});
  }
  return asked.status;
}

// Calls is a call of every kind for one item, by numbers.
struct Calls {
  Linking& linking;
  AgencyNumber from, to;
  Block symbol;
  PersonHandle person;

  LinkStatus resolve(LinkStatus status = LinkStatus::kUnknown) {
    linking.resolve({&from, 1}, {&symbol, 1}, {&person, 1}, {&status, 1});
    return status;
  }
  LinkStatus is_issued(LinkStatus status = LinkStatus::kUnknown) {
    linking.is_issued({&person, 1}, {&to, 1}, {&status, 1});
    return status;
  }
  LinkStatus symbol_for(LinkStatus status = LinkStatus::kUnknown) {
    Block linked = symbol;
    linking.symbol_for({&person, 1}, {&to, 1}, {&linked, 1}, {&status, 1});
    EXPECT_EQ(status == LinkStatus::kOk, linked != Block{});
    return status;
  }
  LinkStatus record_symbol(LinkStatus status = LinkStatus::kUnknown) {
    Block record = symbol;
    linking.record_symbol({&person, 1}, {&record, 1}, {&status, 1});
    EXPECT_EQ(status == LinkStatus::kOk, record != Block{});
    return status;
  }
  LinkStatus link(LinkStatus status = LinkStatus::kUnknown) {
    Block linked = symbol, record = symbol;
    linking.link({&from, 1}, {&to, 1}, {&symbol, 1}, {&linked, 1}, {&record, 1}, {&status, 1});
    EXPECT_EQ(status == LinkStatus::kOk, linked != Block{} && record != Block{});
    return status;
  }
};

TEST(LinkingStatus, ABadSymbolIsLeftAloneAndEveryOtherStatusOnEntryIsIgnored) {
  LinkedSite site;
  site.issue({{"131016", 1}, {"141003", 1}});
  const auto linking = site.open();
  Calls calls{*linking,
              number(*linking, "131016"),
              number(*linking, "141003"),
              site.symbol("131016", 1),
              {}};
  for (const LinkStatus status : kAnyStatus) {
    EXPECT_EQ(calls.resolve(status), LinkStatus::kOk);
    EXPECT_EQ(calls.is_issued(status), LinkStatus::kOk);
    EXPECT_EQ(calls.symbol_for(status), LinkStatus::kOk);
    EXPECT_EQ(calls.record_symbol(status), LinkStatus::kOk);
    EXPECT_EQ(calls.link(status), LinkStatus::kOk);
  }
  EXPECT_EQ(calls.is_issued(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  EXPECT_EQ(calls.symbol_for(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  EXPECT_EQ(calls.record_symbol(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  EXPECT_EQ(calls.link(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  EXPECT_EQ(calls.resolve(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  EXPECT_EQ(calls.person, PersonHandle{});
  // Without record symbols.
  Block linked;
  LinkStatus status = LinkStatus::kUnknown;
  linking->link({&calls.from, 1}, {&calls.to, 1}, {&calls.symbol, 1}, {&linked, 1}, {},
                {&status, 1});
  EXPECT_EQ(status, LinkStatus::kOk);
  EXPECT_EQ(linked, site.symbol("141003", 1));
  // Nothing is asked.
  linking->link({}, {}, {}, {}, {}, {});
  linking->resolve({}, {}, {}, {});
}

TEST(LinkingStatus, AnAgencyThatIsNoneIsUnknown) {
  LinkedSite site;
  site.issue({{"131016", 1}, {"141003", 1}});
  const auto linking = site.open();
  for (const char* code : {"999999", ""}) {
    const auto none = linking->find_agency(code);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_FALSE(*none);
  }
  const AgencyNumber good = number(*linking, "131016"), xts = number(*linking, "141003");
  for (const AgencyNumber bad : std::vector<AgencyNumber>{0, 6, 7, 9999, 65535}) {
    Calls from{*linking, bad, xts, site.symbol("131016", 1), {}};
    EXPECT_EQ(from.link(), LinkStatus::kUnknownAgency) << bad;
    EXPECT_EQ(from.resolve(), LinkStatus::kUnknownAgency) << bad;
    EXPECT_EQ(from.person, PersonHandle{});
    Calls to{*linking, good, bad, site.symbol("131016", 1), {}};
    EXPECT_EQ(to.link(), LinkStatus::kUnknownAgency) << bad;
    EXPECT_EQ(to.resolve(), LinkStatus::kOk);
    EXPECT_EQ(to.is_issued(), LinkStatus::kUnknownAgency) << bad;
    EXPECT_EQ(to.symbol_for(), LinkStatus::kUnknownAgency) << bad;
    EXPECT_EQ(to.link(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
  }
  // Another item of the same call is not touched by it.
  std::vector<AgencyNumber> from = {0, good, 9999}, to = {xts, xts, xts};
  std::vector<Block> symbols(3, site.symbol("131016", 1)), linked(3);
  std::vector<LinkStatus> statuses(3, LinkStatus::kUnknown);
  linking->link(from, to, symbols, linked, {}, statuses);
  EXPECT_THAT(statuses, testing::ElementsAre(LinkStatus::kUnknownAgency, LinkStatus::kOk,
                                             LinkStatus::kUnknownAgency));
  // One that comes later is there at the next call, and one that is suspended stays.
  write_file(site.site().scratch() / "more.csv", "agency_code,name,method\n401005,Kitakyushu,\n");
  site.run({"agency", "import", (site.site().scratch() / "more.csv").string()});
  EXPECT_EQ(number(*linking, "401005"), 6);
  EXPECT_EQ(status_of(*linking, site, "131016", "141003", 1), LinkStatus::kOk);
  EXPECT_EQ(link_one(*linking, {"131016", "401005", symbols[0]}).status, LinkStatus::kNotIssued);
  site.issue({{"401005", 1}});
  EXPECT_EQ(status_of(*linking, site, "401005", "131016", 1), LinkStatus::kOk);
  site.run({"agency", "suspend", "131016"});
  EXPECT_EQ(status_of(*linking, site, "401005", "131016", 1), LinkStatus::kOk);
  EXPECT_EQ(status_of(*linking, site, "131016", "401005", 1), LinkStatus::kOk);
}

TEST(LinkingStatus, AFreezeHoldsFromTheNextCallOn) {
  LinkedSite site;
  site.issue({{"131016", 1}, {"141003", 1}});
  const auto linking = site.open();
  Calls calls{*linking,
              number(*linking, "131016"),
              number(*linking, "141003"),
              site.symbol("131016", 1),
              {}};
  ASSERT_EQ(calls.resolve(), LinkStatus::kOk);
  const PersonHandle person = calls.person;
  for (int round = 0; round < 3; ++round) {
    site.run({"freeze", "link", "--reason", "trial"});
    EXPECT_EQ(calls.link(), LinkStatus::kFrozen);
    EXPECT_EQ(calls.is_issued(), LinkStatus::kFrozen);
    EXPECT_EQ(calls.symbol_for(), LinkStatus::kFrozen);
    EXPECT_EQ(calls.record_symbol(), LinkStatus::kFrozen);
    EXPECT_EQ(calls.resolve(), LinkStatus::kFrozen);
    EXPECT_EQ(calls.person, PersonHandle{});
    EXPECT_EQ(calls.link(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);
    calls.person = person;
    site.run({"thaw"});
    EXPECT_EQ(calls.link(), LinkStatus::kOk);
    EXPECT_EQ(calls.is_issued(), LinkStatus::kOk);
    EXPECT_EQ(calls.symbol_for(), LinkStatus::kOk);
    EXPECT_EQ(calls.record_symbol(), LinkStatus::kOk);
    EXPECT_EQ(calls.resolve(), LinkStatus::kOk);
    EXPECT_EQ(calls.person, person);
  }
  site.run({"freeze", "issue", "--reason", "trial"});  // stops no linking
  EXPECT_EQ(calls.link(), LinkStatus::kOk);
}

TEST(LinkingStatus, TheLinkingRoleIsNeeded) {
  const LinkedSite site;
  const auto configured = daemon::load_settings(site.site().config());
  ASSERT_TRUE(configured);
  auto issuing = daemon::open_site(*configured, hsm::TokenRole::kIssuing, keystore::Access::kRead);
  ASSERT_TRUE(issuing);
  const auto refused = Linking::open(std::move(*issuing), {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

TEST(LinkingQuota, HoldsForEachInquiringAgencyAndUsesAreCounted) {
  LinkedSite site;
  site.issue({{"131016", 1}, {"141003", 1}, {"131130", 1}, {"131130", 2}});
  LinkingSettings settings;
  settings.quota_per_day = 3;
  const auto linking = site.open(settings);
  Calls calls{*linking,
              number(*linking, "131016"),
              number(*linking, "141003"),
              site.symbol("131016", 1),
              {}};
  ASSERT_EQ(calls.link(LinkStatus::kBadSymbol), LinkStatus::kBadSymbol);  // takes none of it
  for (int i = 0; i < 2; ++i) EXPECT_EQ(calls.link(), LinkStatus::kOk);
  ASSERT_EQ(calls.resolve(), LinkStatus::kOk);  // a use as well
  const PersonHandle person = calls.person;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(calls.link(), LinkStatus::kQuotaExceeded);
  EXPECT_EQ(calls.resolve(), LinkStatus::kQuotaExceeded);
  EXPECT_EQ(calls.person, PersonHandle{});
  calls.person = person;
  for (int i = 0; i < 9; ++i) EXPECT_EQ(calls.symbol_for(), LinkStatus::kOk);  // of that use
  // In the middle of a call; another agency has its own.
  std::vector<Asked> asked(5, {"131130", "141003", site.symbol("131130", 2)});
  asked[1].symbol = site.symbol("131130", 1);
  asked.push_back({"131016", "141003", site.symbol("131016", 1)});
  link_all(*linking, asked);
  std::vector<LinkStatus> statuses;
  for (const Asked& item : asked) statuses.push_back(item.status);
  EXPECT_THAT(statuses,
              testing::ElementsAre(LinkStatus::kNotIssued, LinkStatus::kOk, LinkStatus::kNotIssued,
                                   LinkStatus::kQuotaExceeded, LinkStatus::kQuotaExceeded,
                                   LinkStatus::kQuotaExceeded));
  EXPECT_EQ(asked[3].linked, Block{});
  const auto uses = linking->take_uses();
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].agency, "131016");
  EXPECT_EQ(uses[0].asked, 8U);
  EXPECT_EQ(uses[0].ok, 3U);
  EXPECT_EQ(uses[1].agency, "131130");
  EXPECT_EQ(uses[1].asked, 5U);
  EXPECT_EQ(uses[1].ok, 1U);
  EXPECT_TRUE(linking->take_uses().empty());
}

// By other agencies than above: to this process, all copies of one site are one ledger.
TEST(LinkingQuota, WhatIsNotAnsweredTakesNothingOfIt) {
  LinkedSite site;
  site.issue({{"472018", 1}, {"141003", 1}});
  LinkingSettings settings;
  settings.quota_per_day = 3;
  settings.index_bytes = 100;  // no table fits
  const auto linking = site.open(settings);
  const AgencyNumber one_way = number(*linking, "472018"), xts = number(*linking, "141003");
  Calls too_large{*linking, one_way, xts, site.symbol("472018", 1), {}};
  Calls calls{*linking, xts, one_way, site.symbol("141003", 1), {}};
  Calls nowhere{*linking, xts, 9999, site.symbol("141003", 1), {}};
  Calls to_nobody{*linking, xts, 0, site.symbol("141003", 1), {}};
  site.run({"freeze", "link", "--reason", "trial"});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(calls.link(), LinkStatus::kFrozen);
  site.run({"thaw"});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(too_large.link(), LinkStatus::kIndexTooLarge);
    EXPECT_EQ(nowhere.link(), LinkStatus::kUnknownAgency);
    EXPECT_EQ(to_nobody.link(), LinkStatus::kUnknownAgency);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(calls.link(), LinkStatus::kOk);
    EXPECT_EQ(to_nobody.link(), LinkStatus::kUnknownAgency);  // gives nobody's use back
  }
  for (int i = 0; i < 2; ++i) EXPECT_EQ(calls.link(), LinkStatus::kQuotaExceeded);
}

// Tables of 500 people take 8 KiB, of a few 4 KiB.
class LinkingIndexTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<LinkedSite::Issuance> wanted;
    for (std::size_t i = 0; i < 500; ++i)
      for (const auto& agency : kLinkAgencies) wanted.emplace_back(agency, i);
    for (std::size_t i = 0; i < 10; ++i) wanted.emplace_back("011002", i);
    site_.issue(wanted);
  }
  static LinkingSettings limited(std::size_t bytes, IndexPolicy policy = IndexPolicy::kLazy) {
    LinkingSettings settings;
    settings.index_bytes = bytes;
    settings.index = policy;
    return settings;
  }
  LinkedSite site_;
};

TEST_F(LinkingIndexTest, ATableThatDoesNotFitIsTooLargeAndConcernsItsAgencyOnly) {
  const auto linking = site_.open(limited(5000));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(status_of(*linking, site_, "131016", "141003", 3), LinkStatus::kIndexTooLarge);
    EXPECT_EQ(status_of(*linking, site_, "131130", "141003", 3), LinkStatus::kIndexTooLarge);
    EXPECT_EQ(status_of(*linking, site_, "141003", "131016", 3), LinkStatus::kOk);
    EXPECT_EQ(status_of(*linking, site_, "011002", "131016", 3), LinkStatus::kOk);
  }
  std::vector<Asked> asked;
  for (const std::string from : {"131016", "141003", "011002", "131130", "472018"})
    asked.push_back({from, "141003", site_.symbol(from, 4)});
  link_all(*linking, asked);
  EXPECT_EQ(asked[0].status, LinkStatus::kIndexTooLarge);
  EXPECT_EQ(asked[1].status, LinkStatus::kOk);
  EXPECT_EQ(asked[2].status, LinkStatus::kOk);
  EXPECT_EQ(asked[3].status, LinkStatus::kIndexTooLarge);
  EXPECT_EQ(asked[4].status, LinkStatus::kIndexTooLarge);
  const auto health = linking->health();
  EXPECT_EQ(health.index_agencies, 1U);
  EXPECT_EQ(health.index_entries, 10U);
  EXPECT_LE(health.index_bytes, 5000U);
  EXPECT_THAT(health.last_error, testing::HasSubstr("linking.index_mib"));
  const AgencyNumber large = number(*linking, "131016");
  const auto refused = linking->prepare({&large, 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
}

TEST_F(LinkingIndexTest, AgenciesThatDoNotFitTogetherTakeTurns) {
  const auto linking = site_.open(limited(10'000));
  for (std::size_t round = 0; round < 10; ++round)
    for (const std::string from : {"131016", "472018", "131130", "011002", "141003"})
      for (const std::string to : {"141003", "131016"})
        ASSERT_EQ(status_of(*linking, site_, from, to, round % 10), LinkStatus::kOk) << from;
  std::vector<Asked> asked;
  for (std::size_t i = 0; i < 300; ++i)
    asked.push_back({kLinkAgencies[i % 4], "141003", site_.symbol(kLinkAgencies[i % 4], i)});
  link_all(*linking, asked);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(asked[i].status, LinkStatus::kOk);
    ASSERT_EQ(asked[i].linked, site_.symbol("141003", i));
  }
  const auto health = linking->health();
  EXPECT_GE(health.index_evictions, 20U);
  EXPECT_LE(health.index_bytes, 10'000U);
  EXPECT_EQ(health.last_error, "");
}

// Threads that need room at once wait for each other, and none is told that its agency's table is
// too large, which it is not.
TEST_F(LinkingIndexTest, ThreadsShareALimitThatHoldsOneTable) {
  const auto linking = site_.open(limited(10'000));
  std::atomic<unsigned> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 6; ++thread)
    threads.emplace_back([&, thread] {
      const auto& from = kLinkAgencies[thread % 3];
      for (std::size_t i = 0; i < 25; ++i) {
        const auto asked = link_one(*linking, {from, "141003", site_.symbol(from, i)});
        if (asked.status != LinkStatus::kOk || asked.linked != site_.symbol("141003", i)) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0U) << linking->health().last_error;
  EXPECT_LE(linking->health().index_bytes, 10'000U);
}

// A table that grows beyond what is left for two is given up and built anew alone.
TEST_F(LinkingIndexTest, ATableThatGrowsWithinTheLimitGoesOn) {
  const auto linking = site_.open(limited(18'000));
  EXPECT_EQ(status_of(*linking, site_, "131016", "141003", 3), LinkStatus::kOk);
  for (std::size_t more = 500; more < 1700; more += 400) {
    std::vector<LinkedSite::Issuance> wanted;
    for (std::size_t i = more; i < more + 400; ++i) wanted.emplace_back("131016", i);
    wanted.emplace_back("141003", more);
    site_.issue(wanted);
    ASSERT_EQ(status_of(*linking, site_, "131016", "141003", more), LinkStatus::kOk)
        << linking->health().last_error;
    ASSERT_EQ(status_of(*linking, site_, "131016", "141003", 3), LinkStatus::kOk);
  }
}

TEST_F(LinkingIndexTest, PreparedTablesAreThereAtTheFirstQuestion) {
  const auto linking = site_.open();
  EXPECT_EQ(linking->health().index_agencies, 0U);
  const std::vector<AgencyNumber> some = {number(*linking, "131130"), number(*linking, "141003")};
  ASSERT_TRUE(linking->prepare(some));  // of one whose symbols can be inverted there is none
  EXPECT_EQ(linking->health().index_agencies, 1U);
  EXPECT_EQ(linking->health().index_entries, 500U);
  ASSERT_TRUE(linking->prepare({}));
  EXPECT_EQ(linking->health().index_agencies, 4U);
  EXPECT_EQ(linking->health().index_entries, 1510U);
  EXPECT_EQ(status_of(*linking, site_, "472018", "141003", 3), LinkStatus::kOk);
  EXPECT_EQ(linking->health().index_agencies, 4U);
}

TEST_F(LinkingIndexTest, PreparingEndsWhenItIsToldTo) {
  const auto linking = site_.open();
  const auto ended =
      linking->prepare({}, []() -> Status { return fail(ErrorCode::kUsage, "enough"); });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().what, "enough");
  EXPECT_EQ(linking->health().index_agencies, 0U);
  EXPECT_EQ(linking->health().index_bytes, 0U);
  EXPECT_EQ(status_of(*linking, site_, "131016", "141003", 3), LinkStatus::kOk);
}

}  // namespace
}  // namespace fugo::test
