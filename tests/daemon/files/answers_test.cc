#include "daemon/files/answers.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include "base/text.h"
#include "fixture.h"

namespace fugo::daemon::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Row is one answered row of a made-up job.
struct Row {
  keystore::AgencyNumber agency;
  std::string number;
  Block symbol;
  RowResult result = RowResult::kNew;
};

Block symbol_of(std::uint64_t seed) {
  Block symbol;
  std::mt19937_64 random(seed);
  store_be<std::uint64_t>(symbol.bytes.data(), random());
  store_be<std::uint64_t>(symbol.bytes.data() + 8, random());
  return symbol;
}

class Answers : public ::testing::Test {
 protected:
  // add gives rows [first, last) to the parts as one segment.
  void add(AnswerParts& parts, const std::vector<Row>& rows, std::size_t first, std::size_t last) {
    std::vector<keystore::AgencyNumber> agencies;
    std::vector<std::string_view> numbers;
    std::vector<Block> symbols;
    std::vector<RowResult> results;
    for (std::size_t i = first; i < last; ++i) {
      agencies.push_back(rows[i].agency);
      numbers.push_back(rows[i].number);
      symbols.push_back(rows[i].symbol);
      results.push_back(rows[i].result);
    }
    ASSERT_TRUE(parts.add(agencies, numbers, symbols, results, 1));
  }
  Result<WrittenAnswers> write(const std::vector<Row>& rows, std::size_t segment,
                               const std::vector<Reject>& rejected = {}) {
    auto parts = AnswerParts::create(folder.path()).value();
    for (std::size_t first = 0; first < rows.size(); first += segment)
      add(parts, rows, first, std::min(rows.size(), first + segment));
    auto rejects = RejectList::create(folder.path(), 100).value();
    for (const auto& reject : rejected) EXPECT_TRUE(rejects.add(reject));
    AnswerHead head{"J1", keystore::JobKind::kIssue, "test", 1'795'132'800, 0, 1, {}, {}};
    for (const auto& row : rows) head.rows += row.result == RowResult::kLeftOut ? 0 : 1;
    head.rows += rejected.size();
    return write_answers(folder.path(), head, parts, registry(), rejects);
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return read_file(temporary_answers_path(folder.path(), "J1") / name);
  }
  // all is every file of the folder by name.
  [[nodiscard]] std::map<std::string, std::string> all() const {
    std::map<std::string, std::string> found;
    for (const auto& entry :
         std::filesystem::directory_iterator(temporary_answers_path(folder.path(), "J1")))
      found[entry.path().filename()] = read_file(entry.path());
    return found;
  }
  TemporaryFolder folder;
};

std::vector<Row> random_rows(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Row> rows;
  std::set<std::pair<keystore::AgencyNumber, std::string>> seen;
  const keystore::AgencyNumber agencies[] = {1, 2, 4, 6};
  while (rows.size() < count) {
    Row row{agencies[random() % 4], {}, symbol_of(random()), RowResult::kNew};
    const std::size_t length = 1 + random() % 32;
    for (std::size_t i = 0; i < length; ++i)
      row.number += "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[random() % (length < 20 ? 36 : 2)];
    if (random() % 3 == 0) row.result = RowResult::kExisting;
    if (seen.emplace(row.agency, row.number).second) rows.push_back(row);
  }
  return rows;
}

TEST_F(Answers, HaveTheFormOfTheContract) {
  const std::vector<Row> rows = {{2, "3", symbol_of(3), RowResult::kNew},
                                 {1, "20", symbol_of(20), RowResult::kExisting},
                                 {1, "1", symbol_of(1), RowResult::kNew},
                                 {1, "9", symbol_of(9), RowResult::kLeftOut}};
  const auto written = write(
      rows, 10,
      {{12, RejectReason::kBadResidentCode, ""}, {9, RejectReason::kSupersededResident, "9"}});
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_EQ(file("131016.csv"),
            "#fugo-response,version=1,id=J1,agency=131016,records=2\n"
            "processing_number,agency_symbol,symbol_version,status\n"
            "1," +
                encode_symbol(symbol_of(1)) +
                ",1,new\n"
                "20," +
                encode_symbol(symbol_of(20)) + ",1,existing\n");
  EXPECT_EQ(file("472018.csv"),
            "#fugo-response,version=1,id=J1,agency=472018,records=1\n"
            "processing_number,agency_symbol,symbol_version,status\n"
            "3," +
                encode_symbol(symbol_of(3)) + ",1,new\n");
  EXPECT_EQ(file("rejects.csv"),
            "line,processing_number,reason\n"
            "9,9,superseded_resident\n"
            "12,,bad_resident_code\n");
  EXPECT_EQ(all().size(), 4U) << "an agency without an accepted row has no file";
  EXPECT_EQ(written->agencies, 2U);
  EXPECT_EQ(written->count_new, 2U);
  EXPECT_EQ(written->count_existing, 1U);
  EXPECT_EQ(written->count_rejected, 2U);
}

TEST_F(Answers, TheSummaryAddsUp) {
  ASSERT_TRUE(write(random_rows(500, 5), 100, {{3, RejectReason::kMalformedRow, ""}}));
  const auto summary = nlohmann::json::parse(file("summary.json"));
  EXPECT_EQ(summary["id"], "J1");
  EXPECT_EQ(summary["rows"], 501);
  EXPECT_EQ(summary["counts"]["rejected"], 1);
  EXPECT_EQ(summary["rejects"]["malformed_row"], 1);
  EXPECT_EQ(summary["issued"], format_time(1'795'132'800));
  std::uint64_t by_agency = 0, by_file = 0;
  for (const auto& agency : summary["agencies"])
    by_agency += agency["new"].get<std::uint64_t>() + agency["existing"].get<std::uint64_t>();
  EXPECT_EQ(by_agency, 500U);
  for (const auto& entry : summary["files"]) {
    const auto path = temporary_answers_path(folder.path(), "J1") / entry["name"];
    const std::string text = read_file(path);
    const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    EXPECT_EQ(entry["records"], lines - (entry["name"] == "rejects.csv" ? 1 : 2));
    by_file += entry["records"].get<std::uint64_t>();
    const std::string command = "sha256sum " + path.string();
    char hash[65] = {};
    FILE* pipe = ::popen(command.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    EXPECT_EQ(std::fread(hash, 1, 64, pipe), 64U);
    ::pclose(pipe);
    EXPECT_EQ(entry["sha256"], hash);
  }
  EXPECT_EQ(by_file, 501U);
}

TEST_F(Answers, AreTheSameHoweverTheRowsWereCut) {
  const auto rows = random_rows(3000, 7);
  const auto whole = write(rows, rows.size());
  ASSERT_TRUE(whole);
  const auto expected = all();
  for (const std::size_t segment : {7U, 999U, 2999U}) {
    const auto again = write(rows, segment);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->digest, whole->digest);
    EXPECT_EQ(all(), expected) << segment;
  }
  auto shuffled = rows;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(1));
  ASSERT_TRUE(write(shuffled, 500));
  EXPECT_EQ(all(), expected);
}

TEST_F(Answers, AreSortedByProcessingNumber) {
  auto rows = random_rows(2000, 8);
  ASSERT_TRUE(write(rows, 1));
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.number < b.number; });
  for (const auto& agency : registry()) {
    std::string expected;
    std::size_t records = 0;
    for (const auto& row : rows) {
      if (row.agency != agency.number) continue;
      ++records;
      expected += row.number + "," + encode_symbol(row.symbol) + ",1," +
                  (row.result == RowResult::kNew ? "new\n" : "existing\n");
    }
    if (records == 0) continue;
    EXPECT_EQ(file(agency.code + ".csv"),
              "#fugo-response,version=1,id=J1,agency=" + agency.code +
                  ",records=" + std::to_string(records) +
                  "\nprocessing_number,agency_symbol,symbol_version,status\n" + expected);
  }
}

TEST_F(Answers, OnlyTheirOwnerCanReadThem) {
  ASSERT_TRUE(write(random_rows(10, 9), 10));
  const auto mode = [](const std::filesystem::path& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 0777U;
  };
  const auto made = temporary_answers_path(folder.path(), "J1");
  EXPECT_EQ(mode(made), 0700U);
  for (const auto& entry : std::filesystem::directory_iterator(made))
    EXPECT_EQ(mode(entry.path()), 0600U) << entry.path();
  // Nothing else is left in the output directory: the parts have no name.
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_EQ(entry.path(), made);
}

TEST_F(Answers, AppearByRenameOnceAndCanBeCompared) {
  const auto written = write(random_rows(100, 10), 30);
  ASSERT_TRUE(written);
  ASSERT_TRUE(publish_answers({folder.path(), "J1"}));
  const auto published = answers_path(folder.path(), "J1");
  EXPECT_FALSE(std::filesystem::exists(temporary_answers_path(folder.path(), "J1")));
  EXPECT_TRUE(check_published({folder.path(), "J1"}, written->digest, SecretBytes<32>()));
  EXPECT_TRUE(publish_answers({folder.path(), "J1"})) << "a rename that had happened is success";

  std::ofstream(published / "131016.csv", std::ios::app) << "X";
  const auto changed = check_published({folder.path(), "J1"}, written->digest, SecretBytes<32>());
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::kRefused);
  ASSERT_TRUE(write(random_rows(100, 10), 30));
  EXPECT_FALSE(publish_answers({folder.path(), "J1"})) << "never over a folder that is there";
}

TEST_F(Answers, CountsThatDoNotAddUpAreNotWritten) {
  auto parts = AnswerParts::create(folder.path()).value();
  add(parts, random_rows(3, 1), 0, 3);
  auto rejects = RejectList::create(folder.path()).value();
  const AnswerHead head{"J1", keystore::JobKind::kIssue, "test", 0, 4, 1, {}, {}};
  const auto written = write_answers(folder.path(), head, parts, registry(), rejects);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kInternal);
}

TEST_F(Answers, AProcessingNumberTwiceIsNotWritten) {
  const auto written = write({{1, "5", symbol_of(1)}, {1, "5", symbol_of(2)}}, 1);
  ASSERT_FALSE(written);
  EXPECT_THAT(written.error().message(), HasSubstr("twice"));
}

// Whoever holds two agencies' files must not find out who is in both: not by a value, not by order.
TEST_F(Answers, TwoAgenciesFilesShareNoValueAndNoOrder) {
  std::vector<Row> rows;
  std::mt19937_64 random(11);
  constexpr std::uint64_t kPeople = 400;
  for (std::uint64_t person = 0; person < kPeople; ++person) {
    rows.push_back({1, "A" + std::to_string(random()), symbol_of(2 * person)});
    rows.push_back({2, "B" + std::to_string(random()), symbol_of(2 * person + 1)});
  }
  std::shuffle(rows.begin(), rows.end(), random);
  ASSERT_TRUE(write(rows, 100));
  std::map<std::string, std::uint64_t> person_of;
  for (std::uint64_t i = 0; i < 2 * kPeople; ++i) person_of[encode_symbol(symbol_of(i))] = i / 2;

  const auto read = [&](const std::string& name, std::set<std::string>& values) {
    std::istringstream lines(file(name));
    std::string line, number, symbol;
    std::getline(lines, line);
    std::getline(lines, line);
    std::vector<std::uint64_t> people;
    while (std::getline(lines, number, ',')) {
      std::getline(lines, symbol, ',');
      std::getline(lines, line);
      EXPECT_EQ(line, "1,new");
      values.insert(number);
      values.insert(symbol);
      people.push_back(person_of.at(symbol));
    }
    return people;
  };
  std::set<std::string> values_a, values_b, common;
  const auto people_a = read("131016.csv", values_a), people_b = read("472018.csv", values_b);
  std::set_intersection(values_a.begin(), values_a.end(), values_b.begin(), values_b.end(),
                        std::inserter(common, common.end()));
  EXPECT_THAT(common, ElementsAre());
  ASSERT_EQ(people_a.size(), kPeople);
  ASSERT_EQ(people_b.size(), kPeople);
  std::size_t same_place = 0;
  for (std::size_t i = 0; i < kPeople; ++i) same_place += people_a[i] == people_b[i] ? 1 : 0;
  EXPECT_LT(same_place, 12U) << "chance gives one";
}

}  // namespace
}  // namespace fugo::daemon::testing
