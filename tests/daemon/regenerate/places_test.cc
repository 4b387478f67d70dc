// Where a run writes: nothing that is somebody else's is replaced or removed, and what is
// acknowledged is destroyed.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPeople = 6;

// A run's id is no request's, so both may write to the same folder.
TEST(RunPlaces, RequestsThatAreCalledMuchTheSameStay) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const auto changed =
      run_kind(site, "R0001", "change",
               kind_text("R0001", "change", {{resident_code(1), resident_code(501)}}), {}, "maps");
  ASSERT_EQ(changed.exit_code, 0) << changed.err;
  const auto aliases = site.directory() / "records" / "R0001.csv";
  const auto answers = csv_files(site.scratch() / "maps" / "R0001");
  const std::string records = read_file(aliases);
  ASSERT_FALSE(answers.empty());
  const std::string run = plan_run(site, "linkage");
  ASSERT_EQ(run, "R+0001");
  const auto made = step(site, "run", run);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["records_mapped"], kPeople + 1);
  EXPECT_EQ(step(site, "run", run).exit_code, 0);  // its own files do not keep it from going on
  EXPECT_TRUE(fs::exists(aliases_file(site, run)));
  ASSERT_EQ(step(site, "abort", run).exit_code, 0);
  EXPECT_FALSE(fs::exists(aliases_file(site, run)));
  EXPECT_FALSE(fs::exists(mapping_folder(site, run)));
  EXPECT_EQ(read_file(aliases), records);
  EXPECT_EQ(csv_files(site.scratch() / "maps" / "R0001"), answers);
}

TEST(RunPlaces, WhatAnotherLedgersRunWroteIsNotReplaced) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage");
  fs::create_directories(mapping_folder(site, run));
  write_file(mapping_folder(site, run) / "131016.csv", "another's");
  const auto refused = step(site, "run", run);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("is there already"), std::string::npos) << refused.err;
  EXPECT_EQ(read_file(mapping_folder(site, run) / "131016.csv"), "another's");
}

TEST(RunPlaces, AnAcknowledgedMappingIsDestroyedAndOthersAreNamed) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "agency");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  const auto file = [&](const std::string& agency) {
    return mapping_folder(site, run) / (agency + ".csv");
  };
  ASSERT_TRUE(fs::exists(file("131016")));
  for (const bool first : {true, false}) {
    const auto acknowledged = step(site, "ack", run, {"--agency", "131016"});
    ASSERT_EQ(acknowledged.exit_code, 0) << acknowledged.err;
    EXPECT_EQ(acknowledged.json()["acknowledged"], first);
    EXPECT_EQ(acknowledged.json()["destroyed"], first);
    EXPECT_FALSE(fs::exists(file("131016")));
  }
  EXPECT_TRUE(fs::exists(file("472018")));
  const auto finished = step(site, "finish", run, {"--without-acks"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.json()["mapping_files_left"].size(), kHolders.size() - 1);
  for (const auto& left : finished.json()["mapping_files_left"])
    EXPECT_TRUE(fs::exists(left.get<std::string>()));
  // Later ones are destroyed in the same way.
  EXPECT_EQ(step(site, "ack", run, {"--agency", "472018"}).json()["destroyed"], true);
  EXPECT_FALSE(fs::exists(file("472018")));
}

}  // namespace
}  // namespace fugo::test
