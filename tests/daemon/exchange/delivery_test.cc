// Resident codes for a rebase: encrypted as requests are, and in the clear only where that is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;

class Delivery : public ::testing::Test {
 protected:
  Delivery() {
    write_file(with_.scratch() / "ALL.csv", text("ALL", 0, 20));
    EXPECT_EQ(with_.issue(with_.scratch() / "ALL.csv").exit_code, 0);
    with_.site().set_config("[ledger]", "[exchange]\nrequire_encrypted = true\n\n[ledger]");
    const auto planned = with_.site().run(
        {"--json", "regenerate", "plan", "--what", "rebase", "--reason", "a trial"});
    EXPECT_EQ(planned.exit_code, 0) << planned.err;
    run_ = planned.json()["run"];
  }
  static std::string text(const std::string& id, std::size_t first, std::size_t count) {
    return request_text(id, trial_rows(first, count, {"131016"}));
  }
  [[nodiscard]] CommandResult run(std::vector<std::string> more) const {
    more.insert(more.begin(), {"--json", "regenerate", "run", run_, "--out",
                               (with_.scratch() / "maps").string()});
    return with_.site().run(more);
  }
  [[nodiscard]] std::string sealed(const std::string& id, std::size_t first,
                                   const std::string& sign = ExchangeSite::kSign) const {
    return with_.seal(id, text(id, first, 10), sign).string();
  }
  // What the journal says of each delivery that was opened, in order.
  [[nodiscard]] std::vector<nlohmann::json> deliveries() const {
    std::vector<nlohmann::json> found;
    const auto journal = with_.site().run({"--json", "journal", "show"}).json();
    for (const auto& entry : journal["entries"])
      if (entry["act"] == "regenerate.delivery") found.push_back(entry["details"]);
    return found;
  }
  ExchangeSite with_;
  std::string run_;
};

TEST_F(Delivery, IsTakenEncrypted) {
  const auto made = run({"--codes", sealed("D1", 0), "--codes", sealed("D2", 10)});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], 20);
  EXPECT_EQ(made.json()["people_left"], 0);
  const auto told = deliveries();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0]["senders"].size(), 2U) << told[0];
  EXPECT_EQ(told[0]["senders"][0]["sender"], "jlis");
  EXPECT_EQ(told[0]["senders"][0]["certificate"].get<std::string>().size(), 64U);
  const std::string sum = shell(with_.scratch(), "sha256sum D2.p7m").out.substr(0, 64);
  EXPECT_EQ(told[0]["senders"][1]["file"], sum);
  EXPECT_EQ(told[0]["people_before"], 0);
  EXPECT_EQ(told[0]["clear_files"], 0);
  EXPECT_EQ(with_.site().run({"regenerate", "commit", run_}).exit_code, 0);
  EXPECT_EQ(with_.site().run({"verify"}).exit_code, 0);
}

// A run that fails after the last person was rebased does not open the delivery again.
TEST_F(Delivery, IsInTheJournalOfARunThatIsGoneOnWith) {
  const auto records = with_.site().directory() / "records";
  std::filesystem::remove_all(records);
  write_file(records, "no folder: the mapping files cannot be made\n");
  const std::vector<std::string> codes = {"--codes", sealed("D1", 0), "--codes", sealed("D2", 10)};
  const auto failed = run(codes);
  EXPECT_NE(failed.exit_code, 0);
  EXPECT_THAT(failed.err, HasSubstr(records.string()));
  std::filesystem::remove(records);
  ASSERT_EQ(deliveries().size(), 1U) << failed.err;
  const auto made = run(codes);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], 20);
  const auto told = deliveries();
  ASSERT_EQ(told.size(), 1U);
  ASSERT_EQ(told[0]["senders"].size(), 2U) << told[0];
  EXPECT_EQ(told[0]["senders"][1]["sender"], "jlis");
}

TEST_F(Delivery, IsTakenInTheClearOnlyWhereThatIsSaid) {
  const std::string clear = (with_.scratch() / "ALL.csv").string();
  const auto refused = run({"--codes", clear});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("is not encrypted"));
  EXPECT_THAT(refused.err, HasSubstr("--clear-codes"));
  with_.make_identity("stranger");
  EXPECT_EQ(run({"--codes", sealed("D1", 0,
                                   "-binary -nodetach -md sha256 -signer stranger.pem "
                                   "-inkey stranger.key")})
                .exit_code,
            1);
  EXPECT_TRUE(deliveries().empty());
  const auto made = run({"--codes", clear, "--clear-codes"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], 20);
  ASSERT_EQ(deliveries().size(), 1U);
  EXPECT_EQ(deliveries()[0]["clear_files"], 1);
  EXPECT_TRUE(deliveries()[0]["senders"].empty());
}

}  // namespace
}  // namespace fugo::test
