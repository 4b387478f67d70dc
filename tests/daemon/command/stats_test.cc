// fugo stats: grouping, limits by date, and the three forms of the result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

// One site with two answered requests: 40 residents at two agencies, then 10 of them again and
// three rows of an agency that nobody knows.
const TestSite& used_site() {
  static const TestSite* const site = [] {
    auto* made = new TestSite;  // never destroyed: goes with the process
    const auto issue = [&](const std::string& id, std::vector<TrialRow> rows, int exit_code) {
      const auto request = made->scratch() / (id + ".csv");
      write_file(request, request_text(id, rows));
      const auto done =
          made->run({"issue", request.string(), "--out", (made->scratch() / "out").string()});
      EXPECT_EQ(done.exit_code, exit_code) << done.err;
    };
    issue("R1", trial_rows(0, 40, {"131016", "472018"}), 0);
    auto rows = trial_rows(0, 10, {"131016", "472018"});
    for (int i = 0; i < 3; ++i)
      rows.push_back({"X" + std::to_string(i), "999999", resident_code(5)});
    issue("R2", rows, 3);
    return made;
  }();
  return *site;
}

nlohmann::json stats(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"--json", "stats"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto result = used_site().run(words);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.json();
}

std::string today() { return stats({"--by", "day"})["stats"][0]["day"]; }

TEST(Stats, ByDefaultDayAgencyAndVersion) {
  const auto all = stats({});
  ASSERT_EQ(all["stats"].size(), 3U) << all.dump(1);  // unknown, 131016, 472018
  std::uint64_t made = 0;
  for (const auto& row : all["stats"]) {
    EXPECT_THAT(row["day"].get<std::string>(), MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}"));
    EXPECT_EQ(row["symbol_version"], 1);
    made += row["new"].get<std::uint64_t>();
  }
  EXPECT_EQ(all["total"]["new"], made);
  EXPECT_EQ(all["total"]["rejected"], 3);
  EXPECT_EQ(all["stats"][0]["agency"], "");
  EXPECT_EQ(all["stats"][0]["rejected"], 3);
}

TEST(Stats, ByAnythingTheTotalIsTheSame) {
  const auto total = stats({})["total"];
  const auto rows = total["new"].get<std::uint64_t>() + total["existing"].get<std::uint64_t>() +
                    total["rejected"].get<std::uint64_t>();
  for (const std::string by : {"day", "month", "agency", "version", "result", "month,result",
                               "version,agency,day,month,result"}) {
    const auto some = stats({"--by", by});
    EXPECT_EQ(some["total"], total) << by;
    std::uint64_t sum = 0;
    for (const auto& row : some["stats"])
      for (const char* key : {"rows", "new", "existing", "rejected"})
        if (row.contains(key)) sum += row[key].get<std::uint64_t>();
    EXPECT_EQ(sum, rows) << by;
  }
}

TEST(Stats, ByResult) {
  const auto by = stats({"--by", "result"});
  ASSERT_EQ(by["stats"].size(), 3U);
  EXPECT_EQ(by["stats"][2], nlohmann::json({{"result", "rejected"}, {"rows", 3}}));
}

TEST(Stats, FromAndToAreInclusive) {
  const auto total = stats({})["total"],
             none = nlohmann::json({{"new", 0}, {"existing", 0}, {"rejected", 0}});
  const auto day = today(), month = day.substr(0, 7);
  EXPECT_EQ(stats({"--from", day, "--to", day})["total"], total);
  EXPECT_EQ(stats({"--from", month, "--to", month})["total"], total);
  EXPECT_EQ(stats({"--from", "2999-01"})["total"], none);
  EXPECT_EQ(stats({"--to", "1999-12-31"})["total"], none);
}

TEST(Stats, Csv) {
  const auto csv = used_site().run({"stats", "--csv"});
  EXPECT_THAT(csv.out, StartsWith("day,agency_code,symbol_version,new,existing,rejected\n"));
  std::istringstream lines(csv.out);
  std::string line;
  std::size_t count = 0;
  for (; std::getline(lines, line); ++count)
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 5) << line;
  EXPECT_EQ(count, 4U);  // no line of totals, which a spreadsheet would add once more
  EXPECT_THAT(used_site().run({"stats", "--csv", "--by", "result,agency"}).out,
              StartsWith("agency_code,result,rows\n"));
}

TEST(Stats, Table) {
  const auto table = used_site().run({"stats", "--by", "agency"}).out;
  EXPECT_THAT(table, StartsWith("AGENCY"));
  EXPECT_THAT(table, HasSubstr("(unknown)"));
  EXPECT_THAT(table, HasSubstr("total"));
}

TEST(Stats, WrongWordsAreNamed) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--by", "year"}, "\"year\" is none of day, month, agency, version, result"},
      {{"--by", "day,day"}, "day is given twice"},
      {{"--from", "20.11.2026"}, "--from: must be a day"},
      {{"--to", "2026-1"}, "--to: must be a day"}};
  for (const auto& [arguments, message] : wrong) {
    auto words = arguments;
    words.insert(words.begin(), "stats");
    const auto result = TestSite::pristine().run(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr(message));
  }
}

}  // namespace
}  // namespace fugo::test
