// The alert rules: well formed, each with a test of its own, made of metrics that there are, and
// evaluated by a real Prometheus server that scrapes a real exporter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>
#include <set>

#include "daemon/seeing/metrics.h"
#include "tests/daemon/seeing/http.h"
#include "tests/daemon/seeing/prometheus_server.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using testing::IsSupersetOf;

const std::filesystem::path kSource = FUGO_SOURCE_DIR;
const auto kRules = kSource / "daemon/seeing/fugo-alerts.yml";
const auto kUnitTests = kSource / "tests/daemon/seeing/fugo-alerts-test.yml";

std::set<std::string> all_of(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

int promtool(const std::string& arguments) {
  return std::system(("promtool " + arguments + " >&2").c_str());
}

TEST(Alerts, RulesAreWellFormed) { EXPECT_EQ(promtool("check rules " + kRules.string()), 0); }

TEST(Alerts, RulesFireWhenTheyMust) { EXPECT_EQ(promtool("test rules " + kUnitTests.string()), 0); }

TEST(Alerts, EachRuleHasATestAndTellsWhatToDo) {
  const auto rules = test::read_file(kRules);
  const auto names = all_of(rules, "alert: (\\w+)");
  EXPECT_GT(names.size(), 15U);
  EXPECT_THAT(all_of(test::read_file(kUnitTests), "\\b(Fugo\\w+)"), IsSupersetOf(names));
  const auto count = [&](const std::string& word) {
    std::size_t found = 0;
    for (auto at = rules.find(word); at != std::string::npos; at = rules.find(word, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("\n          summary: "), names.size());
  EXPECT_EQ(count("\n          action: "), names.size());
  EXPECT_EQ(count("severity: page}") + count("severity: ticket}"), names.size());
}

TEST(Alerts, ARealServerScrapesAndEvaluates) {
  const test::TemporaryDirectory directory;
  const auto board = StatusBoard::open(directory.path() / "fugod.json", "1.2.3").value();
  MetricsSection section;
  section.port = test::free_port();
  const auto metrics = Metrics::start(section, *board, {}, "1.2.3").value();
  const test::PrometheusServer server(section.port, kRules);
  ASSERT_TRUE(test::wait_for_value(server, "fugo_build_info", "1"));
  EXPECT_TRUE(test::wait_for_firing(server, {}));
  HsmStatus hsm;
  hsm.state = HsmState::kPinRefused;
  board->set_hsm(hsm);
  EXPECT_TRUE(test::wait_for_firing(server, {"FugoPinRefused"}));
  metrics->failed(Error{ErrorCode::kDamaged, "x", {}, {}});
  EXPECT_TRUE(test::wait_for_firing(server, {"FugoPinRefused", "FugoLedgerDamaged"}));
  hsm.state = HsmState::kOk;
  board->set_hsm(hsm);
  EXPECT_TRUE(test::wait_for_firing(server, {"FugoLedgerDamaged"}));
  // Every rule was evaluated without an error.
  const auto groups = server.get("rules")["groups"];
  std::size_t rules = 0;
  for (const auto& group : groups)
    for (const auto& rule : group["rules"]) {
      EXPECT_EQ(rule["health"], "ok") << rule.dump();
      ++rules;
    }
  EXPECT_EQ(rules, all_of(test::read_file(kRules), "alert: (\\w+)").size());
}

}  // namespace
}  // namespace fugo::daemon
