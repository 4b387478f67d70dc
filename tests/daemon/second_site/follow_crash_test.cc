// kill -9 at each durable step of following, of founding a second site, and of taking over.
#include "tests/daemon/second_site/second_site_crash.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

TEST_F(SecondSiteCrash, AShipmentIsAppliedWholeOrNotWhereverFollowingDies) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  const auto before = sites_.digest_second();
  (void)sites_.issue_first("N1", 500);
  ASSERT_EQ(sites_.ship().exit_code, 0);
  const auto after = sites_.digest_first();
  kill_at_each(
      sites_.second() / "fugo.toml", {"follow", sites_.folder().string()},
      [&] { replace(saved("second"), sites_.second()); },
      [&](const std::string& where) {
        const auto now = sites_.digest_second();
        EXPECT_TRUE(now == before || now == after) << where;
        const auto verified = sites_.at_second({"verify"});
        EXPECT_EQ(verified.exit_code, 0) << where << verified.out;
        // What was applied counts as that without the shipment.
        replace(sites_.second(), sites_.second("gone"));
        fs::create_directories(sites_.scratch() / "empty");
        const auto gone =
            sites_.at_second({"--json", "follow", (sites_.scratch() / "empty").string()}, "gone");
        EXPECT_EQ(gone.json()["standby"]["shipment"], now == after ? 2 : 1) << where << gone.err;
        // Whatever becomes of the shipment now, the ledger is whole, and can take over.
        replace(sites_.second(), sites_.second("taken"));
        const auto taken = sites_.take_over({"--unverified", "--leave-behind"}, "taken");
        EXPECT_EQ(taken.exit_code, 0) << where << taken.err;
        EXPECT_EQ(sites_.digest_second("taken"), now) << where;
        EXPECT_FALSE(fs::exists(sites_.second("taken") / "ledger/incoming")) << where;
        const auto followed = sites_.follow();
        ASSERT_EQ(followed.exit_code, 0) << where << followed.err;
        EXPECT_EQ(sites_.digest_second(), after) << where;
        EXPECT_FALSE(fs::exists(sites_.second() / "ledger/incoming")) << where;
        EXPECT_EQ(sites_.follow().json()["applied"], 0) << where;
      },
      15);
}

TEST_F(SecondSiteCrash, ASecondSiteIsMadeWholeOrNot) {
  ASSERT_EQ(sites_.ship().exit_code, 0);
  kill_at_each(
      sites_.first().config(),
      {"follow", sites_.folder().string(), "--dir", sites_.second().string()},
      [&] { fs::remove_all(sites_.second()); },
      [&](const std::string& where) {
        if (!fs::exists(sites_.second())) {
          ASSERT_EQ(sites_.found().exit_code, 0) << where;
        }
        EXPECT_EQ(sites_.follow().exit_code, 0) << where;
        EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
      },
      15);
}

class TakeoverCrash : public SecondSiteCrash {
 protected:
  // kill_takeover begins each time from what saved("second") has.
  void kill_takeover() {
    kill_at_each(
        sites_.second() / "fugo.toml", {"takeover", "--reason", "fire"},
        [&] { replace(saved("second"), sites_.second()); },
        [&](const std::string& where) {
          if (fs::exists(sites_.second() / "ledger/standby.json")) {
            const auto again = sites_.take_over();
            ASSERT_EQ(again.exit_code, 0) << where << again.err;
            EXPECT_EQ(again.json()["epoch"], 2) << where;
          }
          const auto journal = sites_.at_second({"--json", "journal", "show"}).json()["entries"];
          std::size_t takeovers = 0;
          for (const auto& entry : journal) takeovers += entry["act"] == "takeover" ? 1U : 0U;
          EXPECT_EQ(takeovers, 1U) << where;
          EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
        },
        4);
  }
  // follow_until_adopted kills a follow between adopting a shipment and noting that it did.
  void follow_until_adopted() {
    const auto before = sites_.digest_second();
    const auto mark = sites_.second() / "ledger/standby.json";
    for (std::uint64_t step = 1; step < 100; ++step) {
      replace(saved("second"), sites_.second());
      fugo::testing::FaultPlan plan;
      plan.kill_at = step;
      plan.kill_after = true;
      if (run(plan, sites_.second() / "fugo.toml", {"follow", sites_.folder().string()}).signal !=
          SIGKILL)
        break;
      const auto noted = nlohmann::json::parse(read_file(mark));
      if (noted.contains("next") && noted["next"].is_object() && sites_.digest_second() != before)
        return;
    }
    FAIL() << "no step is between the two";
  }
};

TEST_F(TakeoverCrash, OneThatDiedGoesOnAndIsNotedOnce) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  kill_takeover();
}

TEST_F(TakeoverCrash, OneAfterAFollowThatDiedGoesOnToo) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  (void)sites_.issue_first("N1", 500);
  ASSERT_EQ(sites_.ship().exit_code, 0);
  ASSERT_NO_FATAL_FAILURE(follow_until_adopted());
  replace(sites_.second(), saved("second"));
  kill_takeover();
}

}  // namespace
}  // namespace fugo::test
