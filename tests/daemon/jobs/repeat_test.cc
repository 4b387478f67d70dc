// The same request again after a regeneration: the same answers as long as their version lives.
#include <gtest/gtest.h>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/renewal.h"

namespace fugo::test {
namespace {

const std::vector<std::string> kAgencies = {"131016", "472018", "131130", "141003"};

TEST(Repeat, AnswersAreTheSameAsLongAsTheirVersionIsAccepted) {
  const TestSite site;
  const auto symbols = issue_everybody(site, 20, kAgencies);
  const std::string issue = read_file(site.scratch() / "everybody.csv");
  const std::string change = kind_text("C1", "change", {{resident_code(3), resident_code(1003)}});
  ASSERT_EQ(run_kind(site, "C1", "change", change).exit_code, 0);
  const auto issued = csv_files(site.scratch() / "out/everybody");
  const auto changed = csv_files(site.scratch() / "out/C1");
  const std::string aliases = read_file(site.directory() / "records/C1.csv");

  renew_agencies(site.config());
  ASSERT_EQ(std::filesystem::remove(site.directory() / "records/C1.csv"), true);
  const auto again = run_kind(site, "everybody", "issue", issue, {}, "again");
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(csv_files(site.scratch() / "again/everybody"), issued);
  const auto change_again = run_kind(site, "C1", "change", change, {}, "again");
  ASSERT_EQ(change_again.exit_code, 0) << change_again.err;
  EXPECT_EQ(csv_files(site.scratch() / "again/C1"), changed);
  EXPECT_EQ(read_file(site.directory() / "records/C1.csv"), aliases);
  // A request of today gets symbols of today, for the same people.
  const auto fresh =
      run_kind(site, "I2", "issue", request_text("I2", {{"1", "131016", resident_code(5)}}));
  ASSERT_EQ(fresh.exit_code, 0) << fresh.err;
  const auto answer = read_answers(site.scratch() / "out/I2").at("131016").at("1");
  EXPECT_EQ(answer.status, "existing");
  EXPECT_EQ(answer.version, "2");
  EXPECT_NE(answer.symbol, symbols.at("131016").at(5));
  EXPECT_EQ(link_one(site, symbols.at("131016").at(5), "131016", "472018"),
            link_one(site, answer.symbol, "131016", "472018"));

  retire_old(site.config());
  for (const std::string out : {"out", "again", "third"}) {
    const auto refused = run_kind(site, "everybody", "issue", issue, {}, out);
    EXPECT_EQ(refused.exit_code, 1) << out;
    EXPECT_NE(refused.err.find("symbols of version 1, which are not accepted any more"),
              std::string::npos)
        << refused.err;
  }
  EXPECT_EQ(run_kind(site, "C1", "change", change, {}, "third").exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "third/everybody"));
  EXPECT_EQ(link_one(site, symbols.at("131016").at(5), "131016", "472018"), "unknown");
  EXPECT_EQ(run_kind(site, "I2", "issue", request_text("I2", {{"1", "131016", resident_code(5)}}))
                .exit_code,
            0);
}

}  // namespace
}  // namespace fugo::test
