// What is held before anything is applied: rejects that only the ledger knows count too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
using Rows = std::vector<std::pair<std::string, std::string>>;

// LimitedSite is a site with ten people, where more than three rejects are held.
class LimitedSite {
 public:
  LimitedSite() {
    site_.set_config("[ledger]", "[issue]\nsegment_rows = 5\nreject_limit_rows = 3\n\n[ledger]");
    EXPECT_EQ(issue_everybody(site_, 10, {"131016", "472018"}).size(), 2U);
  }
  const TestSite& site() const { return site_; }

  // Runs a request that passes the limit: refused by the command with nothing applied, foretold by
  // check, and carried out when that is accepted.
  void expect_held(const std::string& id, const std::string& kind, const std::string& text,
                   const std::string& share, const std::vector<std::string>& more = {}) const {
    const std::string before = digest_of(site_);
    const auto refused = run_kind(site_, id, kind, text, more);
    EXPECT_EQ(refused.exit_code, 1) << kind << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(share + " rows would be rejected"));
    EXPECT_THAT(refused.err, HasSubstr("--accept-rejects"));
    EXPECT_THAT(refused.err, HasSubstr("nothing was applied"));
    EXPECT_EQ(digest_of(site_), before) << kind;
    EXPECT_FALSE(std::filesystem::exists(site_.scratch() / "out" / id));
    const auto checked = site_.run({"--json", "check", (site_.scratch() / (id + ".csv")).string()});
    EXPECT_THAT(checked.json()["hold_reason"].dump(), HasSubstr("rejects"));
    auto accepted = more;
    accepted.push_back("--accept-rejects");
    const auto done = run_kind(site_, id, kind, text, accepted);
    EXPECT_EQ(done.exit_code, 3) << kind << done.err;
    const auto answered = site_.run({"--json", "status"}).json()["jobs"].back();
    EXPECT_EQ(answered["rejected"].dump(), share.substr(0, share.find(' '))) << "counted twice";
    EXPECT_EQ(site_.run({"verify"}).exit_code, 0);
  }

 private:
  TestSite site_;
};

TEST(Hold, AChangeOfPeopleWhoAreNotThere) {
  const LimitedSite limited;
  Rows rows = {{resident_code(0), resident_code(100)}, {resident_code(1), resident_code(2)}};
  for (std::size_t i = 0; i < 3; ++i)
    rows.emplace_back(resident_code(200 + i), resident_code(300 + i));
  limited.expect_held("C1", "change", kind_text("C1", "change", rows), "4 of 5");
}

TEST(Hold, AChangeWhoseRowsComeTwice) {
  const LimitedSite limited;
  Rows rows;
  for (int time = 0; time < 2; ++time)
    for (std::size_t i = 0; i < 4; ++i) rows.emplace_back(resident_code(i), resident_code(100 + i));
  limited.expect_held("C1", "change", kind_text("C1", "change", rows), "4 of 8");
}

TEST(Hold, AChainIsNotTakenForRejects) {
  const LimitedSite limited;
  Rows rows = {{resident_code(0), resident_code(100)}};
  for (std::size_t i = 0; i < 8; ++i)
    rows.emplace_back(resident_code(100 + i), resident_code(101 + i));
  const auto done = run_kind(limited.site(), "C1", "change", kind_text("C1", "change", rows));
  EXPECT_EQ(done.exit_code, 0) << done.err;
}

TEST(Hold, ADeletionOfPeopleWhoAreNotThere) {
  const LimitedSite limited;
  Rows rows = {{resident_code(0), "clerical_error"}, {resident_code(0), "clerical_error"}};
  for (std::size_t i = 0; i < 3; ++i) rows.emplace_back(resident_code(200 + i), "clerical_error");
  limited.expect_held("D1", "delete", kind_text("D1", "delete", rows), "4 of 5",
                      {"--confirm", "5"});
}

TEST(Hold, AnIssueOfCodesThatWereChanged) {
  const LimitedSite limited;
  Rows changes;
  for (std::size_t i = 0; i < 4; ++i)
    changes.emplace_back(resident_code(i), resident_code(100 + i));
  ASSERT_EQ(run_kind(limited.site(), "C1", "change", kind_text("C1", "change", changes)).exit_code,
            0);
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < 7; ++i)
    rows.push_back({std::to_string(10 + i), "141003", resident_code(i)});
  limited.expect_held("I1", "issue", request_text("I1", rows), "4 of 7");
}

// A large file is not derived twice for this: rows drawn at random tell.
TEST(Hold, ALargeIssueOfCodesThatWereChanged) {
  const TestSite site;
  constexpr std::size_t kPeople = 12000, kRows = 70000;
  std::vector<TrialRow> rows;
  Rows changes;
  for (std::size_t i = 0; i < kPeople; ++i) {
    rows.push_back({std::to_string(100000 + i), "131016", resident_code(i)});
    changes.emplace_back(resident_code(i), resident_code(1000000 + i));
  }
  ASSERT_EQ(run_kind(site, "I0", "issue", request_text("I0", rows)).exit_code, 0);
  ASSERT_EQ(run_kind(site, "C0", "change", kind_text("C0", "change", changes)).exit_code, 0);
  const std::string before = digest_of(site);
  // 12,000 of 70,000 rows are of such codes, all at the end of the file.
  for (auto& row : rows) row.agency = "472018";
  std::vector<TrialRow> large;
  for (std::size_t i = 0; i < kRows - kPeople; ++i)
    large.push_back({std::to_string(10000 + i), "472018", resident_code(5000000 + i)});
  large.insert(large.end(), rows.begin(), rows.end());
  for (std::size_t i = 0; i < rows.size(); ++i)
    large[kRows - kPeople + i].processing_number = std::to_string(200000 + i);
  const auto refused = run_kind(site, "I1", "issue", request_text("I1", large));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("12000 of 70000 rows would be rejected"));
  EXPECT_EQ(digest_of(site), before);
  // 300 of them are few, and known to be few by the sample alone.
  large.resize(kRows - kPeople + 300);
  while (large.size() < kRows)
    large.push_back(
        {std::to_string(300000 + large.size()), "472018", resident_code(6000000 + large.size())});
  const auto done = run_kind(site, "I2", "issue", request_text("I2", large));
  EXPECT_EQ(done.exit_code, 3) << done.err;
}

}  // namespace
}  // namespace fugo::test
