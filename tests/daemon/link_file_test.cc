// Files of symbols to link: their forms, what is repeated of them, and failures.
#include "daemon/link_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/text.h"
#include "daemon/config.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/site_access.h"
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

// What is in the entry is in the sum that checkpoints and metrics have.
TEST_F(LinkFileTest, BlocksAreInTheEntryAndInTheSum) {
  const auto sum = [&] {
    const auto settings = daemon::load_settings(site_.config()).value();
    const auto open =
        daemon::open_site(settings, hsm::TokenRole::kLinking, keystore::Access::kRead).value();
    return open->ledger().state().value().blocks;
  };
  const std::string symbol = encode_symbol(Block{}) + "\n";
  const auto before = sum();
  ASSERT_EQ(link(symbol + symbol + symbol, out_, "141003").exit_code, 3);
  keystore::KeyBlocks growth;
  keystore::add_growth(before, sum(), growth);
  const auto blocks = last_act()["details"]["blocks"];
  EXPECT_EQ(daemon::blocks_document(growth), blocks);
  EXPECT_FALSE(blocks.empty());
}

// Of a day everybody links no more of one agency's symbols than its quota, whichever process it is.
TEST_F(LinkFileTest, ADayHasAQuotaForEachAgency) {
  site_.set_config("[ledger]", "[linking]\nquota_per_day = 5\n\n[ledger]");
  const std::string symbol = encode_symbol(Block{}) + "\n";
  const auto links = [&](const std::string& from, std::size_t symbols) {
    std::string text = "no symbol\n";  // which takes nothing
    for (std::size_t i = 0; i < symbols; ++i) text += symbol;
    std::filesystem::remove(out_);
    return link(text, out_, from, "472018");
  };
  EXPECT_EQ(links("131016", 3).exit_code, 3);
  const auto before = last_act();
  const auto refused = links("131016", 3);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("and 2 are left of the 5 that may be linked in a day"));
  EXPECT_FALSE(std::filesystem::exists(out_));
  EXPECT_EQ(last_act(), before);
  EXPECT_EQ(links("131016", 2).exit_code, 3);
  EXPECT_EQ(links("131016", 1).exit_code, 1);
  EXPECT_EQ(links("131016", 0).exit_code, 3);
  // What waits for the daemon counts, but for what was in vain and what is of another day.
  const auto spool = daemon::UsageSpool::open(site_.directory() / "link-usage", "core").value();
  const auto now = unix_now();
  ASSERT_TRUE(spool->write(std::vector<engine::LinkUse>{{"141003", 5, 2, 1}}, now - 60, now));
  ASSERT_TRUE(spool->write(std::vector<engine::LinkUse>{{"141003", 9, 9, 0}}, 0, 86'400));
  EXPECT_EQ(links("141003", 2).exit_code, 1);
  EXPECT_EQ(links("141003", 1).exit_code, 3);
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
