#include "daemon/files/request.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "base/text.h"
#include "fixture.h"

namespace fugo::daemon::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kContractExample =
    "#fugo-request,version=1,id=J20261120-0001,kind=issue,environment=test,records=3\n"
    "processing_number,agency_code,resident_code\n"
    "0000000000000001,131016,24727059608\n"
    "0000000000000002,131016,24846016224\n"
    "0000000000000003,472018,24727059608\n";

class RequestFile : public ::testing::Test {
 protected:
  Result<Survey> survey(const std::string& text) {
    auto opened = Request::open(around.folder.write("request.csv", text));
    if (!opened) return tl::unexpected<Error>(opened.error());
    request = std::move(*opened);
    return request->survey(around.options);
  }
  Surroundings around;
  std::unique_ptr<Request> request;
};

TEST_F(RequestFile, TheContractsExampleIsAccepted) {
  auto found = survey(kContractExample);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->head.id, "J20261120-0001");
  EXPECT_EQ(found->head.kind, keystore::JobKind::kIssue);
  EXPECT_EQ(found->head.environment, "test");
  EXPECT_EQ(found->rows, 3U);
  EXPECT_EQ(found->rejects.size(), 0U);

  Segment segment;
  ASSERT_TRUE(request->read(*found, around.options.rules, 0, 1000, segment));
  EXPECT_EQ(segment.rows, 3U);
  EXPECT_THAT(segment.agencies, ElementsAre(1, 1, 2));
  EXPECT_THAT(segment.processing_numbers,
              ElementsAre("0000000000000001", "0000000000000002", "0000000000000003"));
  EXPECT_THAT(segment.lines, ElementsAre(3, 4, 5));
  EXPECT_THAT(segment.resident_codes(), ElementsAre(24727059608, 24846016224, 24727059608));
}

TEST_F(RequestFile, TheHmacIsThatOfAllBytes) {
  auto found = survey(kContractExample);
  ASSERT_TRUE(found);
  // printf ... | openssl mac -digest SHA256 -macopt hexkey:000102...1f HMAC
  EXPECT_EQ(hex(found->hmac), "ffad55aa20e670f621bf19c4d952e9d7b5669fd81a0d2a175080b36dd14bd4f1");
  auto other = survey(std::string(kContractExample) + "\n");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->rows, 3U);
  EXPECT_NE(other->hmac, found->hmac);
}

TEST_F(RequestFile, CheckDigitsCanBeSwitchedOff) {
  const std::string text = request_text(1, "1,131016,25208017644\n");
  auto strict = survey(text);
  ASSERT_TRUE(strict);
  EXPECT_EQ(reject_lines(strict->rejects), "3,1,bad_check_digit\n");
  around.options.rules.check_digits = false;
  auto lenient = survey(text);
  ASSERT_TRUE(lenient);
  EXPECT_EQ(lenient->rejects.size(), 0U);
}

TEST_F(RequestFile, RejectsAreCountedByAgency) {
  auto found = survey(request_text(5,
                                   "1,131016,25208017644\n"
                                   "2,NONE,25208017643\n"
                                   "3,011002,25208017643\n"
                                   "4,472018,25208017643\n"
                                   "4,472018,25208017643\n"));
  ASSERT_TRUE(found);
  EXPECT_THAT(found->rejected_by_agency, ElementsAre(1, 1, 1, 1, 0, 0, 0));
}

TEST_F(RequestFile, AFileThatChangesIsRefused) {
  auto found = survey(kContractExample);
  ASSERT_TRUE(found);
  const auto path = around.folder.path() / "request.csv";
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  Segment segment;
  const auto read = request->read(*found, around.options.rules, 0, 3, segment);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kRefused);
  EXPECT_THAT(read.error().message(), HasSubstr("was changed"));
}

TEST_F(RequestFile, EachKindHasItsColumns) {
  const auto found = survey(
      "#fugo-request,version=1,id=x,kind=change,records=0\nold_resident_code,new_resident_code\n");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->head.kind, keystore::JobKind::kChange);
  EXPECT_FALSE(
      survey("#fugo-request,version=1,id=x,kind=change,records=0\nresident_code,reason\n"));
}

TEST_F(RequestFile, AMissingFileIsAnInputError) {
  const auto opened = Request::open(around.folder.path() / "none.csv");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace fugo::daemon::testing
