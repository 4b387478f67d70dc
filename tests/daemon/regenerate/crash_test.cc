// kill -9 at each durable step of a run, a commit, a finish and an abort, then the same command
// again: as if nothing had happened.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using fugo::testing::FaultOutcome;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;

constexpr std::size_t kPeople = 12;

// Left is what a step leaves for everybody to see.
struct Left {
  std::map<std::string, std::string> mappings;
  std::string records, digest, state;
  friend bool operator==(const Left&, const Left&) = default;
};

// CrashSite stands before one step of a run, as often as one likes.
class CrashSite {
 public:
  CrashSite(const std::string& what, const std::string& step_name) : step_(step_name) {
    (void)issue_everybody(site_, kPeople, kHolders);
    run_ = plan_run(site_, what);
    for (const char* before : {"run", "commit"}) {
      if (step_ == before || (step_ == "abort" && std::string(before) == "commit")) break;
      EXPECT_EQ(step(site_, before, run_).exit_code, 0);
    }
    save();
  }

  void reset() const {
    for (const auto& [from, to] : places()) {
      fs::remove_all(from);
      if (fs::exists(to)) fs::copy(to, from, fs::copy_options::recursive);
    }
  }

  FaultOutcome give(FaultPlan plan) const {
    plan.under = site_.scratch();
    plan.except = {site_.directory() / "tokens"};
    std::vector<std::string> words = {std::string(FUGO_BINARY_DIR) + "/daemon/fugo",
                                      "--config",
                                      site_.config().string(),
                                      "regenerate",
                                      step_,
                                      run_};
    if (step_ == "run") words.insert(words.end(), {"--out", maps().string()});
    if (step_ == "finish") words.emplace_back("--without-acks");
    return run_with_faults(words, plan);
  }

  // The digest is of what is there, so it also says that nobody is there twice.
  Left left() const {
    Left left{csv_files(mapping_folder(site_, run_)),
              {},
              digest_of(site_),
              step(site_, "status", run_).json()["state"]};
    const auto records = site_.directory() / "records" / (run_ + ".csv");
    if (fs::exists(records)) left.records = read_file(records);
    return left;
  }
  // Names that begin with a dot, and bulk files that nothing reads, are not left lying about.
  std::size_t litter() const {
    std::size_t names = 0;
    for (const auto& folder : {maps(), mapping_folder(site_, run_), site_.directory() / "records"})
      if (fs::exists(folder))
        for (const auto& entry : fs::directory_iterator(folder))
          names += entry.path().filename().string().front() == '.' ? 1 : 0;
    return names;
  }
  const TestSite& site() const { return site_; }
  const std::string& run() const { return run_; }
  const std::string& name() const { return step_; }

 private:
  fs::path maps() const { return site_.scratch() / "maps"; }
  std::vector<std::pair<fs::path, fs::path>> places() const {
    const auto saved = site_.scratch() / "saved";
    return {{site_.directory() / "ledger", saved / "ledger"},
            {site_.directory() / "records", saved / "records"},
            {maps(), saved / "maps"}};
  }
  void save() const {
    fs::create_directory(site_.scratch() / "saved");
    for (const auto& [from, to] : places())
      if (fs::exists(from)) fs::copy(from, to, fs::copy_options::recursive);
  }

  TestSite site_;
  std::string step_, run_;
};

struct Case {
  const char* what;
  const char* step;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.what << ' ' << c.step; }

class RegenerateCrash : public ::testing::TestWithParam<Case> {};

// A step that had been committed before the kill is refused when it is given again.
bool done_or_was_done(const FaultOutcome& outcome, const Left& left, const Left& expected) {
  return outcome.exit_code == 0 || (outcome.exit_code == 1 && left.state == expected.state);
}

TEST_P(RegenerateCrash, KilledAtEachDurableStepItGoesOn) {
  const CrashSite crash(GetParam().what, GetParam().step);
  crash.reset();
  const auto undisturbed = crash.give({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  const Left expected = crash.left();
  ASSERT_GT(undisturbed.steps, 3U);
  std::uint64_t killed = 0;
  for (std::uint64_t at = 1; at <= undisturbed.steps + 1; ++at) {
    crash.reset();
    FaultPlan plan;
    plan.kill_at = at;
    plan.kill_after = at % 2 == 0;
    killed += crash.give(plan).signal == SIGKILL ? 1 : 0;
    const auto again = crash.give({});
    const Left left = crash.left();
    ASSERT_TRUE(done_or_was_done(again, left, expected)) << "step " << at << ": " << again.errors;
    ASSERT_EQ(left, expected) << "step " << at;
    ASSERT_EQ(crash.litter(), 0U) << "step " << at;
    if (at % 8 == 0 || at > undisturbed.steps) {
      expect_sound(crash.site());
    }
  }
  EXPECT_GE(killed, undisturbed.steps * 8 / 10);
}

INSTANTIATE_TEST_SUITE_P(Steps, RegenerateCrash,
                         ::testing::Values(Case{"linkage,record", "run"},
                                           Case{"linkage,record", "commit"},
                                           Case{"linkage,record", "finish"},
                                           Case{"linkage,agency", "abort"}, Case{"agency", "run"},
                                           Case{"agency", "finish"}));

}  // namespace
}  // namespace fugo::test
