// A rebase over a complete delivery frees the old linkage keys, which can then be destroyed.
#include <gtest/gtest.h>

#include "daemon/config.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/site_access.h"
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

// What a rebase tells of codes is bounded, and in the journal before it tells.
TEST(Rebase, ADeliveryIsJournaledAndPaidFor) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const auto acts = [&](const std::string& act) {
    std::vector<nlohmann::json> found;
    const auto journal = site.run({"--json", "journal", "show", "--last", "1000"}).json();
    for (const auto& entry : journal["entries"])
      if (entry["act"] == act) found.push_back(entry["details"]);
    return found;
  };
  const auto strangers = [&](std::size_t first, std::size_t count) {
    std::vector<std::size_t> residents(count);
    for (std::size_t i = 0; i < count; ++i) residents[i] = first + i;
    return delivery(site, residents);
  };
  const auto blocks = [&] {
    const auto settings = daemon::load_settings(site.config()).value();
    const auto open =
        daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead).value();
    return open->ledger().state().value().blocks;
  };
  const auto rebase = [&](const std::string& codes) {
    const std::string run = plan_run(site, "rebase");
    const auto made = step(site, "run", run, {"--codes", codes});
    EXPECT_EQ(step(site, "abort", run).exit_code, 0);
    return made;
  };
  // A day has 112 rows for twelve people.
  const auto before = blocks();
  const auto known = strangers(100, 60);
  EXPECT_EQ(rebase(known).exit_code, 0);
  const auto first = acts("regenerate.delivery");
  ASSERT_FALSE(first.empty());
  EXPECT_EQ(first[0]["rows"], 60);
  // The blocks of all its steps are in the sum.
  keystore::KeyBlocks growth;
  keystore::add_growth(before, blocks(), growth);
  nlohmann::json document = nlohmann::json::object();
  for (const auto& ready : acts("regenerate.ready"))
    if (ready.contains("blocks"))
      for (const auto& [key, count] : ready["blocks"].items())
        document[key] = document.value(key, std::uint64_t{0}) + count.get<std::uint64_t>();
  EXPECT_EQ(daemon::blocks_document(growth), document);
  EXPECT_GE(document["linkage-v1"].get<std::uint64_t>(), 60U);

  const auto entries = acts("regenerate.delivery").size();
  const auto codes = strangers(200, 53);
  const auto run = plan_run(site, "rebase");
  const auto refused = step(site, "run", run, {"--codes", codes});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("the deliveries of today have 113 rows, and may have 112"),
            std::string::npos)
      << refused.err;
  EXPECT_EQ(acts("regenerate.delivery").size(), entries);
  EXPECT_EQ(step(site, "status", run).json()["codes_unknown"], 0) << "nothing was looked up";
  EXPECT_EQ(step(site, "abort", run).exit_code, 0);
  EXPECT_EQ(rebase(strangers(300, 52)).exit_code, 0);
  // What was told before costs nothing: a run that goes on reads its delivery again.
  EXPECT_EQ(rebase(known).exit_code, 0);
  EXPECT_EQ(rebase(strangers(400, 1)).exit_code, 1);
  site.set_config("[ledger]", "[issue]\nrows_per_day = 113\n\n[ledger]");
  EXPECT_EQ(rebase(strangers(400, 1)).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
