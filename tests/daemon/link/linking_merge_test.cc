// A merger of agencies, as an open Linking sees it.
#include <gtest/gtest.h>

#include "tests/daemon/link/linked_site.h"

namespace fugo::test {
namespace {

using engine::LinkStatus;

// The same for agencies whose symbols are looked up in tables and those whose can be inverted.
class LinkingMerge : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(LinkingMerge, TheClosedOneIsUnknownAtOnceAndTheOtherKnowsEverybody) {
  const std::string from = GetParam().first, into = GetParam().second, other = "131130";
  LinkedSite site;
  site.issue({{from, 1}, {from, 2}, {from, 3}, {into, 3}, {other, 1}, {other, 2}, {other, 3}});
  const auto linking = site.open();
  const auto ask = [&](const std::string& a, const std::string& b, const Block& symbol) {
    return link_one(*linking, {a, b, symbol});
  };
  EXPECT_EQ(ask(from, other, site.symbol(from, 1)).linked, site.symbol(other, 1));
  EXPECT_EQ(ask(other, into, site.symbol(other, 1)).status, LinkStatus::kNotIssued);
  EXPECT_EQ(ask(into, other, site.symbol(into, 3)).status, LinkStatus::kOk);
  const auto number_from = number(*linking, from);

  site.run({"agency", "merge", "--from", from, "--to", into, "--out",
            (site.site().scratch() / "merged").string()});

  EXPECT_FALSE(linking->find_agency(from).value());
  Block symbol = site.symbol(from, 1), linked, record;
  const auto number_other = number(*linking, other);
  for (const auto& [a, b] :
       {std::pair{number_from, number_other}, std::pair{number_other, number_from}}) {
    LinkStatus status = LinkStatus::kOk;
    linking->link({&a, 1}, {&b, 1}, {&symbol, 1}, {&linked, 1}, {&record, 1}, {&status, 1});
    EXPECT_EQ(status, LinkStatus::kUnknownAgency);
  }
  for (const std::size_t resident : {1U, 2U, 3U}) {
    const auto there = ask(other, into, site.symbol(other, resident));
    ASSERT_EQ(there.status, LinkStatus::kOk) << resident;
    const auto back = ask(into, other, there.linked);
    ASSERT_EQ(back.status, LinkStatus::kOk) << resident;
    EXPECT_EQ(back.linked, site.symbol(other, resident));
  }
  EXPECT_EQ(ask(other, into, site.symbol(other, 3)).linked, site.symbol(into, 3));
}

INSTANTIATE_TEST_SUITE_P(Methods, LinkingMerge,
                         ::testing::Values(std::pair("131016", "472018"),
                                           std::pair("131016", "141003"),
                                           std::pair("141003", "131016")));

}  // namespace
}  // namespace fugo::test
