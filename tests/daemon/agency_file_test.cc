#include "daemon/agency_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/utf8.h"

namespace fugo::daemon {
namespace {

using testing::HasSubstr;

TEST(AgencyFile, FieldsAreCutAsInRfc4180) {
  Mistakes mistakes;
  const auto agencies = parse_agency_file(
      "agency_code,name,method\nA,\"b, \"\"c\"\"\",\r\nD,,xts-aes256\n", mistakes);
  ASSERT_TRUE(mistakes.empty());
  ASSERT_EQ(agencies.size(), 2U);
  EXPECT_EQ(agencies[0].name, "b, \"c\"");
  EXPECT_EQ(agencies[0].line, 2U);
  EXPECT_EQ(agencies[1].code, "D");
  EXPECT_EQ(agencies[1].name, "");
  EXPECT_EQ(agencies[1].method, "xts-aes256");
}

TEST(AgencyFile, WrongQuotesAndCountsAreMistakes) {
  for (const char* row : {"A,\"b,", "A,b\"c,", "A,\"b\"c,", "A,b", "A,b,c,d", "", "\"A\"\"", "A"}) {
    Mistakes mistakes;
    const auto agencies =
        parse_agency_file(std::string("agency_code,name,method\n") + row + "\n", mistakes);
    EXPECT_TRUE(agencies.empty()) << row;
    EXPECT_THAT(mistakes.text("x"), HasSubstr("line 2: ")) << row;
  }
}

TEST(AgencyFile, CodesHaveOneToSixteenCharacters) {
  EXPECT_TRUE(valid_agency_code("0"));
  EXPECT_TRUE(valid_agency_code("ABCDEFGHIJ012345"));
  for (const char* code : {"", "ABCDEFGHIJ0123456", "a", "A-1", "A ", "\xEF\xBC\xA1"})
    EXPECT_FALSE(valid_agency_code(code)) << code;
}

TEST(AgencyFile, TestMethodsAreForTestsOnly) {
  const NewAgency agency{1, "A", "name", "test-16"};
  Mistakes production;
  check_new_agency(agency, true, production);
  EXPECT_FALSE(production.empty());
}

TEST(AgencyFile, NamesMustNotDeceiveATerminal) {
  EXPECT_TRUE(is_presentable("Chiyoda"));
  EXPECT_TRUE(is_presentable("\xE5\x8D\x83\xE4\xBB\xA3\xE7\x94\xB0\xE5\x8C\xBA"));
  EXPECT_TRUE(is_presentable("\xF0\xA0\xAE\xB7"));  // U+20BB7
  EXPECT_FALSE(is_presentable("a\x1B[2J"));         // escape
  EXPECT_FALSE(is_presentable("a\x7F"));            // delete
  EXPECT_FALSE(is_presentable("a\xC2\x9B"));        // C1: control sequence introducer
  EXPECT_TRUE(is_presentable("a\xC2\xA0"));         // no-break space
  EXPECT_FALSE(is_presentable("a\xE2\x80\xAE"));    // right-to-left override
  EXPECT_FALSE(is_presentable("a\xE2\x81\xA6"));    // left-to-right isolate
  EXPECT_TRUE(is_presentable("a\xE2\x80\x94"));     // dash
  EXPECT_FALSE(is_presentable("\xFF"));
}

}  // namespace
}  // namespace fugo::daemon
