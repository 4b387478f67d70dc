// What depends on a key, which versions come next, which pending keys may be used.
#include "daemon/key_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/key_making.h"

namespace fugo::daemon {
namespace {

using hsm::KeyPurpose;
using keystore::GenerationRow;
using keystore::GenerationState;
using keystore::KeyRow;
using keystore::KeyState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

KeyRow row_of(const hsm::KeyName& name, KeyState state) {
  KeyRow row;
  row.purpose = static_cast<std::uint8_t>(name.purpose);
  row.algorithm = static_cast<std::uint8_t>(name.algorithm);
  row.version = name.version;
  row.state = state;
  row.label = hsm::key_label(name);
  return row;
}

// Registry is one whose generations 1 to 3 were chained by linkage keys 1 to 3; 3 is active.
class Registry : public testing::Test {
 protected:
  Registry() {
    for (std::uint16_t version = 1; version <= 3; ++version) {
      GenerationRow row;
      row.number = row.linkage_generation = row.linkage_key = version;
      row.agency_key = row.record_key = version;
      row.chained_from = static_cast<keystore::Generation>(version - 1);
      row.state = version == 3 ? GenerationState::kActive : GenerationState::kRetired;
      registry_.generations.push_back(row);
    }
    registry_.header.wrap_key_version = 1;
  }
  [[nodiscard]] std::vector<std::string> dependants(KeyPurpose purpose,
                                                    std::uint16_t version) const {
    return dependants_of(registry_, row_of(keys_of(purpose, version).back(), KeyState::kRetired));
  }

  KeyRegistry registry_;
};

TEST_F(Registry, AnOldLinkageKeyIsNeededByWhoeverStartsAtItOrBefore) {
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 1), IsEmpty());
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 2), IsEmpty());
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 3), ElementsAre("generation 3 (active) uses it"));
  registry_.generations[1].starters = 7;
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 1), IsEmpty());
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 2), ElementsAre("7 people start from generation 2"));
  registry_.generations[0].starters = 5;
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 1), ElementsAre("5 people start from generation 1"));
  EXPECT_EQ(dependants(KeyPurpose::kLinkage, 2).size(), 2U);
}

TEST_F(Registry, AnAbortedRunsLinkageKeyIsNeededByNobody) {
  registry_.generations[0].starters = 5;
  registry_.generations[2].chained_from = 1;  // 2 was given up
  EXPECT_THAT(dependants(KeyPurpose::kLinkage, 2), IsEmpty());
  EXPECT_EQ(dependants(KeyPurpose::kLinkage, 1).size(), 1U);
}

TEST_F(Registry, LiveGenerationsNeedTheirKeys) {
  for (const auto& [state, word] : {std::pair{GenerationState::kAccepting, "accepting"},
                                    std::pair{GenerationState::kPending, "pending"}}) {
    registry_.generations[1].state = state;
    for (const auto purpose : {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord}) {
      EXPECT_THAT(dependants(purpose, 2), ElementsAre(HasSubstr(word))) << word;
      EXPECT_THAT(dependants(purpose, 1), IsEmpty());
    }
  }
}

TEST_F(Registry, AnAgencysVersionHoldsUntilItsNext) {
  keystore::Agency agency;
  agency.code = "131016";
  agency.versions = {{1, 1, 1, Block{{1}}}, {2, 1, 2, Block{{2}}}};
  registry_.agencies = {agency};
  EXPECT_THAT(dependants(KeyPurpose::kAgency, 1), IsEmpty());
  EXPECT_THAT(dependants(KeyPurpose::kAgency, 2), ElementsAre(HasSubstr("131016")))
      << "generation 3 gave it no version of its own";
  registry_.generations[0].state = GenerationState::kAccepting;
  EXPECT_EQ(dependants(KeyPurpose::kAgency, 1).size(), 2U);
}

TEST_F(Registry, TheLedgersDataKeyTheSigningKeyAndAnUnfinishedRun) {
  EXPECT_EQ(dependants(KeyPurpose::kDataWrap, 1).size(), 1U);
  EXPECT_THAT(dependants(KeyPurpose::kDataWrap, 2), IsEmpty());
  for (std::uint16_t version = 1; version <= 2; ++version)
    registry_.keys.push_back(row_of(keys_of(KeyPurpose::kJournal, version)[0], KeyState::kActive));
  EXPECT_EQ(dependants(KeyPurpose::kJournal, 2).size(), 1U);
  EXPECT_THAT(dependants(KeyPurpose::kJournal, 1), IsEmpty());

  keystore::RunRow run;
  run.number = 1;
  run.id = "R+0001";
  run.wrap_key_version = 2;
  run.new_keys = {{5, 1, 9}};
  registry_.runs = {run};
  EXPECT_THAT(dependants(KeyPurpose::kRecord, 9), IsEmpty());
  registry_.state.open_run = 1;
  EXPECT_THAT(dependants(KeyPurpose::kRecord, 9), ElementsAre(HasSubstr("R+0001")));
  EXPECT_THAT(dependants(KeyPurpose::kDataWrap, 2), ElementsAre(HasSubstr("R+0001")));
}

TEST_F(Registry, NextVersionsFollowEverythingThatWasEverNamed) {
  registry_.keys = {row_of(keys_of(KeyPurpose::kAgency, 2).back(), KeyState::kDestroyed)};
  auto next = next_keys(registry_, {KeyPurpose::kAgency});
  ASSERT_TRUE(next);
  EXPECT_EQ(*next, keys_of(KeyPurpose::kAgency, 3));
  keystore::RunRow run;
  run.new_keys = {{static_cast<std::uint8_t>(KeyPurpose::kAgencyXtsData), 1, 6}};
  registry_.runs = {run};
  EXPECT_EQ(*next_keys(registry_, {KeyPurpose::kAgency}), keys_of(KeyPurpose::kAgency, 7));
  EXPECT_FALSE(next_keys(registry_, {KeyPurpose::kAgency, KeyPurpose::kAgency}));
  EXPECT_FALSE(next_keys(registry_, {KeyPurpose::kAgencyXtsData}));
}

TEST_F(Registry, PendingKeysAreGivenWholeAndUnused) {
  for (const auto& name : keys_of(KeyPurpose::kRecord, 4))
    registry_.keys.push_back(row_of(name, KeyState::kPending));
  EXPECT_EQ(pending_keys(registry_, KeyPurpose::kRecord), registry_.keys);
  EXPECT_THAT(pending_keys(registry_, KeyPurpose::kLinkage), IsEmpty());
  registry_.keys[0].state = KeyState::kRetired;
  EXPECT_THAT(pending_keys(registry_, KeyPurpose::kRecord), IsEmpty());
  registry_.keys[0].state = KeyState::kPending;
  keystore::RunRow run;
  run.number = registry_.state.open_run = 1;
  run.new_keys = {{5, 2, 4}};
  registry_.runs = {run};
  EXPECT_THAT(pending_keys(registry_, KeyPurpose::kRecord), IsEmpty());
}

}  // namespace
}  // namespace fugo::daemon
