// kill -9 at each durable step of a change and of a deletion, and full disks, then run again.
#include <gtest/gtest.h>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;

struct Left {
  std::map<std::string, std::string> answers;
  std::string records, digest;
  friend bool operator==(const Left&, const Left&) = default;
};

// CrashSite is a site with people, and a request R of one kind that is to be disturbed.
class CrashSite {
 public:
  explicit CrashSite(const std::string& kind) : kind_(kind) {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 12\n\n[ledger]");
    EXPECT_EQ(issue_everybody(site_, 16, {"131016", "472018", "131130"}).size(), 3U);
    std::vector<std::pair<std::string, std::string>> rows;
    for (std::size_t i = 0; i < 4; ++i)
      rows.emplace_back(resident_code(i),
                        kind == "change" ? resident_code(100 + i) : "clerical_error");
    if (kind == "change")  // a chain: a second segment
      rows.emplace_back(resident_code(100), resident_code(200));
    rows.emplace_back(resident_code(900), kind == "change" ? resident_code(901) : "clerical_error");
    write_file(site_.scratch() / "R.csv", kind_text("R", kind, rows));
    std::filesystem::copy(ledger(), site_.scratch() / "before",
                          std::filesystem::copy_options::recursive);
  }

  void reset() const {
    std::filesystem::remove_all(ledger());
    std::filesystem::copy(site_.scratch() / "before", ledger(),
                          std::filesystem::copy_options::recursive);
    for (const auto& directory : {out(), records()}) {
      std::filesystem::remove_all(directory);
      std::filesystem::create_directory(directory);
    }
  }

  FaultOutcome run(FaultPlan plan) const {
    plan.under = site_.scratch();
    plan.except = {site_.directory() / "tokens"};
    std::vector<std::string> words = {
        std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", site_.config().string(), kind_,
        (site_.scratch() / "R.csv").string(),          "--out",    out().string()};
    if (kind_ == "delete") words.insert(words.end(), {"--confirm", "5"});
    return run_with_faults(words, plan);
  }

  Left left() const {
    Left left{csv_files(out() / "R"), {}, digest_of(site_)};
    if (std::filesystem::exists(records() / "R.csv")) left.records = read_file(records() / "R.csv");
    return left;
  }
  // What is in the folders besides the answers.
  std::size_t litter() const {
    std::size_t names = 0;
    for (const auto& directory : {out(), records()})
      names += static_cast<std::size_t>(
          std::distance(std::filesystem::directory_iterator(directory), {}));
    return names - 2;
  }
  std::filesystem::path out() const { return site_.scratch() / "out"; }
  std::filesystem::path records() const { return site_.directory() / "records"; }
  std::filesystem::path ledger() const { return site_.directory() / "ledger"; }
  const TestSite& site() const { return site_; }

 private:
  TestSite site_;
  std::string kind_;
};

class KindCrash : public ::testing::TestWithParam<const char*> {};

TEST_P(KindCrash, KilledAtEachDurableStepItGoesOnAndAnswersTheSame) {
  const CrashSite crash(GetParam());
  crash.reset();
  const auto undisturbed = crash.run({});
  ASSERT_EQ(undisturbed.exit_code, 3) << undisturbed.errors;
  const Left expected = crash.left();
  ASSERT_EQ(expected.answers.size(), 4U);
  ASSERT_FALSE(expected.records.empty());
  ASSERT_GT(undisturbed.steps, 20U);
  std::uint64_t killed = 0;
  for (std::uint64_t step = 1; step <= undisturbed.steps + 1; ++step) {
    crash.reset();
    FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = step % 2 == 0;
    killed += crash.run(plan).signal == SIGKILL ? 1 : 0;
    const auto resumed = crash.run({});
    ASSERT_EQ(resumed.exit_code, 3) << "step " << step << ": " << resumed.errors;
    ASSERT_EQ(crash.left(), expected) << "step " << step;
    ASSERT_EQ(crash.litter(), 0U) << "step " << step;
    if (step % 16 == 0) {
      const auto verified = crash.site().run({"verify"});
      ASSERT_EQ(verified.exit_code, 0) << "step " << step << ": " << verified.err;
    }
  }
  EXPECT_GE(killed, undisturbed.steps * 8 / 10);
}

TEST_P(KindCrash, AFullDiskIsSaidAndNothingIsHalfDone) {
  const CrashSite crash(GetParam());
  crash.reset();
  ASSERT_EQ(crash.run({}).exit_code, 3);
  const Left expected = crash.left();
  FaultPlan count;
  count.fail_errno = ENOSPC;
  crash.reset();
  const std::uint64_t failable = crash.run(count).failable;
  ASSERT_GT(failable, 15U);
  for (std::uint64_t at = 1; at <= failable; at += 1 + failable / 30) {
    crash.reset();
    FaultPlan plan;
    plan.fail_at = at;
    plan.fail_errno = ENOSPC;
    plan.fail_forever = true;
    const auto failed = crash.run(plan);
    ASSERT_EQ(failed.signal, 0) << "call " << at;
    if (failed.exit_code != 3) {
      ASSERT_EQ(failed.exit_code, 1) << "call " << at << ": " << failed.errors;
      ASSERT_NE(failed.errors.find("No space left on device"), std::string::npos)
          << "call " << at << ": " << failed.errors;
      if (std::filesystem::exists(crash.out() / "R")) {
        ASSERT_EQ(csv_files(crash.out() / "R"), expected.answers) << "call " << at;
      }
    }
    const auto resumed = crash.run({});
    ASSERT_EQ(resumed.exit_code, 3) << "call " << at << ": " << resumed.errors;
    ASSERT_EQ(crash.left(), expected) << "call " << at;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, KindCrash, ::testing::Values("change", "delete"));

}  // namespace
}  // namespace fugo::test
