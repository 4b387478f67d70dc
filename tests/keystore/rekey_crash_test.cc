// kill -9 and failing disks at each durable step of a rekey: the old ledger or the new one, whole.
#include "tests/fault/run_with_faults.h"
#include "tests/keystore/real_ledger.h"

namespace fugo::keystore {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;

class RekeyCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(real.make());
    real.ledger.reset();
    std::filesystem::copy(real.place.directory, before(), std::filesystem::copy_options::recursive);
  }
  void TearDown() override { std::filesystem::remove_all(before()); }

  FaultOutcome run(FaultPlan plan) const {
    plan.under = real.place.directory;
    return fugo::testing::run_with_faults(
        {std::string(FUGO_LEDGER_PROBE), real.place.directory.string(), "rekey"}, plan);
  }
  void reset() const {
    std::filesystem::remove_all(real.place.directory);
    std::filesystem::copy(before(), real.place.directory, std::filesystem::copy_options::recursive);
  }
  // expect_whole opens the ledger by whichever data key its header tells; true: the new one.
  bool expect_whole() const {
    const auto header = Ledger::read_header(real.place.directory);
    EXPECT_TRUE(header.has_value());
    const bool renewed = header->wrap_key_version == 2;
    const auto ledger = Ledger::open(real.place.directory, Access::kWrite,
                                     renewed ? second_data_key() : real.place.key);
    EXPECT_TRUE(ledger.has_value()) << ledger.error().message();
    EXPECT_EQ(findings_of(**ledger), "");
    EXPECT_TRUE(renewed || Staging::open(**ledger).has_value());
    const auto state = *(*ledger)->state();
    EXPECT_EQ((Sums{state.people_digest, state.issued_digest, state.times_digest}),
              real.sums(*(*ledger)->content_digest()));
    EXPECT_EQ((*ledger)->snapshot().value()->files().size(), real.place.bulk_files()) << "orphans";
    EXPECT_EQ(state.open_run, renewed ? 0U : 1U);
    return renewed;
  }
  void expect_finished_by_another_call() const {
    const auto again = run({});
    ASSERT_EQ(again.exit_code, 0) << again.errors;
    EXPECT_TRUE(expect_whole());
  }
  [[nodiscard]] std::filesystem::path before() const {
    return real.place.directory.string() + "-before";
  }

  RealLedger real;
};

TEST_F(RekeyCrash, KilledAtEachStepItIsDoneOrNotDone) {
  const auto undisturbed = run({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  ASSERT_GE(undisturbed.steps, 12U);
  ASSERT_TRUE(expect_whole());
  std::size_t old_ones = 0, new_ones = 0;
  for (std::uint64_t step = 1; step <= undisturbed.steps; ++step)
    for (const bool after : {false, true}) {
      SCOPED_TRACE("step " + std::to_string(step) + (after ? ", after it" : ", before it"));
      reset();
      FaultPlan plan;
      plan.kill_at = step;
      plan.kill_after = after;
      ASSERT_EQ(run(plan).signal, SIGKILL);
      ++(expect_whole() ? new_ones : old_ones);
      expect_finished_by_another_call();
      if (::testing::Test::HasFailure()) return;
    }
  EXPECT_GT(old_ones, 10U);
  EXPECT_GT(new_ones, 3U);  // between the commit and the last unlink
}

TEST_F(RekeyCrash, OnADiskThatFailsItIsDoneOrNotDone) {
  FaultPlan count;
  count.fail_errno = EIO;
  const std::uint64_t failable = run(count).failable;
  ASSERT_GT(failable, 5U);
  for (std::uint64_t at = 1; at <= failable; ++at) {
    SCOPED_TRACE("call " + std::to_string(at));
    reset();
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_errno = EIO;
    ASSERT_EQ(run(plan).signal, 0);
    (void)expect_whole();
    expect_finished_by_another_call();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace fugo::keystore
