// A mapping file that is lost between the commit and the finish is made again.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPeople = 15;

class LostFile : public ::testing::TestWithParam<const char*> {
 protected:
  void give(const std::string& name, const std::vector<std::string>& more = {}) {
    const auto done = step(site_, name, run_, more);
    ASSERT_EQ(done.exit_code, 0) << name << ": " << done.err;
  }
  fs::path file(const std::string& agency) const {
    return mapping_folder(site_, run_) / (agency + ".csv");
  }
  TestSite site_;
  std::string run_;
};

TEST_P(LostFile, IsMadeAgainOfWhatWasThereAtTheCommit) {
  (void)issue_everybody(site_, kPeople, kHolders);
  run_ = plan_run(site_, GetParam());
  give("run");
  give("commit");
  const auto agency = kHolders[0], other = kHolders[1];
  const auto before = read_mapping(site_, run_, agency);
  const std::string text = read_file(file(agency));
  ASSERT_EQ(before.size(), kPeople);
  // What comes after the commit has no old symbol.
  (void)ask_again(site_, "LATER", kPeople + 4, /*known=*/false);
  const auto aliases =
      fs::exists(aliases_file(site_, run_)) ? read_file(aliases_file(site_, run_)) : std::string();

  give("ack", {"--agency", agency});  // by mistake
  ASSERT_FALSE(fs::exists(file(agency)));
  give("run");
  EXPECT_FALSE(fs::exists(file(agency))) << "what was acknowledged is not made again";
  give("ack", {"--agency", agency, "--take-back"});
  EXPECT_EQ(step(site_, "ack", run_, {"--agency", agency, "--take-back"}).exit_code, 1);
  EXPECT_EQ(step(site_, "finish", run_).exit_code, 1) << "it is waited for again";
  give("run");
  EXPECT_EQ(read_file(file(agency)), text);

  // Of who was deleted since there is no line; the counts of the run stay what they were.
  delete_one(site_, "D1", 3);
  fs::remove_all(mapping_folder(site_, run_));
  if (!aliases.empty()) fs::remove(aliases_file(site_, run_));
  give("run");
  const auto after = read_mapping(site_, run_, agency);
  EXPECT_EQ(after.size(), kPeople - 1);
  for (const auto& [old_symbol, new_symbol] : after) EXPECT_EQ(before.at(old_symbol), new_symbol);
  EXPECT_EQ(read_mapping(site_, run_, other).size(), kPeople - 1);
  EXPECT_EQ(fs::exists(aliases_file(site_, run_)), !aliases.empty());

  give("finish", {"--without-acks"});
  EXPECT_EQ(step(site_, "run", run_).exit_code, 1);
  expect_sound(site_);
  // A statement that was lost is written again.
  fs::remove_all(mapping_folder(site_, run_));
  give("finish");
  EXPECT_TRUE(fs::exists(mapping_folder(site_, run_) / "statement.json"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, LostFile,
                         ::testing::Values("linkage", "agency", "linkage,agency,record,ledger"));

TEST(LostFile, IsLostWhenTheOldSymbolsWereRejectedAtOnce) {
  const TestSite site;
  (void)issue_everybody(site, 3, kHolders);
  const std::string run = plan_run(site, "linkage");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  ASSERT_EQ(step(site, "commit", run, {"--reject-old"}).exit_code, 0);
  const auto refused = step(site, "run", run);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("old symbols rejected"), std::string::npos) << refused.err;
}

TEST(RunIds, AreNoRequestsAndNotEmpty) {
  const TestSite site;
  (void)issue_everybody(site, 2, kHolders);
  const std::string run = plan_run(site, "linkage");
  EXPECT_NE(run.find('+'), std::string::npos) << run;
  const auto as_request =
      run_kind(site, run, "issue", request_text(run, {{"1", "131016", resident_code(1)}}));
  EXPECT_EQ(as_request.exit_code, 1) << "no request has a run's id: the files cannot meet";
  const auto empty = step(site, "abort", "");
  EXPECT_EQ(empty.exit_code, 2) << empty.err;
  EXPECT_EQ(step(site, "abort", run).exit_code, 0);
}

// What lies where an aborted run wrote is another's by then.
TEST(RunIds, AnAbortThatIsRepeatedRemovesNothingElse) {
  const TestSite site;
  (void)issue_everybody(site, 2, kHolders);
  const std::string run = plan_run(site, "linkage");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  const auto folder = mapping_folder(site, run);
  ASSERT_EQ(step(site, "abort", run).exit_code, 0);
  ASSERT_FALSE(fs::exists(folder));
  fs::create_directories(folder);
  write_file(folder / "131016.csv", "another ledger's");
  EXPECT_EQ(step(site, "abort", run).exit_code, 0);
  EXPECT_TRUE(fs::exists(folder / "131016.csv"));
}

}  // namespace
}  // namespace fugo::test
