// The signed statement: planned, come and gone since, made, mapped and rejected, to the last
// symbol; and a run whose numbers do not add up is refused.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "daemon/site_access.h"
#include "hsm/token.h"
#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

using Json = nlohmann::json;
using KeyStates = std::map<std::string, std::string>;

constexpr std::size_t kPeople = 20;

Json statement_of(const TestSite& site, const std::string& run) {
  return Json::parse(read_file(mapping_folder(site, run) / "statement.json"));
}

KeyStates keys_of(const Json& list) {
  KeyStates keys;
  for (const auto& key : list) keys[key["label"]] = key["state"];
  return keys;
}

void give(const TestSite& site, const std::string& name, const std::string& run,
          const std::vector<std::string>& more = {}) {
  const auto done = step(site, name, run, more);
  ASSERT_EQ(done.exit_code, 0) << name << ": " << done.err;
}

void change(const TestSite& site, const std::string& id, std::size_t from, std::size_t to) {
  const auto done = run_kind(site, id, "change",
                             kind_text(id, "change", {{resident_code(from), resident_code(to)}}));
  ASSERT_EQ(done.exit_code, 0) << done.err;
}

void remove(const TestSite& site, const std::string& id, std::size_t resident) {
  const auto done = run_kind(site, id, "delete",
                             kind_text(id, "delete", {{resident_code(resident), "clerical_error"}}),
                             {"--confirm", "1"});
  ASSERT_EQ(done.exit_code, 0) << done.err;
}

std::uint64_t mapped_in_files(const TestSite& site, const std::string& run) {
  std::uint64_t rows = 0;
  for (const auto& agency : kHolders) rows += read_mapping(site, run, agency).size();
  return rows;
}

TEST(RunStatement, AddsUpWithAllThatComesAndGoesDuringTheRun) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage,record");
  // Ten people more and one changed before anything is made, one of the ten deleted afterwards.
  (void)ask_again(site, "MORE", kPeople + 10, /*known=*/false);
  change(site, "C1", 1, 501);
  give(site, "run", run);
  // Then one more is changed, and he and his predecessor, and somebody of before, are deleted.
  change(site, "C2", 2, 502);
  remove(site, "D1", 502);
  remove(site, "D2", 3);
  remove(site, "D3", kPeople + 1);
  give(site, "commit", run);
  const std::uint64_t mapped = mapped_in_files(site, run);
  // After the commit: somebody old is deleted, and somebody new comes and is deleted.
  remove(site, "D4", 4);
  (void)ask_again(site, "LATE", 1, true);
  write_file(site.scratch() / "n.csv", request_text("N1", {{"PN1", "131016", resident_code(900)}}));
  ASSERT_EQ(site.run({"issue", (site.scratch() / "n.csv").string(), "--out",
                      (site.scratch() / "out").string()})
                .exit_code,
            0);
  remove(site, "D5", 900);
  give(site, "finish", run, {"--without-acks"});

  const auto statement = statement_of(site, run);
  const Json expected_planned = {{"people", 20}, {"symbols", 80}, {"records", 20}, {"agencies", 4}};
  EXPECT_EQ(statement["planned"], expected_planned);
  const Json expected_since = {
      {"people_added", 12}, {"people_deleted", 4}, {"symbols_added", 48}, {"symbols_deleted", 16}};
  EXPECT_EQ(statement["from_plan_to_commit"], expected_since);
  EXPECT_EQ(statement["made"]["people"], 28);
  EXPECT_EQ(statement["mapped"]["symbols"], 112);
  EXPECT_EQ(statement["mapped"]["symbols"], mapped);
  EXPECT_EQ(statement["mapped"]["records"], 28);
  EXPECT_EQ(statement["from_commit_to_finish"]["old_symbols_deleted"], 4);
  EXPECT_EQ(statement["rejected"]["symbols"], 108);
  EXPECT_EQ(statement["rejected"]["at"], "finish");
  std::uint64_t sum = 0;
  for (const auto& row : statement["mappings"])
    if (!row["agency"].is_null()) sum += row["symbols"].get<std::uint64_t>();
  EXPECT_EQ(sum, 112U);
  const KeyStates made = {{"fugo-linkage-aes256-v2", "active"},
                          {"fugo-linkage-hmac-v2", "active"},
                          {"fugo-record-aes256-v2", "active"},
                          {"fugo-record-hmac-v2", "active"},
                          {"fugo-data-wrap-aes256-v2", "active"}};
  const KeyStates replaced = {{"fugo-linkage-aes256-v1", "chain"},
                              {"fugo-linkage-hmac-v1", "chain"},
                              {"fugo-record-aes256-v1", "retired"},
                              {"fugo-record-hmac-v1", "retired"},
                              {"fugo-data-wrap-aes256-v1", "retired"}};
  EXPECT_EQ(keys_of(statement["keys_made"]), made);
  EXPECT_EQ(keys_of(statement["keys_replaced"]), replaced);
  expect_sound(site);
}

TEST(RunStatement, NamesTheKeysThatItReplacedAndNoOthers) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string aborted = plan_run(site, "agency");
  give(site, "run", aborted);
  give(site, "abort", aborted);
  const auto labels = [](int version) {
    std::set<std::string> names;
    for (const char* name : {"fugo-agency-aes256", "fugo-agency-hmac",
                             "fugo-agency-xts-data-aes256", "fugo-agency-xts-tweak-aes256"})
      names.insert(name + std::string("-v") + std::to_string(version));
    return names;
  };
  const auto names = [](const KeyStates& keys) {
    std::set<std::string> found;
    for (const auto& [label, state] : keys) found.insert(label);
    return found;
  };
  int replaced = 1, made = 3;  // version 2 was made for the run that was aborted
  for (int i = 0; i < 2; ++i) {
    const std::string run = plan_run(site, "agency");
    give(site, "run", run);
    give(site, "commit", run);
    for (const auto& agency : kHolders) give(site, "ack", run, {"--agency", agency});
    give(site, "finish", run);
    const auto statement = statement_of(site, run);
    EXPECT_EQ(names(keys_of(statement["keys_made"])), labels(made));
    EXPECT_EQ(names(keys_of(statement["keys_replaced"])), labels(replaced));
    for (const auto& [label, state] : keys_of(statement["keys_replaced"]))
      EXPECT_EQ(state, "retired") << label;
    EXPECT_EQ(statement["planned"]["people"], 0);
    EXPECT_EQ(statement["planned"]["records"], 0);
    EXPECT_EQ(statement["made"]["people"], 0);
    EXPECT_EQ(statement["planned"]["symbols"], 80);
    EXPECT_EQ(statement["mapped"]["symbols"], 80);
    EXPECT_EQ(statement["rejected"]["symbols"], 80);
    EXPECT_EQ(statement["without_acknowledgements"], false);
    replaced = made++;
  }
  expect_sound(site);
}

TEST(RunStatement, OfOldSymbolsRejectedAtTheCommitSaysSo) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "agency", {"--agency", "472018"});
  give(site, "run", run);
  remove(site, "D1", 1);
  give(site, "commit", run, {"--reject-old"});
  remove(site, "D2", 2);
  give(site, "finish", run, {"--without-acks"});
  const auto statement = statement_of(site, run);
  EXPECT_EQ(statement["planned"]["symbols"], 20);
  EXPECT_EQ(statement["from_plan_to_commit"]["symbols_deleted"], 1);
  EXPECT_EQ(statement["mapped"]["symbols"], 19);
  EXPECT_EQ(statement["rejected"]["symbols"], 19);
  EXPECT_EQ(statement["rejected"]["at"], "commit");
  expect_sound(site);
}

// Changes the run's row behind everybody's back.
void falsify(const TestSite& site, const std::function<void(keystore::RunRow&)>& change) {
  {
    const auto settings = daemon::load_settings(site.config());
    ASSERT_TRUE(settings);
    const auto open =
        daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend);
    ASSERT_TRUE(open) << open.error().message();
    auto runs = open->ledger->runs();
    ASSERT_TRUE(runs);
    auto update = open->ledger->begin();
    ASSERT_TRUE(update);
    change(runs->back());
    ASSERT_TRUE((*update)->put_run(runs->back()));
    ASSERT_TRUE((*update)->commit());
  }
  hsm::finalize_all();
}

TEST(RunStatement, ARunThatDoesNotAddUpIsRefused) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage");
  give(site, "run", run);
  const std::string before = digest_of(site);
  const std::vector<std::uint64_t keystore::RunRow::*> planned = {
      &keystore::RunRow::planned_people, &keystore::RunRow::planned_symbols,
      &keystore::RunRow::planned_records};
  for (const auto member : planned) {
    falsify(site, [&](keystore::RunRow& row) { ++(row.*member); });
    const auto refused = step(site, "commit", run);
    EXPECT_EQ(refused.exit_code, 5);
    EXPECT_NE(refused.err.find("do not add up"), std::string::npos) << refused.err;
    EXPECT_EQ(step(site, "status", run).json()["state"], "ready");
    falsify(site, [&](keystore::RunRow& row) { --(row.*member); });
  }
  EXPECT_EQ(digest_of(site), before);
  EXPECT_EQ(site.run({"--json", "status"}).json()["frozen"]["issue"], "");
  give(site, "commit", run);
  falsify(site, [](keystore::RunRow& row) { ++row.symbols_mapped; });
  const auto verified = site.run({"verify"});
  EXPECT_EQ(verified.exit_code, 5);
  EXPECT_NE(verified.out.find("do not add up"), std::string::npos) << verified.out;
  const auto refused = step(site, "finish", run, {"--without-acks"});
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_NE(refused.err.find("do not add up"), std::string::npos) << refused.err;
  falsify(site, [](keystore::RunRow& row) { --row.symbols_mapped; });
  give(site, "finish", run, {"--without-acks"});
  expect_sound(site);
}

}  // namespace
}  // namespace fugo::test
