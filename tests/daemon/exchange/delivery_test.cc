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
  ExchangeSite with_;
  std::string run_;
};

TEST_F(Delivery, IsTakenEncrypted) {
  const auto made = run({"--codes", sealed("D1", 0), "--codes", sealed("D2", 10)});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], 20);
  EXPECT_EQ(made.json()["people_left"], 0);
  const auto journal = with_.site().run({"--json", "journal", "show"}).json();
  nlohmann::json ready;
  for (const auto& entry : journal["entries"])
    if (entry["act"] == "regenerate.ready") ready = entry["details"];
  ASSERT_EQ(ready["senders"].size(), 2U) << ready;
  EXPECT_EQ(ready["senders"][0]["sender"], "jlis");
  EXPECT_EQ(with_.site().run({"regenerate", "commit", run_}).exit_code, 0);
  EXPECT_EQ(with_.site().run({"verify"}).exit_code, 0);
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
  const auto made = run({"--codes", clear, "--clear-codes"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], 20);
}

}  // namespace
}  // namespace fugo::test
