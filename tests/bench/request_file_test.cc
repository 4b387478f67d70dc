#include "bench/request_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

namespace fugo::bench {
namespace {

struct File {
  std::string first, header;
  std::vector<std::vector<std::string>> rows;
};

class RequestFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "fugo-request-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    auto residents = Residents::create(make_registry(10), 5);
    ASSERT_TRUE(residents);
    residents_.emplace(std::move(*residents));
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  File write(const RequestOptions& options) {
    const auto rows = write_request(*residents_, options, directory_ / "r.csv");
    EXPECT_TRUE(rows);
    File file;
    std::ifstream in(directory_ / "r.csv");
    std::getline(in, file.first);
    std::getline(in, file.header);
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      file.rows.emplace_back();
      for (std::string field; std::getline(fields, field, ',');) file.rows.back().push_back(field);
    }
    EXPECT_EQ(rows.value_or(0), file.rows.size());
    return file;
  }

  std::filesystem::path directory_;
  std::optional<Residents> residents_;
};

bool valid_code(const std::string& code) {
  if (code.size() != 11) return false;
  const std::uint64_t number = std::stoull(code);
  return resident_check_digit(number / 10) == number % 10;
}

TEST_F(RequestFile, HasTheContractsFormAndDistinctValidCodes) {
  const File file = write({.id = "J1", .environment = "test", .residents = 5000});
  EXPECT_EQ(file.first, "#fugo-request,version=1,id=J1,kind=issue,environment=test,records=5000");
  EXPECT_EQ(file.header, "processing_number,agency_code,resident_code");
  std::set<std::string> codes, numbers;
  for (const auto& row : file.rows) {
    ASSERT_EQ(row.size(), 3U);
    EXPECT_EQ(row[0].size(), 16U);
    EXPECT_TRUE(numbers.insert(row[0]).second);
    EXPECT_TRUE(valid_code(row[2]));
    EXPECT_TRUE(codes.insert(row[2]).second);
  }
}

TEST_F(RequestFile, NoAgencyTwiceForOneResident) {
  const File file = write({.id = "J1", .residents = 200, .requests_per_resident = 12});
  std::set<std::pair<std::string, std::string>> pairs;
  std::map<std::string, int> requests;
  for (const auto& row : file.rows) {
    EXPECT_TRUE(pairs.insert({row[1], row[2]}).second);
    ++requests[row[2]];
  }
  ASSERT_EQ(requests.size(), 200U);
  for (const auto& [code, count] : requests) EXPECT_EQ(count, 12);
}

TEST_F(RequestFile, SameSeedSamePeopleUnderAnotherId) {
  const File one = write({.id = "J1", .residents = 300});
  const File two = write({.id = "J2", .residents = 300});
  EXPECT_NE(one.first, two.first);
  EXPECT_EQ(one.rows, two.rows);
  const File shuffled = write({.id = "J2", .residents = 300, .shuffled_numbers = true});
  EXPECT_NE(one.rows[0][0], shuffled.rows[0][0]);
  EXPECT_EQ(one.rows[0][2], shuffled.rows[0][2]);
}

TEST_F(RequestFile, KnownResidentsAreMixedWithNewOnes) {
  std::set<std::string> known;
  for (const auto& row : write({.id = "J1", .residents = 1000}).rows) known.insert(row[2]);
  const File file =
      write({.id = "J2", .residents = 10, .first = 1000, .known_requests = 90, .known = 1000});
  std::size_t found = 0, found_in_first_half = 0;
  std::set<std::string> codes;
  for (std::size_t i = 0; i < file.rows.size(); ++i) {
    EXPECT_TRUE(codes.insert(file.rows[i][2]).second);
    found += known.contains(file.rows[i][2]) ? 1 : 0;
    if (i < 50) found_in_first_half = found;
  }
  EXPECT_EQ(found, 90U);
  EXPECT_EQ(found_in_first_half, 45U);
}

TEST_F(RequestFile, BadRowsAreBadInTheWayAsked) {
  const File file =
      write({.id = "J1", .residents = 100, .bad_rows_each = 4, .suspended_agency = "131016"});
  ASSERT_EQ(file.rows.size(), 100 + 4 * bad_row_reasons().size());
  std::set<std::pair<std::string, std::string>> pairs;
  int fields = 0, digits = 0, suspended = 0, unknown = 0, twice = 0;
  for (const auto& row : file.rows) {
    if (row.size() != 3) {
      ++fields;
      continue;
    }
    digits += row[2].size() == 11 && row[2].back() != 'X' && !valid_code(row[2]) ? 1 : 0;
    suspended += row[1] == "131016" ? 1 : 0;
    unknown += row[1] == "480002" || row[1] == "ZZ0001" ? 1 : 0;
    twice += row[0].size() == 16 && !pairs.insert({row[0], row[1]}).second ? 1 : 0;
  }
  EXPECT_EQ(fields, 4);
  EXPECT_EQ(digits, 4);
  EXPECT_GE(suspended, 4);
  EXPECT_EQ(unknown, 4);
  EXPECT_EQ(twice, 4);
}

TEST_F(RequestFile, OptionsThatDoNotFitAreRefused) {
  const auto path = directory_ / "r.csv";
  EXPECT_FALSE(write_request(*residents_, {.id = "J1"}, path));
  EXPECT_FALSE(write_request(*residents_, {.id = "J1", .residents = 1, .known_requests = 2}, path));
  EXPECT_FALSE(
      write_request(*residents_, {.id = "J1", .residents = 1, .requests_per_resident = 13}, path));
  EXPECT_FALSE(write_request(*residents_, {.id = "J1", .residents = 20'000'000'000}, path));
  EXPECT_FALSE(Residents::create({}, 1));
}

}  // namespace
}  // namespace fugo::bench
