// kill -9 at each durable step of sending and of handing over.
#include "tests/daemon/second_site/second_site_crash.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

TEST_F(SecondSiteCrash, EveryShipmentIsSentOnceWhereverSendingDies) {
  ship_and_found();
  (void)sites_.issue_first("N1", 500);
  replace(first_ledger(), saved("ledger"));
  replace(sites_.folder(), saved("folder"));
  replace(sites_.second(), saved("second"));
  kill_at_each(
      sites_.first().config(), {"ship", sites_.folder().string()},
      [&] {
        replace(saved("ledger"), first_ledger());
        replace(saved("folder"), sites_.folder());
        replace(saved("second"), sites_.second());
      },
      [&](const std::string& where) {
        // A shipment that appeared may be carried away at once.
        const bool sent = fs::exists(sites_.shipment(2));
        const auto carried = sites_.scratch() / "carried";
        fs::remove_all(carried);
        if (sent) fs::rename(sites_.shipment(2), carried);
        if (fs::exists(first_ledger() / "shipments/next.json")) {
          fs::rename(sites_.folder(), saved("away"));
          const auto away = sites_.ship({"--always"});
          EXPECT_EQ(away.exit_code, 1) << where;
          EXPECT_THAT(away.err, ::testing::HasSubstr("folder of the shipment before is away"));
          fs::rename(saved("away"), sites_.folder());
        }
        const auto again = sites_.ship({"--always"});
        ASSERT_EQ(again.exit_code, 0) << where << again.err;
        EXPECT_EQ(again.json()["number"], sent                             ? 3
                                          : fs::exists(sites_.shipment(3)) ? 3
                                                                           : 2)
            << where;
        if (sent) fs::rename(carried, sites_.shipment(2));
        const auto followed = sites_.follow();
        ASSERT_EQ(followed.exit_code, 0) << where << followed.err;
        EXPECT_EQ(followed.json()["standby"]["journal_head"], again.json()["journal_head"])
            << where;
        EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
      },
      15);
}

TEST_F(SecondSiteCrash, AHandOverThatDiedGoesOnAndNothingIsLost) {
  ship_and_found();
  (void)sites_.issue_first("N1", 500);
  replace(first_ledger(), saved("ledger"));
  replace(sites_.folder(), saved("folder"));
  replace(sites_.second(), saved("second"));
  kill_at_each(
      sites_.first().config(), {"ship", sites_.folder().string(), "--final"},
      [&] {
        replace(saved("ledger"), first_ledger());
        replace(saved("folder"), sites_.folder());
        replace(saved("second"), sites_.second());
      },
      [&](const std::string& where) {
        const auto again = sites_.ship({"--final"});
        ASSERT_EQ(again.exit_code, 0) << where << again.err;
        ASSERT_EQ(sites_.follow().exit_code, 0) << where;
        EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
        EXPECT_EQ(sites_.at_second({"journal", "show", "--last", "1"}).out,
                  sites_.first().run({"journal", "show", "--last", "1"}).out)
            << where;
        EXPECT_EQ(sites_.take_over().exit_code, 0) << where;
      },
      15);
}

}  // namespace
}  // namespace fugo::test
