// Whole regenerations through the command, from plan to finish or abort.
#include <gtest/gtest.h>

#include <set>

#include "tests/daemon/regenerate/regenerated_site.h"

namespace fugo::test {
namespace {

constexpr std::size_t kPeople = 40;

std::string state_of(const TestSite& site, const std::string& run) {
  return step(site, "status", run).json()["state"];
}

// What a run of each kind changes.
struct Kind {
  const char* what;
  std::vector<std::string> more;
  std::set<std::string> changed;  // agencies whose symbols are new
  bool records = false;
};
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.what;
  for (const auto& word : kind.more) *out << ' ' << word;
}

class Regenerate : public ::testing::TestWithParam<Kind> {};

TEST_P(Regenerate, EverybodyMovesByTheMappingsAlone) {
  const Kind& kind = GetParam();
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string before = digest_of(site);
  const std::string run = plan_run(site, kind.what, kind.more);
  ASSERT_EQ(digest_of(site), before);
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  EXPECT_EQ(digest_of(site), before);
  expect_same(ask_again(site, "A1", kPeople), old,
              "before the commit");          // the old generation is still the active one
  const auto made = step(site, "run", run);  // nothing is left to be made
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["symbols_mapped"], kind.changed.size() * kPeople);
  EXPECT_EQ(made.json()["records_mapped"], kind.records ? kPeople : 0);
  expect_sound(site);

  const auto committed = step(site, "commit", run);
  ASSERT_EQ(committed.exit_code, 0) << committed.err;
  Symbols expected = old;
  for (const auto& [agency, symbols] : old) {
    if (kind.changed.count(agency) == 0) continue;
    expected[agency] = translate(site, run, {{agency, symbols}}).at(agency);
    for (const auto& [resident, symbol] : symbols) EXPECT_NE(expected[agency][resident], symbol);
  }
  expect_same(ask_again(site, "A2", kPeople), expected, "after the commit");
  expect_sound(site);

  for (const auto& agency : kind.changed) {
    const auto acknowledged = step(site, "ack", run, {"--agency", agency});
    EXPECT_EQ(acknowledged.exit_code, 0) << acknowledged.err;
  }
  const auto finished = step(site, "finish", run);
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.json()["symbols_rejected"], kind.changed.size() * kPeople);
  EXPECT_EQ(state_of(site, run), "finished");
  expect_same(ask_again(site, "A3", kPeople), expected, "after the finish");
  expect_sound(site);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, Regenerate,
    ::testing::Values(
        Kind{"linkage", {}, {"131016", "472018", "131130", "141003"}, true},
        Kind{"agency", {}, {"131016", "472018", "131130", "141003"}, false},
        Kind{"agency", {"--agency", "472018"}, {"472018"}, false},
        Kind{"agency", {"--method", "xts-aes256"}, {"131016", "472018", "131130", "141003"}, false},
        Kind{"record", {}, {}, true}, Kind{"ledger", {}, {}, false},
        Kind{"linkage,agency,record,ledger",
             {"--method", "hmac-sha256"},
             {"131016", "472018", "131130", "141003"},
             true}));

TEST(RegenerateTest, OldSymbolsLinkFromCommitToFinish) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  const Symbols now = translate(site, run, old);
  for (const auto& from : kHolders)
    for (const auto& to : kHolders) {
      if (from == to) continue;
      const std::string ok = "ok," + now.at(to).at(3);
      EXPECT_EQ(link_one(site, old.at(from).at(3), from, to), ok) << from << to;
      EXPECT_EQ(link_one(site, now.at(from).at(3), from, to), ok) << from << to;
    }
  const auto waiting = step(site, "finish", run);
  EXPECT_EQ(waiting.exit_code, 1);
  EXPECT_NE(waiting.err.find("acknowledge"), std::string::npos) << waiting.err;
  ASSERT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0);
  for (const auto& from : kHolders) {
    const std::string to = from == "131016" ? "472018" : "131016";
    EXPECT_EQ(link_one(site, old.at(from).at(3), from, to), "unknown") << from;
    EXPECT_EQ(link_one(site, now.at(from).at(3), from, to), "ok," + now.at(to).at(3)) << from;
  }
}

TEST(RegenerateTest, OldSymbolsAreRejectedAtOnceWhenThatIsAsked) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage,agency");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  ASSERT_EQ(step(site, "commit", run, {"--reject-old"}).exit_code, 0);
  EXPECT_EQ(link_one(site, old.at("131016").at(0), "131016", "472018"), "unknown");
  const Symbols now = translate(site, run, old);
  EXPECT_EQ(link_one(site, now.at("131016").at(0), "131016", "472018"),
            "ok," + now.at("472018").at(0));
}

TEST(RegenerateTest, AnAbortLeavesNothing) {
  for (const bool made : {false, true}) {
    const TestSite site;
    const Symbols old = issue_everybody(site, kPeople, kHolders);
    const std::string before = digest_of(site);
    const std::string run = plan_run(site, "linkage,agency,record");
    if (made) {
      ASSERT_EQ(step(site, "run", run).exit_code, 0);
    }
    const auto aborted = step(site, "abort", run);
    ASSERT_EQ(aborted.exit_code, 0) << aborted.err;
    EXPECT_EQ(digest_of(site), before);
    EXPECT_FALSE(std::filesystem::exists(mapping_folder(site, run)));
    EXPECT_FALSE(std::filesystem::exists(aliases_file(site, run)));
    for (const auto& file : std::filesystem::directory_iterator(site.directory() / "ledger/data"))
      EXPECT_LT(file.path().filename().string().size(), std::string("1099511627776.fugo").size());
    expect_same(ask_again(site, "A", kPeople), old, "after the abort");
    expect_sound(site);
    EXPECT_EQ(step(site, "commit", run).exit_code, 1);
    // Another one goes through after it.
    const std::string next = plan_run(site, "linkage");
    ASSERT_EQ(step(site, "run", next).exit_code, 0);
    ASSERT_EQ(step(site, "commit", next).exit_code, 0);
    expect_same(ask_again(site, "B", kPeople), translate(site, next, old), "the next run");
  }
}

TEST(RegenerateTest, WhatHappensDuringARunIsInBothGenerations) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = plan_run(site, "linkage");
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  // Ten people more, two changed, two deleted, after everything was made once.
  const Symbols before = ask_again(site, "MORE", kPeople + 10, /*known=*/false);
  ASSERT_EQ(run_kind(site, "C", "change",
                     kind_text("C", "change",
                               {{resident_code(1), resident_code(501)},
                                {resident_code(kPeople + 1), resident_code(502)}}))
                .exit_code,
            0);
  ASSERT_EQ(run_kind(site, "D", "delete",
                     kind_text("D", "delete",
                               {{resident_code(2), "clerical_error"},
                                {resident_code(kPeople + 2), "clerical_error"}}),
                     {"--confirm", "2"})
                .exit_code,
            0);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  expect_sound(site);
  for (const auto& agency : kHolders) {
    const Mapping mapping = read_mapping(site, run, agency);
    // Everybody but the deleted, and the changed under both of their symbols.
    EXPECT_EQ(mapping.size(), kPeople + 10 - 2 + 2) << agency;
    EXPECT_EQ(mapping.count(before.at(agency).at(2)), 0U) << agency;
    EXPECT_EQ(link_one(site, mapping.at(before.at(agency).at(1)), agency,
                       agency == "131016" ? "472018" : "131016"),
              "superseded");
  }
  const auto nobody = ask_again(site, "AGAIN", 1);
  EXPECT_EQ(nobody.at("131016").at(0),
            read_mapping(site, run, "131016").at(before.at("131016").at(0)));
  ASSERT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0);
  expect_sound(site);
}

TEST(RegenerateTest, SeveralRunsAfterOneAnother) {
  const TestSite site;
  Symbols symbols = issue_everybody(site, kPeople, kHolders);
  std::size_t people = kPeople;
  int number = 0;
  for (const char* what : {"linkage", "agency", "linkage,record", "ledger", "linkage"}) {
    const std::string run = plan_run(site, what);
    ASSERT_EQ(step(site, "run", run).exit_code, 0) << what;
    ASSERT_EQ(step(site, "commit", run).exit_code, 0) << what;
    if (std::string(what) != "ledger") symbols = translate(site, run, symbols);
    ASSERT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0) << what;
    expect_same(ask_again(site, "A" + std::to_string(++number), people), symbols, what);
    people += 5;  // who start from this generation
    symbols = ask_again(site, "N" + std::to_string(number), people, /*known=*/false);
    expect_sound(site);
  }
}

TEST(RegenerateTest, ARebaseFreesThoseWhoAppear) {
  const TestSite site;
  Symbols symbols = issue_everybody(site, kPeople, kHolders);
  const std::string chained = plan_run(site, "linkage");
  ASSERT_EQ(step(site, "run", chained).exit_code, 0);
  ASSERT_EQ(step(site, "commit", chained).exit_code, 0);
  symbols = translate(site, chained, symbols);
  ASSERT_EQ(step(site, "finish", chained, {"--without-acks"}).exit_code, 0);
  // All but five appear, one twice, and one whom nobody knows.
  std::vector<TrialRow> rows;
  for (std::size_t i = 5; i < kPeople; ++i)
    rows.push_back({"PN" + std::to_string(100 + i), "131016", resident_code(i)});
  rows.push_back({"PN900", "472018", resident_code(5)});
  rows.push_back({"PN901", "472018", resident_code(kPeople + 77)});
  write_file(site.scratch() / "all.csv", request_text("ALL", rows));
  const std::string run = plan_run(site, "rebase");
  EXPECT_EQ(step(site, "run", run).exit_code, 2);  // without the codes
  const auto made = step(site, "run", run, {"--codes", (site.scratch() / "all.csv").string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["people_rebased"], kPeople - 5);
  EXPECT_EQ(made.json()["people_left"], 5);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  symbols = translate(site, run, symbols);
  expect_same(ask_again(site, "A", kPeople), symbols, "after the commit");
  ASSERT_EQ(step(site, "finish", run, {"--without-acks"}).exit_code, 0);
  expect_same(ask_again(site, "B", kPeople), symbols, "after the finish");
  expect_sound(site);
}

TEST(RegenerateTest, RefusesWhatDoesNotFit) {
  const TestSite site;
  (void)issue_everybody(site, 4, kHolders);
  const auto plan = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"regenerate", "plan", "--reason", "x"};
    words.insert(words.end(), more.begin(), more.end());
    return site.run(words);
  };
  EXPECT_EQ(plan({"--what", "everything"}).exit_code, 2);
  EXPECT_EQ(plan({"--what", "record", "--agency", "131016"}).exit_code, 2);
  EXPECT_EQ(plan({"--what", "agency", "--agency", "999999"}).exit_code, 2);
  EXPECT_EQ(plan({"--what", "linkage", "--method", "xts-aes256"}).exit_code, 2);
  EXPECT_EQ(plan({"--what", "linkage", "--method", "none"}).exit_code, 2);
  const std::string run = plan_run(site, "agency");
  const auto second = plan({"--what", "linkage"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_NE(second.err.find("unfinished"), std::string::npos) << second.err;
  EXPECT_EQ(step(site, "commit", run).exit_code, 1);  // not made yet
  EXPECT_EQ(step(site, "finish", run).exit_code, 1);
  EXPECT_EQ(step(site, "ack", run, {"--agency", "131016"}).exit_code, 1);
  EXPECT_EQ(step(site, "run", "R9999").exit_code, 1);
  ASSERT_EQ(step(site, "run", run).exit_code, 0);
  ASSERT_EQ(step(site, "commit", run).exit_code, 0);
  EXPECT_EQ(step(site, "abort", run).exit_code, 1);
  EXPECT_EQ(step(site, "ack", run, {"--agency", "999999"}).exit_code, 1);
}

}  // namespace
}  // namespace fugo::test
