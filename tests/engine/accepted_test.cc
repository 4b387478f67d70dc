#include "engine/accepted.h"

#include <gtest/gtest.h>

namespace fugo::engine {
namespace {

using keystore::Generation;
using keystore::GenerationRow;
using keystore::GenerationState;

GenerationRow row(Generation number, Generation linkage, GenerationState state) {
  GenerationRow made;
  made.number = number;
  made.linkage_generation = linkage;
  made.state = state;
  return made;
}

TEST(Accepted, TheActiveOneFirstThenTheNewest) {
  keystore::RunRow run, aborted;
  run.from = 2;
  run.committed = 1'700'000'000;
  run.last_segment = 17;
  aborted.from = 1;
  aborted.last_segment = 3;
  const auto accepted = accepted_of(
      std::vector{row(1, 1, GenerationState::kAccepting), row(2, 2, GenerationState::kAccepting),
                  row(3, 3, GenerationState::kActive), row(4, 4, GenerationState::kPending),
                  row(5, 5, GenerationState::kRetired)},
      std::vector{run, aborted});
  ASSERT_TRUE(accepted);
  ASSERT_EQ(accepted->size(), 3U);
  EXPECT_EQ((*accepted)[0].row.number, 3);
  EXPECT_EQ((*accepted)[0].last_segment, 0xFFFFFFFF);
  EXPECT_EQ((*accepted)[1].row.number, 2);
  EXPECT_EQ((*accepted)[1].last_segment, 17U);
  EXPECT_EQ((*accepted)[2].row.number, 1);
  EXPECT_EQ((*accepted)[2].last_segment, 0xFFFFFFFF) << "of a run that was not committed";
  const auto none = accepted_of(std::vector{row(1, 1, GenerationState::kAccepting)}, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kDamaged);
}

TEST(Accepted, AnAgencysSymbolsAreTheSameUnlessItsVersionOrTheLinkageChanged) {
  const auto one = row(1, 1, GenerationState::kAccepting);
  const auto two = row(2, 1, GenerationState::kActive);
  const auto chained = row(2, 2, GenerationState::kActive);
  keystore::Agency agency;
  agency.versions.resize(1);
  EXPECT_TRUE(same_symbols(agency, one, two));
  EXPECT_FALSE(same_symbols(agency, one, chained));
  agency.versions.push_back(agency.versions[0]);
  agency.versions[1].generation = 2;
  EXPECT_FALSE(same_symbols(agency, one, two));
  EXPECT_EQ(version_for(agency, 1), &agency.versions[0]);
  EXPECT_EQ(version_for(agency, 2), &agency.versions[1]);
  EXPECT_EQ(version_for(agency, 9), &agency.versions[1]);
  agency.versions.erase(agency.versions.begin());
  EXPECT_EQ(version_for(agency, 1), nullptr);
}

}  // namespace
}  // namespace fugo::engine
