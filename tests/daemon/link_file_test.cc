// Files of symbols to link: their forms, what is repeated of them, and failures.
#include "daemon/link_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SymbolLines, EndInEitherWayOrNotAtAll) {
  EXPECT_THAT(daemon::symbol_lines(""), IsEmpty());
  EXPECT_THAT(daemon::symbol_lines("\n"), ElementsAre(""));
  EXPECT_THAT(daemon::symbol_lines("A\nB\r\nC"), ElementsAre("A", "B", "C"));
  EXPECT_THAT(daemon::symbol_lines("A\n\r\n\rB\r\r\n"), ElementsAre("A", "", "\rB\r"));
}

class LinkFileTest : public testing::Test {
 protected:
  CommandResult link(const std::string& questions, const std::filesystem::path& out,
                     const std::string& from = "131016", const std::string& to = "141003") const {
    write_file(site_.scratch() / "questions", questions);
    return site_.run({"--json", "link", (site_.scratch() / "questions").string(), "--from", from,
                      "--to", to, "--out", out.string()});
  }
  nlohmann::json last_act() const {
    return site_.run({"--json", "journal", "show", "--last", "1"}).json()["entries"][0];
  }

  const TestSite site_;
  const std::filesystem::path out_ = site_.scratch() / "linked";
};

TEST_F(LinkFileTest, EveryLineHasItsAnswerAndNothingElseIsRepeated) {
  const std::string symbol = encode_symbol(Block{});
  std::string spoilt = symbol;
  spoilt.back() = spoilt.back() == '0' ? '1' : '0';
  for (const std::string from : {"131016", "141003"}) {  // by recomputing, by the inverse
    std::filesystem::remove(out_);
    const auto linked = link(symbol + "\r\n" + spoilt + "\n\n24727059608\n247-27059608-" +
                                 std::string(14, 'x') + "\n" + symbol + "\n" + symbol,
                             out_, from, "472018");
    EXPECT_EQ(linked.exit_code, 3) << linked.err;
    EXPECT_EQ(read_file(out_), "symbol,status,linked_symbol\n" + symbol + ",unknown,\n" + spoilt +
                                   ",bad_symbol,\n,bad_symbol,\n,bad_symbol,\n,bad_symbol,\n" +
                                   symbol + ",unknown,\n" + symbol + ",unknown,\n");
    struct stat info {};
    ASSERT_EQ(::stat(out_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0600U);
    const auto act = last_act();
    EXPECT_EQ(act["act"], "link");
    EXPECT_EQ(act["details"]["from"], from);
    EXPECT_EQ(act["details"]["symbols"], 7);
    EXPECT_EQ(act["details"]["unknown"], 3);
    EXPECT_EQ(act["details"]["bad_symbol"], 4);
    EXPECT_EQ(act["details"]["ok"], 0);
  }
}

TEST_F(LinkFileTest, NoLinesAreNoSymbols) {
  const auto linked = link("", out_);
  EXPECT_EQ(linked.exit_code, 0) << linked.err;
  EXPECT_EQ(linked.json()["symbols"], 0);
  EXPECT_EQ(read_file(out_), "symbol,status,linked_symbol\n");
}

TEST_F(LinkFileTest, WhatCannotBeAnsweredIsNotJournaledAndLeavesNothing) {
  const auto before = last_act();
  const auto nowhere = link("x\n", site_.scratch() / "absent" / "linked");
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("absent"));
  EXPECT_THAT(nowhere.err, HasSubstr("no answer was written"));
  const auto nobody = link("x\n", out_, "131016", "999999");
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("there is no agency 999999"));
  EXPECT_FALSE(std::filesystem::exists(out_));
  EXPECT_EQ(last_act(), before);
}

}  // namespace
}  // namespace fugo::test
