// Whole jobs through the command: what is answered, what is refused, what stays equal.
#include <gtest/gtest.h>

#include <set>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

const std::vector<std::string> kAgencies = {"131016", "472018", "011002", "131130", "141003"};

std::string digest_of(const TestSite& site, bool with_times = true) {
  std::vector<std::string> arguments{"digest"};
  if (!with_times) arguments.push_back("--without-times");
  const auto result = site.run(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

CommandResult issue(const TestSite& site, const std::string& id, const std::vector<TrialRow>& rows,
                    const std::string& out = "out") {
  const auto path = site.scratch() / (id + ".csv");
  write_file(path, request_text(id, rows));
  return site.run({"issue", path.string(), "--out", (site.scratch() / out).string()});
}

TEST(IssueJob, SameRowsUnderAnotherIdExistAndTheDigestStays) {
  const TestSite site;
  const auto rows = trial_rows(0, 500, kAgencies);
  const auto first = issue(site, "first", rows);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string digest = digest_of(site);
  const auto second = issue(site, "second", rows);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(digest_of(site), digest);

  const auto new_answers = read_answers(site.scratch() / "out/first");
  const auto old_answers = read_answers(site.scratch() / "out/second");
  ASSERT_EQ(new_answers.size(), kAgencies.size());
  ASSERT_EQ(old_answers.size(), kAgencies.size());
  std::size_t count = 0;
  for (const auto& [agency, answers] : new_answers) {
    for (const auto& [number, answer] : answers) {
      const Answer& again = old_answers.at(agency).at(number);
      ASSERT_EQ(answer.status, "new");
      ASSERT_EQ(again.status, "existing");
      ASSERT_EQ(again.symbol, answer.symbol);
      ++count;
    }
  }
  EXPECT_EQ(count, rows.size());
}

TEST(IssueJob, TheSameIdIsAnsweredAgainOrRefused) {
  const TestSite site;
  auto rows = trial_rows(0, 200, kAgencies);
  ASSERT_EQ(issue(site, "R1", rows).exit_code, 0);
  const auto files = csv_files(site.scratch() / "out/R1");
  const std::string digest = digest_of(site);

  ASSERT_EQ(issue(site, "R1", rows).exit_code, 0);           // into the same folder
  ASSERT_EQ(issue(site, "R1", rows, "again").exit_code, 0);  // into another
  EXPECT_EQ(csv_files(site.scratch() / "out/R1"), files);
  EXPECT_EQ(csv_files(site.scratch() / "again/R1"), files);

  rows.pop_back();
  const auto other = issue(site, "R1", rows, "other");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("used before with other content"), std::string::npos) << other.err;
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "other/R1"));

  // A suspended agency and one that is new change nothing: the registry of that day counts.
  ASSERT_EQ(site.run({"agency", "suspend", "131016"}).exit_code, 0);
  ASSERT_EQ(site.run({"agency", "add", "999999", "--name", "New"}).exit_code, 0);
  const auto later = issue(site, "R1", trial_rows(0, 200, kAgencies), "later");
  EXPECT_EQ(later.exit_code, 0) << later.err;
  EXPECT_EQ(csv_files(site.scratch() / "later/R1"), files);
  EXPECT_EQ(digest_of(site), digest);
}

TEST(IssueJob, OrderOfRequestsAndSegmentsDoesNotMatterToTheDigest) {
  const TestSite one;
  const TestSite other;  // a copy: the same keys
  other.set_config("[ledger]", "[issue]\nsegment_rows = 100\n\n[ledger]");
  auto rows = trial_rows(0, 300, kAgencies);
  ASSERT_EQ(issue(one, "A", rows).exit_code, 0);
  const std::vector<TrialRow> front(rows.begin(), rows.begin() + 250);
  const std::vector<TrialRow> back(rows.begin() + 250, rows.end());
  ASSERT_EQ(issue(other, "B", back).exit_code, 0);
  EXPECT_NE(digest_of(one, false), digest_of(other, false));
  ASSERT_EQ(issue(other, "C", front).exit_code, 0);
  EXPECT_EQ(digest_of(one, false), digest_of(other, false));
  const auto verified = other.run({"verify"});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

TEST(IssueJob, OnePersonTwiceForAnAgencyIsNewOnce) {
  const TestSite site;
  const std::string code = resident_code(5);
  ASSERT_EQ(issue(site, "T", {{"2", "131016", code}, {"1", "131016", code}}).exit_code, 0);
  const auto answers = read_answers(site.scratch() / "out/T").at("131016");
  EXPECT_EQ(answers.at("2").status, "new");  // the first row of the file
  EXPECT_EQ(answers.at("1").status, "existing");
  EXPECT_EQ(answers.at("1").symbol, answers.at("2").symbol);
}

TEST(IssueJob, RejectsLeaveTheRestAppliedAndTooManyHoldTheFile) {
  const TestSite site;
  auto rows = trial_rows(0, 100, kAgencies);
  rows[3].agency = "999999";
  rows[4].resident_code[10] = rows[4].resident_code[10] == '0' ? '1' : '0';
  const auto some = issue(site, "S", rows);
  EXPECT_EQ(some.exit_code, 3) << some.err;
  EXPECT_EQ(csv_files(site.scratch() / "out/S").at("rejects.csv"),
            "line,processing_number,reason\n6," + rows[3].processing_number +
                ",unknown_agency\n7," + rows[4].processing_number + ",bad_check_digit\n");

  const auto summary = nlohmann::json::parse(read_file(site.scratch() / "out/S/summary.json"));
  EXPECT_NE(summary.dump().find("\"rejected\":1"), std::string::npos) << summary;

  rows = trial_rows(1000, 200, kAgencies);
  for (std::size_t i = 0; i < 120; ++i) rows[i].agency = "999999";
  const std::string digest = digest_of(site);
  const auto held = issue(site, "H", rows);
  EXPECT_EQ(held.exit_code, 1);
  EXPECT_NE(held.err.find("--accept-rejects"), std::string::npos) << held.err;
  EXPECT_EQ(digest_of(site), digest);
  const auto accepted = site.run({"issue", (site.scratch() / "H.csv").string(), "--out",
                                  (site.scratch() / "out").string(), "--accept-rejects"});
  EXPECT_EQ(accepted.exit_code, 3) << accepted.err;
}

// No value but the head's constants, and no order, is common to two agencies' files.
TEST(IssueJob, TwoAgenciesFilesCannotBeJoined) {
  const TestSite site;
  const std::vector<std::string> two = {"131016", "472018"};
  std::vector<TrialRow> rows = trial_rows(0, 400, two);  // everybody at both
  ASSERT_EQ(issue(site, "J", rows).exit_code, 0);
  const auto answers = read_answers(site.scratch() / "out/J");
  std::set<std::string> seen;
  for (const auto& [number, answer] : answers.at("131016")) {
    seen.insert(number);
    seen.insert(answer.symbol);
  }
  for (const auto& [number, answer] : answers.at("472018")) {
    EXPECT_EQ(seen.count(number), 0U);
    EXPECT_EQ(seen.count(answer.symbol), 0U);
  }
  // Order: the rank of a person in one file says nothing of their rank in the other.
  std::map<std::string, std::string> person_of;  // agency + number -> code
  for (const auto& row : rows) person_of[row.agency + row.processing_number] = row.resident_code;
  std::map<std::string, std::size_t> rank;
  std::size_t at = 0;
  for (const auto& [number, answer] : answers.at("131016"))
    rank[person_of["131016" + number]] = at++;
  at = 0;
  std::size_t near = 0;
  for (const auto& [number, answer] : answers.at("472018")) {
    const std::size_t other = rank[person_of["472018" + number]];
    if ((other > at ? other - at : at - other) <= 2) ++near;
    ++at;
  }
  EXPECT_LT(near, 400U / 10);  // about 5 of 400 by chance
}

// 16-bit linkage symbols: among 3,000 people some 70 collide. Nobody shares a symbol.
TEST(IssueJob, ForcedCollisionsAreToldApart) {
  const TestSite site({"--linkage-method", "test-16"});
  site.set_config("[ledger]", "[issue]\nsegment_rows = 700\n\n[ledger]");
  std::vector<TrialRow> rows;
  for (std::uint64_t i = 0; i < 3000; ++i)
    rows.push_back({std::to_string(100000 + i), "131016", resident_code(i)});
  ASSERT_EQ(issue(site, "C1", rows).exit_code, 0);
  const auto answers = read_answers(site.scratch() / "out/C1").at("131016");
  std::set<std::string> symbols;
  for (const auto& [number, answer] : answers) {
    EXPECT_EQ(answer.status, "new");
    symbols.insert(answer.symbol);
  }
  EXPECT_EQ(symbols.size(), 3000U);

  // Another order: everybody is found again under the same symbol.
  std::vector<TrialRow> turned(rows.rbegin(), rows.rend());
  ASSERT_EQ(issue(site, "C2", turned).exit_code, 0);
  const auto again = read_answers(site.scratch() / "out/C2").at("131016");
  for (const auto& [number, answer] : answers) {
    ASSERT_EQ(again.at(number).status, "existing");
    ASSERT_EQ(again.at(number).symbol, answer.symbol);
  }
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

// The same, with several rows of each person: at agencies of every method, twice at one of them,
// in one segment and across segments.
TEST(IssueJob, RowsOfAPersonWhoCollidedStayTogether) {
  const TestSite site({"--linkage-method", "test-16"});
  site.set_config("[ledger]", "[issue]\nsegment_rows = 3000\n\n[ledger]");
  const std::vector<std::string> agencies = {"131016", "131016", "131130", "141003"};
  std::vector<TrialRow> rows;
  for (std::uint64_t i = 0; i < 2000; ++i) {  // all rows of half of them in one segment
    const std::size_t together = i % 2 == 0 ? agencies.size() : 1;
    for (std::size_t at = 0; at < together; ++at)
      rows.push_back({std::to_string(100000 + rows.size()), agencies[at], resident_code(i)});
  }
  for (std::uint64_t i = 1; i < 2000; i += 2)
    for (std::size_t at = 1; at < agencies.size(); ++at)
      rows.push_back({std::to_string(100000 + rows.size()), agencies[at], resident_code(i)});
  ASSERT_EQ(issue(site, "F", rows).exit_code, 0);

  const auto answers = read_answers(site.scratch() / "out/F");
  std::map<std::string, std::map<std::string, std::string>> symbol_of;  // agency -> code -> symbol
  std::map<std::string, std::set<std::string>> symbols;
  for (const auto& row : rows) {
    const Answer& answer = answers.at(row.agency).at(row.processing_number);
    const auto [at, fresh] = symbol_of[row.agency].emplace(row.resident_code, answer.symbol);
    ASSERT_EQ(answer.status, fresh ? "new" : "existing");
    ASSERT_EQ(at->second, answer.symbol) << "one person has two symbols";
    symbols[row.agency].insert(answer.symbol);
  }
  for (const auto& [agency, distinct] : symbols) EXPECT_EQ(distinct.size(), 2000U) << agency;
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);

  // Linking goes from person to person, through the inverse and by recomputing.
  for (const auto& [from, to] : {std::pair{"141003", "131016"}, std::pair{"131016", "131130"}}) {
    std::string questions;
    std::string expected = "symbol,status,linked_symbol\n";
    for (const auto& [code, symbol] : symbol_of[from]) {
      questions += symbol + "\n";
      expected += symbol + ",ok," + symbol_of[to][code] + "\n";
    }
    write_file(site.scratch() / "questions", questions);
    const auto out = site.scratch() / (std::string("linked-") + from);
    const auto linked = site.run({"link", (site.scratch() / "questions").string(), "--from", from,
                                  "--to", to, "--out", out.string()});
    ASSERT_EQ(linked.exit_code, 0) << linked.err;
    EXPECT_EQ(read_file(out), expected) << from << " -> " << to;
  }
}

TEST(IssueJob, LinksWithEveryMethod) {
  const TestSite site;
  const auto rows = trial_rows(0, 300, kAgencies);
  ASSERT_EQ(issue(site, "L", rows).exit_code, 0);
  const auto answers = read_answers(site.scratch() / "out/L");
  std::map<std::string, std::map<std::string, std::string>> symbol;  // agency -> code -> symbol
  for (const auto& row : rows)
    symbol[row.agency][row.resident_code] = answers.at(row.agency).at(row.processing_number).symbol;

  for (const std::string from : {"131016", "131130", "141003"}) {
    for (const std::string to : {"472018", "131130", "141003"}) {
      std::string questions;
      std::string expected = "symbol,status,linked_symbol\n";
      for (const auto& [code, own] : symbol[from]) {
        const auto there = symbol[to].find(code);
        questions += own + "\n";
        expected +=
            own +
            (there == symbol[to].end() ? std::string(",not_issued,") : ",ok," + there->second) +
            "\n";
      }
      const std::string foreign = symbol["011002"].begin()->second;
      questions += foreign + "\nNOT-A-SYMBOL\n";
      expected += foreign + ",unknown,\n,bad_symbol,\n";
      write_file(site.scratch() / "questions", questions);
      const auto out = site.scratch() / ("linked-" + from + "-" + to);
      const auto result = site.run({"link", (site.scratch() / "questions").string(), "--from", from,
                                    "--to", to, "--out", out.string()});
      ASSERT_EQ(result.exit_code, 3) << result.err;
      ASSERT_EQ(read_file(out), expected) << from << " -> " << to;
    }
  }
}

}  // namespace
}  // namespace fugo::test
