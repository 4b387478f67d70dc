// The C++ interface over the C functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fugo/fugo.hpp>
#include <type_traits>

#include "tests/api/linked_site.h"

namespace fugo::test {
namespace {

// A person cannot be made of anything, nor a handle be copied.
static_assert(!std::is_constructible_v<Person, std::uint64_t, std::uint64_t>);
static_assert(!std::is_constructible_v<Person, fugo_person>);
static_assert(!std::is_copy_constructible_v<Linkage> &&
              std::is_nothrow_move_constructible_v<Linkage>);

class CppLinkage : public testing::Test {
 protected:
  CppLinkage() : opened_(Linkage::open(site_.config(), {Index::kAhead, 64})) {
    EXPECT_TRUE(opened_) << opened_.error().message;
    chiyoda_ = opened_->find_agency("131016");
    naha_ = opened_->find_agency("472018");
  }
  LinkedSite site_;
  Opened opened_;
  Agency chiyoda_, naha_;
};

TEST_F(CppLinkage, OneAtATime) {
  Linkage& linkage = *opened_;
  EXPECT_TRUE(chiyoda_);
  LinkStatus found{};
  EXPECT_FALSE(linkage.find_agency("999999", &found));
  EXPECT_EQ(found, LinkStatus::kUnknownAgency);
  EXPECT_TRUE(linkage.find_agency("131016", &found));
  EXPECT_EQ(found, LinkStatus::kOk);
  const auto first = linkage.resolve({chiyoda_, site_.symbol("131016", 1)});
  const auto second = linkage.resolve({chiyoda_, site_.symbol("131016", 2)});
  ASSERT_EQ(first.status, LinkStatus::kOk);
  ASSERT_EQ(second.status, LinkStatus::kOk);
  EXPECT_FALSE(first.person == second.person);
  EXPECT_TRUE(first.person == linkage.resolve({naha_, site_.symbol("472018", 1)}).person);
  EXPECT_EQ(linkage.is_issued({first.person, naha_}), LinkStatus::kOk);
  EXPECT_EQ(linkage.is_issued({second.person, naha_}), LinkStatus::kNotIssued);
  EXPECT_EQ(linkage.symbol_for({first.person, naha_}).symbol.text(), site_.symbol("472018", 1));
  EXPECT_TRUE(linkage.symbol_for({second.person, naha_}).symbol.empty());
  const auto linked = linkage.link({chiyoda_, naha_, site_.symbol("131016", 1)});
  EXPECT_EQ(linked.status, LinkStatus::kOk);
  EXPECT_EQ(linked.symbol.text(), site_.symbol("472018", 1));
  EXPECT_EQ(linked.record, linkage.record_symbol(first.person).symbol);
  EXPECT_EQ(linkage.record_symbol(Person()).status, LinkStatus::kUnknown);
}

TEST_F(CppLinkage, ManyAtOnceAreTheSame) {
  Linkage& linkage = *opened_;
  const std::string good = site_.symbol("131016", 1);
  const std::string with_zero = good.substr(0, 26) + '\0', longer = good + '\0';
  const std::vector<Inquiry> inquiries = {
      {chiyoda_, naha_, good},      {chiyoda_, naha_, site_.symbol("131016", 2)},
      {chiyoda_, naha_, with_zero}, {chiyoda_, naha_, longer},
      {Agency(), naha_, good},      {chiyoda_, naha_, {}}};
  const auto answers = linkage.link(inquiries);
  ASSERT_EQ(answers.size(), inquiries.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto one = linkage.link(inquiries[i]);
    EXPECT_EQ(answers[i].status, one.status) << i;
    EXPECT_EQ(answers[i].symbol, one.symbol) << i;
    EXPECT_EQ(answers[i].record, one.record) << i;
  }
  EXPECT_EQ(name_of(answers[0].status), "ok");
  EXPECT_EQ(name_of(answers[1].status), "not_issued");
  EXPECT_EQ(name_of(answers[2].status), "bad_symbol");
  EXPECT_EQ(name_of(answers[3].status), "bad_symbol");
  EXPECT_EQ(name_of(answers[4].status), "unknown_agency");
  EXPECT_EQ(name_of(answers[5].status), "bad_symbol");

  const std::vector<SymbolOf> symbols = {{chiyoda_, good}, {naha_, good}};
  const auto resolved = linkage.resolve(symbols);
  ASSERT_EQ(resolved.size(), 2U);
  EXPECT_EQ(resolved[0].status, LinkStatus::kOk);
  EXPECT_EQ(resolved[1].status, LinkStatus::kUnknown);
  const std::vector<PersonAt> questions = {{resolved[0].person, naha_}, {Person(), naha_}};
  EXPECT_THAT(linkage.is_issued(questions),
              testing::ElementsAre(LinkStatus::kOk, LinkStatus::kUnknown));
  EXPECT_EQ(linkage.symbol_for(questions)[0].symbol, answers[0].symbol);
  const std::vector<Person> people = {resolved[0].person};
  EXPECT_EQ(linkage.record_symbol(people)[0].symbol, answers[0].record);
  EXPECT_TRUE(linkage.link(std::span<const Inquiry>()).empty());
}

TEST_F(CppLinkage, MovedAndClosed) {
  Linkage linkage = *std::move(opened_);
  EXPECT_FALSE(opened_);
  EXPECT_EQ(opened_->link({chiyoda_, naha_, "x"}).status, LinkStatus::kBadCall);
  LinkStatus found{};
  EXPECT_FALSE(opened_->find_agency("131016", &found));
  EXPECT_EQ(found, LinkStatus::kBadCall);
  EXPECT_EQ(linkage.link({chiyoda_, naha_, "x"}).status, LinkStatus::kBadSymbol);
  EXPECT_FALSE(linkage.prepare());
  const auto health = linkage.health();
  EXPECT_EQ(health.status, LinkStatus::kOk);
  EXPECT_GE(health.index_entries, 3U);
  EXPECT_EQ(health.last_error, "");
}

TEST(CppOpen, FailuresSayWhy) {
  const auto opened = Linkage::open("/nonexistent/fugo.toml");
  EXPECT_FALSE(opened);
  EXPECT_EQ(opened.error().status, LinkStatus::kBadConfiguration);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("there is no such configuration file"));
}

}  // namespace
}  // namespace fugo::test
