#include "engine/starts.h"

#include <gtest/gtest.h>

namespace fugo::engine {
namespace {

using keystore::Generation;
using keystore::GenerationRow;
using keystore::GenerationState;

GenerationRow row(Generation number, Generation linkage, Generation chained_from,
                  std::uint64_t starters, GenerationState state = GenerationState::kRetired) {
  GenerationRow made;
  made.number = number;
  made.linkage_generation = linkage;
  made.chained_from = chained_from;
  made.starters = starters;
  made.state = state;
  return made;
}

// "1:2,4 2:4 4:" - each start and its path.
std::string text(const std::vector<GenerationRow>& rows) {
  const auto starts = starts_of(rows);
  if (!starts) return starts.error().what;
  std::string text;
  for (const Start& start : *starts) {
    text += std::to_string(start.made_by.number) + ":";
    for (const auto& step : start.path) text += std::to_string(step.number) + ",";
    text += " ";
  }
  return text;
}

TEST(Starts, AreThoseThatAnybodyStartsFromAndTheActiveOne) {
  EXPECT_EQ(text({row(1, 1, 0, 0, GenerationState::kActive)}), "1: ");
  EXPECT_EQ(text({row(1, 1, 0, 5), row(2, 2, 1, 0, GenerationState::kActive)}), "1:2, 2: ");
  EXPECT_EQ(text({row(1, 1, 0, 5), row(2, 2, 1, 0), row(3, 3, 2, 1, GenerationState::kActive)}),
            "1:2,3, 3: ");
  EXPECT_EQ(text({row(1, 1, 0, 0), row(2, 2, 1, 9), row(3, 3, 2, 1, GenerationState::kActive)}),
            "2:3, 3: ");
}

TEST(Starts, GenerationsWithoutLinkageSymbolsOfTheirOwnAreNoSteps) {
  EXPECT_EQ(text({row(1, 1, 0, 5), row(2, 1, 0, 0, GenerationState::kActive)}), "1: ");
  // Chained from the generation before, or from the one that has its symbols.
  for (const auto from : {Generation{1}, Generation{2}})
    EXPECT_EQ(text({row(1, 1, 0, 5), row(2, 1, 0, 0), row(3, 3, from, 0),
                    row(4, 3, 0, 0, GenerationState::kActive)}),
              "1:3, 3: ");
}

TEST(Starts, PendingAndAbandonedGenerationsAreLeftAlone) {
  EXPECT_EQ(text({row(1, 1, 0, 5, GenerationState::kActive), row(2, 2, 1, 3),
                  row(3, 3, 1, 3, GenerationState::kPending)}),
            "1: ");
}

TEST(Starts, AChainThatLeadsNowhereIsDamage) {
  for (const auto& rows :
       {std::vector{row(1, 1, 0, 5)}, std::vector{row(3, 3, 2, 0, GenerationState::kActive)},
        std::vector{row(3, 3, 3, 0, GenerationState::kActive)},
        std::vector{row(3, 2, 0, 0, GenerationState::kActive)}}) {
    const auto starts = starts_of(rows);
    ASSERT_FALSE(starts);
    EXPECT_EQ(starts.error().code, ErrorCode::kDamaged);
  }
}

}  // namespace
}  // namespace fugo::engine
