// A second site opens what it has with keys that the first has taken out of use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;

TEST(KeyDestruction, WaitsForTheSecondSite) {
  const TwoSites sites;
  const TestSite& first = sites.first();
  ASSERT_EQ(first.run({"keys", "create", "--purpose", "record"}).exit_code, 0);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const std::string key = "fugo-record-aes256-v2";
  ASSERT_EQ(first.run({"keys", "retire", key}).exit_code, 0);
  std::vector<std::string> destroy = {"keys", "destroy", key, "--out",
                                      (sites.scratch() / "statement").string()};
  auto has_it = destroy;
  has_it.emplace_back("--second-site-has-it");
  for (const auto& words : {destroy, has_it}) {
    const auto refused = first.run(words);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.err, HasSubstr("out of use after the last shipment"));
  }
  ASSERT_EQ(sites.ship().exit_code, 0);
  const auto unseen = first.run(destroy);
  EXPECT_EQ(unseen.exit_code, 1);
  EXPECT_THAT(unseen.err, HasSubstr("until it has applied shipment 2"));
  ASSERT_EQ(sites.follow().exit_code, 0);
  // What is remembered of shipments is lost: the journal has them.
  std::filesystem::remove(first.directory() / "ledger/shipments/last.json");
  EXPECT_EQ(first.run(destroy).exit_code, 1);
  const auto done = first.run(has_it);
  EXPECT_EQ(done.exit_code, 0) << done.err;
  // What the second site has opens all the same.
  const auto sound = sites.at_second({"verify"});
  EXPECT_EQ(sound.exit_code, 0) << sound.err;
}

}  // namespace
}  // namespace fugo::test
