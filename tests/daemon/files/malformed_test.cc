// Every file of tests/data/requests/malformed against what is expected of it.
//
// NAME.csv is the request, byte by byte. NAME.expect says in its first line either "refused TEXT",
// where TEXT is part of the message, or "rejects", and then the rejects as rejects.csv has them;
// all other rows must be accepted.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "daemon/files/request.h"
#include "daemon/files/row.h"
#include "fixture.h"

namespace fugo::daemon::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kLeastCases = 380;

std::filesystem::path corpus() {
  return std::filesystem::path(FUGO_TEST_DATA) / "requests" / "malformed";
}

// shows_resident_code finds eleven digits whose last one agrees; numbers that begin with many
// zeros are processing numbers of the corpus.
bool shows_resident_code(const std::string& text) {
  for (std::size_t i = 0; i + kResidentCodeDigits <= text.size(); ++i) {
    const std::string_view digits(text.data() + i, kResidentCodeDigits);
    const bool all =
        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (all && !digits.starts_with("0000") && check_digit_agrees(digits.data())) return true;
  }
  return false;
}

void expect_refused(const std::filesystem::path& path, const std::string& part,
                    const Surroundings& around) {
  auto request = Request::open(path);
  Error error;
  if (!request) {
    error = request.error();
  } else {
    const auto survey = (*request)->survey(around.options);
    ASSERT_FALSE(survey) << "the file was not refused";
    error = survey.error();
  }
  EXPECT_EQ(error.code, ErrorCode::kRefused);
  EXPECT_THAT(error.message(), HasSubstr(part));
  EXPECT_THAT(error.where, HasSubstr(path.filename().string() + ":"));
  EXPECT_FALSE(error.hint.empty());
  EXPECT_FALSE(shows_resident_code(error.message())) << error.message();
}

void expect_rejects(const std::filesystem::path& path, const std::string& rejects,
                    const Surroundings& around) {
  auto request = Request::open(path);
  ASSERT_TRUE(request) << request.error().message();
  auto survey = (*request)->survey(around.options);
  ASSERT_TRUE(survey) << survey.error().message();
  EXPECT_EQ(reject_lines(survey->rejects), rejects);
  EXPECT_FALSE(shows_resident_code(reject_lines(survey->rejects)));
  Segment segment;
  ASSERT_TRUE((*request)->read(*survey, around.options.rules, 0, 1000, segment));
  EXPECT_EQ(segment.size(), survey->rows - survey->rejects.size());
}

TEST(MalformedRequests, AreRefusedOrRejectedWithReasonAndLine) {
  const Surroundings around;
  std::map<std::string, int> names;
  for (const auto& entry : std::filesystem::directory_iterator(corpus())) {
    const auto extension = entry.path().extension();
    ASSERT_TRUE(extension == ".csv" || extension == ".expect") << entry.path();
    names[entry.path().stem().string()] += extension == ".csv" ? 1 : 2;
  }
  EXPECT_GE(names.size(), kLeastCases);
  for (const auto& [name, found] : names) {
    SCOPED_TRACE(name);
    ASSERT_EQ(found, 3) << "a case is a .csv and an .expect file";
    const std::string expected = read_file(corpus() / (name + ".expect"));
    const std::string first = expected.substr(0, expected.find('\n'));
    const auto path = corpus() / (name + ".csv");
    if (first.starts_with("refused ")) {
      expect_refused(path, first.substr(8), around);
    } else {
      ASSERT_EQ(first, "rejects") << "an expectation begins with refused or rejects";
      expect_rejects(path, expected.substr(first.size() + 1), around);
    }
  }
}

}  // namespace
}  // namespace fugo::daemon::testing
