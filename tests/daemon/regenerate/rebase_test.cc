// A rebase over a complete delivery frees the old linkage keys, which can then be destroyed.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

constexpr std::size_t kPeople = 12;

std::string delivery(const TestSite& site, const std::vector<std::size_t>& residents,
                     const std::vector<TrialRow>& more = {}) {
  static int number = 0;
  std::vector<TrialRow> rows = more;
  for (const std::size_t resident : residents)
    rows.push_back({"PN" + std::to_string(100 + resident), "131016", resident_code(resident)});
  const auto path = site.scratch() / ("all-" + std::to_string(++number) + ".csv");
  write_file(path, request_text("ALL" + std::to_string(number), rows));
  return path.string();
}

std::vector<std::size_t> everybody() {
  std::vector<std::size_t> residents(kPeople);
  for (std::size_t i = 0; i < kPeople; ++i) residents[i] = i;
  return residents;
}

// Whole runs; the symbols move by the mappings.
void regenerate(const TestSite& site, const std::string& what, Symbols& symbols,
                const std::string& codes, int exit_code_of_run = 0) {
  const std::string run = plan_run(site, what);
  const auto made =
      step(site, "run", run,
           codes.empty() ? std::vector<std::string>() : std::vector{std::string("--codes"), codes});
  ASSERT_EQ(made.exit_code, exit_code_of_run) << made.err;
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  symbols = translate(site, run, symbols);
  const auto finished = step(site, "finish", run, {"--without-acks"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
}

CommandResult retire(const TestSite& site, int version) {
  const auto v = std::to_string(version);
  const auto first = site.run({"keys", "retire", "fugo-linkage-aes256-v" + v});
  if (first.exit_code != 0) return first;
  return site.run({"keys", "retire", "fugo-linkage-hmac-v" + v});
}

CommandResult destroy(const TestSite& site, int version) {
  const auto v = std::to_string(version);
  return site.run({"keys", "destroy", "fugo-linkage-aes256-v" + v, "fugo-linkage-hmac-v" + v,
                   "--out", (site.scratch() / ("destroyed-" + v + ".json")).string()});
}

TEST(Rebase, OverACompleteDeliveryFreesEveryOldKey) {
  const TestSite site;
  Symbols symbols = issue_everybody(site, kPeople, kHolders);
  regenerate(site, "linkage", symbols, "");
  EXPECT_EQ(destroy(site, 1).exit_code, 1);
  EXPECT_EQ(retire(site, 1).exit_code, 1);  // everybody starts from it
  regenerate(site, "rebase", symbols, delivery(site, everybody()));
  EXPECT_EQ(destroy(site, 1).exit_code, 1);  // it is not retired yet
  for (const int version : {1, 2}) {
    const auto retired = retire(site, version);
    ASSERT_EQ(retired.exit_code, 0) << retired.err;
    const auto destroyed = destroy(site, version);
    ASSERT_EQ(destroyed.exit_code, 0) << destroyed.err;
  }
  expect_same(ask_again(site, "A", kPeople), symbols, "without the old keys");
  (void)ask_again(site, "B", kPeople + 3, /*known=*/false);
  expect_sound(site);
}

TEST(Rebase, ASupersededPersonKeepsTheOldKeyUntilTheOldCodeIsDelivered) {
  const TestSite site;
  Symbols symbols = issue_everybody(site, kPeople, kHolders);
  ASSERT_EQ(run_kind(site, "C", "change",
                     kind_text("C", "change", {{resident_code(0), resident_code(500)}}))
                .exit_code,
            0);
  for (auto& [agency, held] : symbols) held.erase(0);
  auto today = everybody();
  today.front() = 500;
  regenerate(site, "rebase", symbols, delivery(site, today));
  EXPECT_EQ(step(site, "status", "R+0001").json()["people_left"], 1);
  const auto refused = retire(site, 1);
  EXPECT_EQ(refused.exit_code, 1);
  auto with_old = everybody();
  with_old.push_back(500);
  regenerate(site, "rebase", symbols, delivery(site, with_old));
  EXPECT_EQ(step(site, "status", "R+0002").json()["people_left"], 0);
  for (const int version : {1, 2}) {
    ASSERT_EQ(retire(site, version).exit_code, 0);
    ASSERT_EQ(destroy(site, version).exit_code, 0);
  }
  expect_sound(site);
}

TEST(Rebase, SaysWhatWasWrongWithTheDelivery) {
  const TestSite site;
  Symbols symbols = issue_everybody(site, kPeople, kHolders);
  const std::string codes = delivery(site, everybody(),
                                     {{"PN1", "131016", "123"},
                                      {"PN2", "999999", resident_code(1)},
                                      {"PN3", "131016", resident_code(700)}});
  regenerate(site, "rebase", symbols, codes, /*exit_code_of_run=*/3);
  const auto status = step(site, "status", "R+0001").json();
  EXPECT_EQ(status["codes_rejected"], 2);
  EXPECT_EQ(status["codes_unknown"], 1);
  EXPECT_EQ(status["people_left"], 0);
  const auto statement =
      nlohmann::json::parse(read_file(mapping_folder(site, "R+0001") / "statement.json"));
  EXPECT_EQ(statement["made"]["codes_rejected"], 2);
  EXPECT_EQ(statement["made"]["codes_unknown"], 1);
  EXPECT_EQ(statement["made"]["people_left"], 0);
  const auto text = site.run({"regenerate", "status", "R+0001"}).out;
  EXPECT_NE(text.find("2 rows were rejected"), std::string::npos) << text;
  EXPECT_NE(text.find("0 are left"), std::string::npos) << text;
}

}  // namespace
}  // namespace fugo::test
