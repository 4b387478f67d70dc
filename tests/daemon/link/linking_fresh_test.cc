// A commit of another process is seen by the very next call, whatever happens to the files.
#include <gtest/gtest.h>

#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::IndexPolicy;
using engine::LinkingSettings;
using engine::LinkStatus;

namespace {

class LinkingFreshTest : public testing::TestWithParam<IndexPolicy> {};
INSTANTIATE_TEST_SUITE_P(Policies, LinkingFreshTest,
                         testing::Values(IndexPolicy::kLazy, IndexPolicy::kAhead),
                         [](const auto& given) {
                           return given.param == IndexPolicy::kLazy ? "Lazy" : "Ahead";
                         });

// Each round commits one or two more segments, whose files are merged into larger ones as they
// become many; every third round the tables are asked only after several.
TEST_P(LinkingFreshTest, EveryCommitIsSeenAtOnce) {
  constexpr std::size_t kRounds = 24, kOfRound = 9;
  LinkedSite site;
  site.site().set_config("[ledger]", "[issue]\nsegment_rows = 20\n\n[ledger]");
  LinkingSettings settings;
  settings.index = GetParam();
  const auto linking = site.open(settings);
  if (GetParam() == IndexPolicy::kAhead) {
    ASSERT_TRUE(linking->prepare({}));
  }
  for (std::size_t round = 0; round < kRounds; ++round) {
    site.issue_pattern(round * kOfRound, kOfRound);
    if (round % 5 == 4) site.change((round - 1) * kOfRound, 5000 + round);
    if (round % 5 == 3) site.remove(round * kOfRound - 1);
    if (round % 3 == 2) continue;
    std::vector<Asked> asked;
    std::vector<std::size_t> residents;
    for (std::size_t i = 0; i < (round + 1) * kOfRound; ++i)
      for (std::size_t from = 0; from < kLinkAgencies.size(); ++from)
        if (site.has(kLinkAgencies[from], i)) {
          const auto& to = kLinkAgencies[(from + 1 + i % 3) % kLinkAgencies.size()];
          asked.push_back({kLinkAgencies[from], to, site.symbol(kLinkAgencies[from], i)});
          residents.push_back(i);
        }
    // The newest first, one by one.
    for (std::size_t i = 0; i < 6; ++i) {
      std::vector<Asked> one = {asked[asked.size() - 1 - i]};
      link_all(*linking, one);
      asked[asked.size() - 1 - i].status = one[0].status;
      ASSERT_NE(one[0].status, LinkStatus::kUnknown) << "round " << round;
    }
    link_all(*linking, asked);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const std::size_t who = residents[i];
      const bool changed = site.changed(who), removed = site.removed(who);
      const bool has = site.has(asked[i].to, who);
      ASSERT_EQ(asked[i].status, removed   ? LinkStatus::kUnknown
                                 : changed ? LinkStatus::kSuperseded
                                 : has     ? LinkStatus::kOk
                                           : LinkStatus::kNotIssued)
          << "resident " << who << " in round " << round;
      if (asked[i].status == LinkStatus::kOk) {
        ASSERT_EQ(asked[i].linked, site.symbol(asked[i].to, who));
      }
    }
  }
  EXPECT_EQ(linking->health().last_error, "");
  EXPECT_EQ(linking->health().index_evictions, 0U);
}

// From a few people to more than twice as many as the numbers in a table have room for, in one
// step that no call saw; one agency has all of them, another one the first and the last.
TEST(LinkingGrowth, ALedgerThatGrowsManifoldBetweenTwoCalls) {
  constexpr std::size_t kMany = 132'000;
  LinkedSite site;
  site.issue({{"131016", 0}, {"472018", 0}});
  const auto linking = site.open();
  for (const std::string from : {"131016", "472018"})
    EXPECT_EQ(link_one(*linking, {from, from, site.symbol(from, 0)}).status, LinkStatus::kOk);
  std::vector<LinkedSite::Issuance> wanted;
  for (std::size_t i = 1; i < kMany; ++i) wanted.emplace_back("131016", i);
  wanted.emplace_back("472018", kMany - 1);
  site.issue(wanted);
  for (const std::string from : {"131016", "472018"})
    for (const std::size_t who : {std::size_t{0}, kMany - 1}) {
      const auto asked = link_one(*linking, {from, "472018", site.symbol(from, who)});
      EXPECT_EQ(asked.status, LinkStatus::kOk) << linking->health().last_error;
      EXPECT_EQ(asked.linked, site.symbol("472018", who));
    }
  for (std::size_t who = 1; who < kMany; who += 997)
    ASSERT_EQ(link_one(*linking, {"131016", "472018", site.symbol("131016", who)}).status,
              LinkStatus::kNotIssued);
}

}  // namespace
}  // namespace fugo::test
