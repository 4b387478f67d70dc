// The survey and the reader against a slow reading of docs/spec/files.md, on random files.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <regex>
#include <set>
#include <sstream>

#include "daemon/files/request.h"
#include "fixture.h"

namespace fugo::daemon::testing {
namespace {

// Accepted is one row that the reference accepts.
struct Accepted {
  std::uint64_t line = 0, code = 0;
  keystore::AgencyNumber agency = 0;
  std::string number;
  friend bool operator==(const Accepted&, const Accepted&) = default;
};
void PrintTo(const Accepted& row, std::ostream* out) { *out << row.line << ":" << row.number; }

struct Reference {
  std::vector<Accepted> accepted;
  std::string rejects;
};

std::string verdict(const std::string& row, Accepted& found) {
  static const std::regex three("([^,\"\\x01-\\x1f]*),([^,\"\\x01-\\x1f]*),([^,\"\\x01-\\x1f]*)");
  static const std::regex number("[0-9A-Z]{1,32}"), code("[0-9]{11}");
  std::smatch field;
  if (!std::regex_match(row, field, three)) return ",malformed_row";
  const std::string shown = std::regex_match(field[3].str(), code) ? field[1].str() : "";
  if (!std::regex_match(field[1].str(), number)) return shown + ",bad_processing_number";
  const keystore::Agency* agency = nullptr;
  static const auto agencies = registry();
  for (const auto& each : agencies)
    if (each.code == field[2] && each.state != keystore::AgencyState::kClosed) agency = &each;
  if (agency == nullptr) return shown + ",unknown_agency";
  if (agency->state == keystore::AgencyState::kSuspended) return shown + ",suspended_agency";
  if (shown.empty()) return ",bad_resident_code";
  if (resident_code(std::stoull(field[3].str().substr(0, 10))) != field[3])
    return shown + ",bad_check_digit";
  found = {0, std::stoull(field[3]), agency->number, field[1]};
  return "";
}

Reference read_slowly(const std::string& rows, std::uint64_t quota = keystore::kNoQuota) {
  Reference reference;
  std::istringstream lines(rows);
  std::string row;
  std::set<std::pair<keystore::AgencyNumber, std::string>> seen;
  for (std::uint64_t line = 3; std::getline(lines, row); ++line) {
    if (!row.empty() && row.back() == '\r') row.pop_back();
    Accepted found;
    std::string reason = verdict(row, found);
    if (reason.empty() && !seen.emplace(found.agency, found.number).second)
      reason = found.number + ",duplicate_processing_number";
    if (reason.empty() && line - 3 >= quota) reason = found.number + ",quota_exceeded";
    found.line = line;
    if (reason.empty())
      reference.accepted.push_back(found);
    else
      reference.rejects += std::to_string(line) + "," + reason + "\n";
  }
  return reference;
}

// RandomFile makes rows of all sorts: most in order, some spoilt.
class RandomFile {
 public:
  explicit RandomFile(std::uint64_t seed) : random_(seed) {}

  std::string rows(std::size_t count, std::uint64_t numbers, bool ascending, unsigned spoilt) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      const char* const agencies[] = {"131016", "472018", "A", "ABCDEFGHIJKLMN0P"};
      std::string number = std::to_string(ascending ? 1'000'000 + i : random_() % numbers);
      std::string row =
          number + "," + agencies[random_() % 4] + "," + resident_code(random_() % 9'999'999'999);
      if (random_() % 100 < spoilt) spoil(row);
      text += row + (random_() % 5 == 0 ? "\r\n" : "\n");
    }
    return text;
  }

 private:
  void spoil(std::string& row) {
    const char* const agencies[] = {"011002", "131130", "B"};
    const std::size_t first = row.find(',');
    switch (random_() % 5) {
      case 0:
        row[random_() % row.size()] = "09AZaz,;\" \x01"[random_() % 11];
        break;
      case 1:
        row.erase(random_() % row.size(), 1 + random_() % 3);
        break;
      case 2:
        row.insert(random_() % row.size(), random_() % 2 == 0 ? "7" : ",");
        break;
      case 3:
        row.replace(first + 1, row.find(',', first + 1) - first - 1, agencies[random_() % 3]);
        break;
      default:
        row.insert(0, random_() % 40, 'Q');
    }
  }
  std::mt19937_64 random_;
};

class SurveyProperty : public ::testing::Test {
 protected:
  void compare(const std::string& rows, std::size_t count) {
    const auto path = around.folder.write("r.csv", request_text(count, rows));
    auto request = Request::open(path);
    ASSERT_TRUE(request);
    auto survey = (*request)->survey(around.options);
    ASSERT_TRUE(survey) << survey.error().message();
    const Reference expected = read_slowly(rows, around.options.row_quota);
    // What a wrong processing number shows is a matter of the corpus; here it is left out.
    const auto plain = [](const std::string& text) {
      return std::regex_replace(text, std::regex(",[^,\n]*,bad_processing"), ",,bad_processing");
    };
    EXPECT_EQ(plain(reject_lines(survey->rejects)), plain(expected.rejects));
    for (const std::uint32_t segment : {count_as_rows(count), 1000U, 77U, 1U}) {
      if (segment == 1 && count > 1000) continue;
      EXPECT_EQ(read_all(**request, *survey, segment), expected.accepted) << segment;
    }
  }
  static std::uint32_t count_as_rows(std::size_t count) {
    return static_cast<std::uint32_t>(count) + 5;
  }
  std::vector<Accepted> read_all(Request& request, const Survey& survey, std::uint32_t rows) {
    std::vector<Accepted> accepted;
    Segment segment;
    for (std::uint64_t first = 0; first < survey.rows; first += rows) {
      EXPECT_TRUE(request.read(survey, around.options.rules, first, rows, segment));
      for (std::size_t i = 0; i < segment.size(); ++i)
        accepted.push_back({segment.lines[i], segment.resident_codes()[i], segment.agencies[i],
                            std::string(segment.processing_numbers[i])});
    }
    return accepted;
  }
  Surroundings around;
};

TEST_F(SurveyProperty, AgreesWithTheReferenceOnRandomFiles) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    around.options.piece_in_bytes = seed % 3 == 0 ? 50 : seed % 3 == 1 ? 1000 : 1U << 20U;
    around.options.threads = 1 + seed % 4;
    const std::size_t count = 1 + seed * 7;
    compare(RandomFile(seed).rows(count, 1 + seed * 20, seed % 2 == 0, 30), count);
  }
}

TEST_F(SurveyProperty, RowsBeyondTheQuotaAreRejectedLast) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    around.options.piece_in_bytes = seed % 2 == 0 ? 300 : 1U << 20U;
    const std::size_t count = 20 + seed * 11;
    around.options.row_quota = seed * seed % (count + 10);
    compare(RandomFile(seed).rows(count, 1 + seed * 20, seed % 3 == 0, 30), count);
  }
}

TEST_F(SurveyProperty, DuplicatesAreFoundThroughTemporaryFiles) {
  around.options.memory_in_bytes = 2000;  // some 40 rows a run
  around.options.piece_in_bytes = 10'000;
  compare(RandomFile(1).rows(20'000, 8'000, false, 2), 20'000);
}

TEST_F(SurveyProperty, ARepeatAtTheVeryEndOfAnAscendingFileIsFound) {
  around.options.piece_in_bytes = 5000;
  std::string rows = RandomFile(2).rows(5000, 0, true, 0);
  rows += rows.substr(0, rows.find('\n') + 1);
  compare(rows, 5001);
}

TEST_F(SurveyProperty, RowsCanBeReadInAnyOrder) {
  around.options.piece_in_bytes = 3000;
  const std::string rows = RandomFile(3).rows(4000, 2000, false, 10);
  const auto expected = read_slowly(rows).accepted;
  auto request = Request::open(around.folder.write("r.csv", request_text(4000, rows))).value();
  const auto survey = request->survey(around.options).value();
  std::mt19937_64 random(4);
  Segment segment;
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t first = random() % 4100;
    const auto count = static_cast<std::uint32_t>(random() % 200);
    ASSERT_TRUE(request->read(survey, around.options.rules, first, count, segment));
    std::vector<std::uint64_t> lines;
    for (const auto& row : expected)
      if (row.line >= first + 3 && row.line < first + count + 3) lines.push_back(row.line);
    EXPECT_EQ(segment.lines, lines);
  }
}

TEST_F(SurveyProperty, LeavesNothingInTheTemporaryDirectory) {
  around.options.memory_in_bytes = 100;
  const std::string rows = RandomFile(5).rows(2000, 100, false, 50);
  auto request = Request::open(around.folder.write("r.csv", request_text(2000, rows))).value();
  const auto survey = request->survey(around.options);
  ASSERT_TRUE(survey);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(around.folder.path()))
    names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::ElementsAre("r.csv"));
}

TEST_F(SurveyProperty, ProgressReachesTheEnd) {
  std::uint64_t last = 0, total = 0;
  around.options.piece_in_bytes = 1000;
  around.options.progress = [&](std::uint64_t done, std::uint64_t all) {
    EXPECT_GE(done, last);
    last = done;
    total = all;
  };
  compare(RandomFile(6).rows(500, 0, true, 5), 500);
  EXPECT_GT(total, 0U);
  EXPECT_EQ(last, total);
}

}  // namespace
}  // namespace fugo::daemon::testing
