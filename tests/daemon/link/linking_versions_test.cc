// Linking while a regeneration's two symbol versions are accepted, and when the old one goes.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "tests/daemon/link/linked_site.h"
#include "tests/daemon/renewal.h"

namespace fugo::test {
namespace {

using engine::Linking;
using engine::LinkStatus;
using engine::PersonHandle;
using keystore::AgencyNumber;
using keystore::Generation;

constexpr const char* kAct = "FUGO_TEST_RENEWAL";
constexpr const char* kConfig = "FUGO_TEST_RENEWAL_CONFIG";

// What another process does, which runs this program for it; nothing otherwise.
TEST(AnotherProcess, Acts) {
  const char* const act = std::getenv(kAct);
  if (act == nullptr) return;
  if (std::string(act) == "renew") renew_agencies(std::getenv(kConfig));
  if (std::string(act) == "retire") retire_old(std::getenv(kConfig));
}

void in_another_process(const LinkedSite& site, const std::string& act) {
  RunOptions options;
  options.environment = {{kAct, act}, {kConfig, site.site().config().string()}};
  options.program = "/proc/self/exe";
  const auto done = run_fugo({"--gtest_filter=AnotherProcess.*"}, options);
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
}

// Answer is what came of one symbol.
struct Answer {
  LinkStatus status = LinkStatus::kUnavailable;
  Generation version = 0;
  Block linked{};
  friend bool operator==(const Answer&, const Answer&) = default;
};

Answer link(Linking& linking, const std::string& from, const std::string& to, const Block& symbol) {
  const std::array agencies{number(linking, from), number(linking, to)};
  Answer answer;
  linking.link({&agencies[0], 1}, {&agencies[1], 1}, {&symbol, 1}, {&answer.linked, 1}, {},
               {&answer.version, 1}, {&answer.status, 1});
  return answer;
}

PersonHandle person(Linking& linking, const std::string& agency, const Block& symbol,
                    Generation expected) {
  const AgencyNumber from = number(linking, agency);
  PersonHandle handle;
  Generation version = 0;
  LinkStatus status{};
  linking.resolve({&from, 1}, {&symbol, 1}, {&handle, 1}, {&version, 1}, {&status, 1});
  EXPECT_EQ(status, LinkStatus::kOk);
  EXPECT_EQ(version, expected);
  return handle;
}

TEST(LinkingVersions, OldSymbolsAreResolvedUntilTheirVersionGoes) {
  LinkedSite site;
  site.issue_pattern(10, 40);
  site.change(10, 110);
  const auto linking = site.open();
  const std::string to = "472018";
  // Recomputed by CMAC and HMAC, inverted by XTS.
  const std::vector<std::string> all{"131016", "131130", "141003"};
  const auto has_both = [&](const std::string& agency, std::size_t resident) {
    return site.has(agency, resident) && site.has(to, resident);
  };
  for (const auto& from : all)
    for (std::size_t i = 12; i < 50; ++i)
      if (has_both(from, i)) {
        ASSERT_EQ(link(*linking, from, to, site.symbol(from, i)),
                  (Answer{LinkStatus::kOk, 1, site.symbol(to, i)}));
      }
  const auto before = linking->health().index_agencies;

  in_another_process(site, "renew");
  std::map<std::size_t, Block> renewed;  // of `to`
  for (const auto& from : all)
    for (std::size_t i = 12; i < 50; ++i) {
      if (!has_both(from, i)) continue;
      const Answer answer = link(*linking, from, to, site.symbol(from, i));
      ASSERT_EQ(answer.status, LinkStatus::kOk);
      ASSERT_EQ(answer.version, 1);
      ASSERT_NE(answer.linked, site.symbol(to, i));
      ASSERT_EQ(renewed.emplace(i, answer.linked).first->second, answer.linked);
    }
  for (const auto& [i, symbol] : renewed) {
    const Answer back = link(*linking, to, "131016", symbol);
    ASSERT_EQ(back.status, site.has("131016", i) ? LinkStatus::kOk : LinkStatus::kNotIssued);
    ASSERT_EQ(back.version, back.status == LinkStatus::kOk ? 2 : 0);
    ASSERT_EQ(person(*linking, to, symbol, 2), person(*linking, to, site.symbol(to, i), 1));
  }
  EXPECT_GT(linking->health().index_agencies, before);

  // Whoever comes now has symbols of the new version alone.
  site.issue({{"131016", 90}, {"141003", 90}, {to, 90}});
  for (const auto& from : {all[0], all[2]})
    EXPECT_EQ(link(*linking, from, to, site.symbol(from, 90)),
              (Answer{LinkStatus::kOk, 2, site.symbol(to, 90)}));
  EXPECT_EQ(link(*linking, "131016", to, strange_symbol(1)).status, LinkStatus::kUnknown);
  EXPECT_EQ(link(*linking, "131016", to, site.symbol("131016", 10)).status,
            LinkStatus::kSuperseded);

  in_another_process(site, "retire");
  const auto first = renewed.begin()->first;
  EXPECT_EQ(link(*linking, to, "131016", renewed.begin()->second).version,
            site.has("131016", first) ? 2 : 0);
  EXPECT_LE(linking->health().index_agencies, 4U) << "tables of the version that went";
  for (const auto& from : all)
    for (std::size_t i = 12; i < 50; ++i)
      if (site.has(from, i)) {
        ASSERT_EQ(link(*linking, from, to, site.symbol(from, i)),
                  (Answer{LinkStatus::kUnknown, 0, {}}));
      }
  for (const auto& from : {all[0], all[2]})
    EXPECT_EQ(link(*linking, from, to, site.symbol(from, 90)).version, 2);
}

}  // namespace
}  // namespace fugo::test
