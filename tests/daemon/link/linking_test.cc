// Linking in the test's own process on a real site, while other processes write the ledger.
#include "engine/link/linking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/daemon/link/linked_site.h"

namespace fugo::test {

using engine::IndexPolicy;
using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;
using engine::PersonHandle;
using keystore::AgencyNumber;

namespace {

constexpr std::size_t kResidents = 60;

// Everybody of the pattern, by the symbols of one agency for another one; what must come out.
struct Expected {
  LinkStatus status;
  Block linked;
  std::size_t resident;
};
void ask_pair(const LinkedSite& site, const std::string& from, const std::string& to,
              std::size_t residents, std::vector<Asked>& asked, std::vector<Expected>& expected) {
  for (std::size_t i = 0; i < residents; ++i) {
    if (!site.has(from, i)) continue;
    const bool has = site.has(to, i);
    asked.push_back({from, to, site.symbol(from, i)});
    expected.push_back(
        {has ? LinkStatus::kOk : LinkStatus::kNotIssued, has ? site.symbol(to, i) : Block{}, i});
  }
}

// Records collects record symbols: one for each person, whoever asks.
class Records {
 public:
  void check(std::size_t resident, const Block& record) {
    ASSERT_NE(record, Block{});
    const auto [mine, fresh] = by_resident_.emplace(resident, record);
    ASSERT_EQ(mine->second, record) << "of resident " << resident;
    if (fresh) {
      ASSERT_TRUE(all_.insert(record).second) << "two people have one record symbol";
    }
  }
  [[nodiscard]] std::size_t people() const { return all_.size(); }

 private:
  std::map<std::size_t, Block> by_resident_;
  std::set<Block> all_;
};

void expect_answers(const std::vector<Asked>& asked, const std::vector<Expected>& expected,
                    Records& records) {
  ASSERT_EQ(asked.size(), expected.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    ASSERT_EQ(asked[i].status, expected[i].status)
        << "resident " << expected[i].resident << ", " << asked[i].from << " to " << asked[i].to;
    ASSERT_EQ(asked[i].linked, expected[i].linked);
    if (asked[i].status == LinkStatus::kOk)
      records.check(expected[i].resident, asked[i].record);
    else
      ASSERT_EQ(asked[i].record, Block{});
  }
}

// How it is opened: combined calls or not, tables at the first question or ahead.
class LinkingTest : public testing::TestWithParam<std::pair<bool, IndexPolicy>> {
 protected:
  static LinkingSettings settings() {
    LinkingSettings given;
    given.combine = GetParam().first;
    given.index = GetParam().second;
    return given;
  }
};
INSTANTIATE_TEST_SUITE_P(Settings, LinkingTest,
                         testing::Values(std::pair(true, IndexPolicy::kLazy),
                                         std::pair(false, IndexPolicy::kLazy),
                                         std::pair(true, IndexPolicy::kAhead)),
                         [](const auto& given) {
                           return std::string(given.param.first ? "Combined" : "Apart") +
                                  (given.param.second == IndexPolicy::kLazy ? "Lazy" : "Ahead");
                         });

TEST_P(LinkingTest, EveryAgencyToEveryAgency) {
  LinkedSite site;
  site.issue_pattern(0, kResidents);
  const auto linking = site.open(settings());
  Records records;
  std::vector<Asked> all;
  std::vector<Expected> all_expected;
  for (const auto& from : kLinkAgencies)
    for (const auto& to : kLinkAgencies) {
      std::vector<Asked> asked;
      std::vector<Expected> expected;
      ask_pair(site, from, to, kResidents, asked, expected);
      ask_pair(site, from, to, kResidents, all, all_expected);
      link_all(*linking, asked);
      expect_answers(asked, expected, records);
      if (HasFatalFailure()) return;
    }
  // All agencies mixed in one call, in any order, everybody twice.
  const std::size_t count = all.size();
  std::vector<Asked> mixed(2 * count);
  std::vector<Expected> mixed_expected(2 * count);
  for (std::size_t i = 0; i < 2 * count; ++i) {
    mixed[i * 7919 % (2 * count)] = all[i % count];
    mixed_expected[i * 7919 % (2 * count)] = all_expected[i % count];
  }
  link_all(*linking, mixed);
  expect_answers(mixed, mixed_expected, records);
  EXPECT_GT(records.people(), kResidents * 8 / 10);
  // One by one.
  for (std::size_t i = 0; i < all.size(); i += 17) {
    std::vector<Asked> one = {all[i]};
    link_all(*linking, one);
    expect_answers(one, {all_expected[i]}, records);
    if (HasFatalFailure()) return;
  }
}

TEST_P(LinkingTest, PeopleAreKnownByTheirHandles) {
  LinkedSite site;
  site.issue_pattern(0, kResidents);
  std::vector<PersonHandle> foreign;
  for (const bool again : {false, true}) {
    const auto linking = site.open(settings());
    std::vector<AgencyNumber> agencies;
    std::vector<Block> symbols;
    std::vector<std::size_t> residents;
    for (const auto& agency : kLinkAgencies)
      for (std::size_t i = 0; i < kResidents; ++i)
        if (site.has(agency, i)) {
          agencies.push_back(number(*linking, agency));
          symbols.push_back(site.symbol(agency, i));
          residents.push_back(i);
        }
    const std::size_t count = symbols.size();
    std::vector<PersonHandle> people(count);
    std::vector<LinkStatus> statuses(count, LinkStatus::kUnknown);
    linking->resolve(agencies, symbols, people, statuses);
    EXPECT_THAT(statuses, testing::Each(LinkStatus::kOk));
    for (std::size_t a = 0; a < count; ++a)
      for (std::size_t b = 0; b < a; ++b)
        ASSERT_EQ(people[a] == people[b], residents[a] == residents[b]);

    for (const auto& to : kLinkAgencies) {
      const std::vector<AgencyNumber> numbers(count, number(*linking, to));
      std::vector<Block> given(count);
      linking->is_issued(people, numbers, statuses);
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_EQ(statuses[i],
                  site.has(to, residents[i]) ? LinkStatus::kOk : LinkStatus::kNotIssued);
      linking->symbol_for(people, numbers, given, statuses);
      for (std::size_t i = 0; i < count; ++i) {
        const bool has = site.has(to, residents[i]);
        ASSERT_EQ(statuses[i], has ? LinkStatus::kOk : LinkStatus::kNotIssued);
        ASSERT_EQ(given[i], has ? site.symbol(to, residents[i]) : Block{});
      }
    }
    std::vector<Block> records(count);
    linking->record_symbol(people, records, statuses);
    EXPECT_THAT(statuses, testing::Each(LinkStatus::kOk));
    Records checked;
    for (std::size_t i = 0; i < count; ++i) checked.check(residents[i], records[i]);

    // What another Linking gave, or nobody, is unknown here.
    if (again) {
      people = foreign;
      people[0] = {};
      linking->is_issued(people, agencies, statuses);
      EXPECT_THAT(statuses, testing::Each(LinkStatus::kUnknown));
      linking->symbol_for(people, agencies, symbols, statuses);
      EXPECT_THAT(statuses, testing::Each(LinkStatus::kUnknown));
      EXPECT_THAT(symbols, testing::Each(Block{}));
      linking->record_symbol(people, records, statuses);
      EXPECT_THAT(statuses, testing::Each(LinkStatus::kUnknown));
      EXPECT_THAT(records, testing::Each(Block{}));
    }
    foreign = people;
  }
}

TEST_P(LinkingTest, NobodyHasAStrangeSymbolOrOneOfAnotherAgency) {
  LinkedSite site;
  site.issue_pattern(0, 20);
  const auto linking = site.open(settings());
  std::vector<Asked> asked;
  for (const auto& from : kLinkAgencies)
    for (const auto& to : kLinkAgencies) {
      asked.push_back({from, to, strange_symbol(asked.size())});
      asked.push_back({from, to, Block{}});
      if (from != to) asked.push_back({from, to, site.symbol(to, 6)});
      Block spoilt = site.symbol(from, 6);  // so that it is the same for a table
      spoilt.bytes[15] ^= 1U;
      asked.push_back({from, to, spoilt});
      // Nobody was issued a symbol there.
      asked.push_back({"011002", to, site.symbol(from, 6)});
    }
  link_all(*linking, asked);
  for (const Asked& item : asked) {
    EXPECT_EQ(item.status, LinkStatus::kUnknown);
    EXPECT_EQ(item.linked, Block{});
    EXPECT_EQ(item.record, Block{});
  }
}

// A symbol that can be inverted leads to the person, also when its agency was never issued it.
TEST_P(LinkingTest, ASymbolThatTheAgencyWasNotIssuedIsUnknown) {
  LinkedSite site;
  site.issue({{"131016", 1}, {"472018", 1}});
  const std::vector<std::string> never = {"141003", "131130"};
  std::vector<Block> made(never.size());
  {
    const auto open = site.open_site();
    keystore::PersonRecord person;
    const keystore::PersonId id = 0;
    ASSERT_TRUE((*open->ledger().snapshot())->read_people(1, {&id, 1}, {&person, 1}));
    for (std::size_t i = 0; i < never.size(); ++i)
      ASSERT_TRUE(open->symbols().agency(1, std::vector{open->find_agency(never[i])->number},
                                         {&person.linkage_symbol, 1}, {&made[i], 1}));
  }
  const auto linking = site.open(settings());
  for (std::size_t i = 0; i < never.size(); ++i) {
    EXPECT_EQ(link_one(*linking, {never[i], "472018", made[i]}).status, LinkStatus::kUnknown);
    EXPECT_EQ(link_one(*linking, {"131016", never[i], site.symbol("131016", 1)}).status,
              LinkStatus::kNotIssued);
  }
  site.issue({{never[0], 1}, {never[1], 1}});
  for (std::size_t i = 0; i < never.size(); ++i)
    EXPECT_EQ(link_one(*linking, {never[i], "472018", made[i]}).linked, site.symbol("472018", 1));
}

TEST_P(LinkingTest, ChangedAndDeletedPeople) {
  LinkedSite site;
  site.issue_pattern(0, 30);
  const auto linking = site.open(settings());
  std::vector<PersonHandle> people(30);
  std::vector<LinkStatus> statuses(30);
  std::vector<AgencyNumber> agency(30, number(*linking, "472018"));
  std::vector<Block> symbols;
  for (std::size_t i = 0; i < 30; ++i)
    symbols.push_back(site.has("472018", i) ? site.symbol("472018", i) : strange_symbol(i));
  linking->resolve(agency, symbols, people, statuses);

  site.change(6, 1006);
  for (const auto& from : kLinkAgencies)
    for (const auto& to : kLinkAgencies) {
      const auto old = link_one(*linking, {from, to, site.symbol(from, 6)});
      ASSERT_EQ(old.status, LinkStatus::kSuperseded) << from << " to " << to;
      ASSERT_EQ(old.linked, Block{});
      ASSERT_EQ(old.record, Block{});
      const auto now = link_one(*linking, {from, to, site.symbol(from, 1006)});
      ASSERT_EQ(now.status, LinkStatus::kOk) << from << " to " << to;
      ASSERT_EQ(now.linked, site.symbol(to, 1006));
    }
  site.remove(13);
  for (const auto& from : kLinkAgencies)
    for (const auto& to : kLinkAgencies)
      ASSERT_EQ(link_one(*linking, {from, to, site.symbol(from, 13)}).status, LinkStatus::kUnknown)
          << from << " to " << to;

  // By handles that were given before.
  std::vector<Block> given(30);
  linking->symbol_for(people, agency, given, statuses);
  EXPECT_EQ(statuses[6], LinkStatus::kSuperseded);
  EXPECT_EQ(statuses[13], LinkStatus::kUnknown);
  EXPECT_EQ(statuses[20], LinkStatus::kOk);
  linking->is_issued(people, agency, statuses);
  EXPECT_EQ(statuses[6], LinkStatus::kSuperseded);
  EXPECT_EQ(statuses[13], LinkStatus::kUnknown);
  linking->record_symbol(people, given, statuses);
  EXPECT_EQ(statuses[6], LinkStatus::kSuperseded);
  EXPECT_EQ(statuses[13], LinkStatus::kUnknown);
  EXPECT_EQ(given[6], Block{});
  EXPECT_EQ(given[13], Block{});
  // A superseded symbol gives no handle.
  linking->resolve(agency, symbols, people, statuses);
  EXPECT_EQ(statuses[6], LinkStatus::kSuperseded);
  EXPECT_EQ(people[6], PersonHandle{});
  EXPECT_EQ(statuses[13], LinkStatus::kUnknown);
  EXPECT_EQ(people[13], PersonHandle{});
}

TEST_P(LinkingTest, CallsOfAnyLength) {
  LinkedSite site;
  site.issue_pattern(0, kResidents);
  const auto linking = site.open(settings());
  std::vector<Asked> all;
  std::vector<Expected> all_expected;
  for (const auto& from : kLinkAgencies)
    for (const auto& to : kLinkAgencies) ask_pair(site, from, to, kResidents, all, all_expected);
  for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 1024U, 1025U, 65'536U, 70'000U}) {
    std::vector<Asked> asked;
    std::vector<Expected> expected;
    for (std::size_t i = 0; i < count; ++i) {
      asked.push_back(all[(i * 31 + i / 64) % all.size()]);
      expected.push_back(all_expected[(i * 31 + i / 64) % all.size()]);
    }
    Records records;
    link_all(*linking, asked);
    expect_answers(asked, expected, records);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace fugo::test
