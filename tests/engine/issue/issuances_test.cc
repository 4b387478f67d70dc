// Issuances against a ledger in memory.
#include "engine/issue/issuances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory_snapshot.h"

namespace fugo::engine {
namespace {

using fugo::testing::MemorySnapshot;
using keystore::AgencyNumber;
using keystore::PersonId;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

constexpr auto kNew = RowResult::kNew;
constexpr auto kExisting = RowResult::kExisting;
constexpr auto kSuperseded = RowResult::kSuperseded;

TEST(Issuances, AreNewOncePerPersonAndAgency) {
  MemorySnapshot ledger;
  ledger.records.resize(10);
  ledger.issued = {{{1, 3}, 5}, {{2, 4}, 6}};
  //                                        old, other agency, again, new person twice, their other
  const std::vector<AgencyNumber> agencies = {1, 2, 2, 1, 1, 2, 2};
  const std::vector<PersonId> ids = {3, 3, 3, 10, 10, 10, 4};
  Issuances issuances;
  ASSERT_TRUE(issuances.find(ledger, agencies, ids, 10, keystore::kNoSegment));
  EXPECT_THAT(issuances.results(),
              ElementsAre(kExisting, kNew, kExisting, kNew, kExisting, kNew, kExisting));
  EXPECT_THAT(issuances.new_rows(), ElementsAre(3, 1, 5));  // by agency, then by person
}

TEST(Issuances, OfPeopleWhoseCodeWasChangedAreLeftOut) {
  MemorySnapshot ledger;
  ledger.records.resize(3);
  ledger.issued = {{{1, 0}, 5}};
  ledger.patched = {{.id = 0, .superseded_in = 6}};
  const std::vector<AgencyNumber> agencies = {1, 2, 1};
  const std::vector<PersonId> ids = {0, 0, 1};
  Issuances issuances;
  ASSERT_TRUE(issuances.find(ledger, agencies, ids, 3, keystore::kNoSegment));
  EXPECT_THAT(issuances.results(), ElementsAre(kSuperseded, kSuperseded, kNew));
  EXPECT_THAT(issuances.new_rows(), ElementsAre(2));
  // Answers of the segment before are made again as they were.
  ASSERT_TRUE(issuances.find(ledger, std::vector<AgencyNumber>{1}, std::vector<PersonId>{0}, 3, 5));
  EXPECT_THAT(issuances.results(), ElementsAre(kNew));
}

// While answers are made again, what this segment made is new, and what came later is not there.
TEST(Issuances, OfAnAnsweredSegmentAreNewAgain) {
  MemorySnapshot ledger;
  ledger.records.resize(3);
  ledger.issued = {{{1, 0}, 5}, {{1, 1}, 7}, {{1, 2}, 8}};
  const std::vector<AgencyNumber> agencies = {1, 1, 1};
  Issuances issuances;
  ASSERT_TRUE(issuances.find(ledger, agencies, std::vector<PersonId>{0, 1, 1}, 3, 7));
  EXPECT_THAT(issuances.results(), ElementsAre(kExisting, kNew, kExisting));
  for (const PersonId missing : {PersonId{2}, PersonId{1}}) {
    const std::vector<AgencyNumber> asked = {missing == 2 ? AgencyNumber{1} : AgencyNumber{2}};
    const auto refused = issuances.find(ledger, asked, std::vector<PersonId>{missing}, 3, 7);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  }
}

// Many more rows than one core looks up at once, against the same rule written down plainly.
TEST(Issuances, OfManyRowsAreWhatThePlainRuleSays) {
  MemorySnapshot ledger;
  ledger.records.resize(20'000);
  for (PersonId id = 0; id < 20'000; id += 3)
    ledger.issued[{id % 2 == 0 ? AgencyNumber{1} : AgencyNumber{2}, id}] = 4;
  std::vector<AgencyNumber> agencies;
  std::vector<PersonId> ids;
  for (std::uint32_t i = 0; i < 150'000; ++i) {
    agencies.push_back(static_cast<AgencyNumber>(1 + i * 7 % 2));
    ids.push_back(i * 7919 % 40'000);
  }
  std::map<keystore::IssuedKey, bool> seen;
  std::vector<RowResult> expected;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const keystore::IssuedKey key{agencies[i], ids[i]};
    const bool is_new = ledger.issued.count(key) == 0 && seen.emplace(key, true).second;
    expected.push_back(is_new ? kNew : kExisting);
  }
  Issuances issuances;
  ASSERT_TRUE(issuances.find(ledger, agencies, ids, 20'000, keystore::kNoSegment));
  EXPECT_THAT(issuances.results(), ElementsAreArray(expected));
}

}  // namespace
}  // namespace fugo::engine
