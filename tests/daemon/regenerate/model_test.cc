// Random sequences of issue, change, delete and regeneration, some killed midway, against a model.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/daemon/regenerate/regeneration_model.h"

namespace fugo::test {
namespace {

// How many acts: FUGO_MODEL_ACTS makes it a long run.
std::uint64_t acts() {
  const char* given = std::getenv("FUGO_MODEL_ACTS");
  return given == nullptr ? 30 : std::strtoull(given, nullptr, 10);
}

void play(std::uint64_t seed, bool kills) {
  RegenerationModel model(seed, kills);
  for (std::uint64_t i = 0; i < acts(); ++i) {
    ASSERT_NO_FATAL_FAILURE(model.act()) << "seed " << seed;
    if (::testing::Test::HasFatalFailure()) return;
    if (i % 15 == 14) model.check();
    if (::testing::Test::HasFatalFailure()) return;
  }
  model.check();
  const auto& counts = model.counts();
  std::printf(
      "seed %lu: %lu acts, %lu kills (%lu in runs), %lu runs, %lu finished, %lu aborted, "
      "%lu issued, %lu changed, %lu deleted, %lu mergers, %lu rebases, %lu links\n",
      seed, counts.acts, counts.kills, counts.kills_in_runs, counts.runs, counts.finished,
      counts.aborts, counts.issued, counts.changed, counts.deleted, counts.merged, counts.rebased,
      counts.linked);
}

TEST(RegenerationModel, HoldsUndisturbed) { play(1, false); }
TEST(RegenerationModel, HoldsWhenKilled) { play(2, true); }

}  // namespace
}  // namespace fugo::test
