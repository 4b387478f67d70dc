// The C interface: calls for items, on a site of real tokens.
#include <fugo/fugo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

#include "tests/api/linked_site.h"

namespace fugo::test {
namespace {

using testing::Each;
using testing::ElementsAre;

class Items : public testing::Test {
 protected:
  Items() {
    fugo_error error = FUGO_ERROR_INIT;
    EXPECT_EQ(fugo_open(site_.config().c_str(), nullptr, &handle_, &error), FUGO_OK)
        << error.message;
    EXPECT_EQ(fugo_find_agency(handle_, "131016", &chiyoda_), FUGO_OK);
    EXPECT_EQ(fugo_find_agency(handle_, "141003", &yokohama_), FUGO_OK);
    EXPECT_EQ(fugo_find_agency(handle_, "472018", &naha_), FUGO_OK);
  }
  ~Items() override { fugo_close(handle_); }
  fugo_person person(int number) {
    const char* text = site_.symbol("131016", number).c_str();
    fugo_person found{};
    EXPECT_EQ(fugo_resolve(handle_, 1, &chiyoda_, &text, &found, nullptr), FUGO_OK);
    return found;
  }
  fugo_status link(fugo_agency from, const char* text, fugo_agency to, std::string* linked) {
    fugo_symbol symbol;
    const auto status = fugo_link(handle_, 1, &from, &to, &text, &symbol, nullptr, nullptr);
    if (linked != nullptr) *linked = symbol.text;
    return status;
  }
  LinkedSite site_;
  fugo_linkage* handle_ = nullptr;
  fugo_agency chiyoda_ = 0, yokohama_ = 0, naha_ = 0;
};

TEST_F(Items, MixedAgenciesInOneCall) {
  const fugo_agency from[] = {chiyoda_, yokohama_, naha_, chiyoda_, yokohama_, 99, chiyoda_};
  const fugo_agency to[] = {naha_, naha_, yokohama_, naha_, chiyoda_, naha_, 65537};
  const char* texts[] = {site_.symbol("131016", 1).c_str(), site_.symbol("141003", 1).c_str(),
                         site_.symbol("472018", 1).c_str(), site_.symbol("131016", 2).c_str(),
                         site_.symbol("131016", 2).c_str(), site_.symbol("131016", 1).c_str(),
                         site_.symbol("131016", 1).c_str()};
  fugo_symbol linked[7], records[7];
  fugo_status statuses[7];
  EXPECT_EQ(fugo_link(handle_, 7, from, to, texts, linked, records, statuses), FUGO_NOT_ISSUED);
  EXPECT_THAT(statuses, ElementsAre(FUGO_OK, FUGO_OK, FUGO_OK, FUGO_NOT_ISSUED, FUGO_UNKNOWN,
                                    FUGO_UNKNOWN_AGENCY, FUGO_UNKNOWN_AGENCY));
  EXPECT_EQ(linked[0].text, site_.symbol("472018", 1));
  EXPECT_EQ(linked[1].text, site_.symbol("472018", 1));
  EXPECT_EQ(linked[2].text, site_.symbol("141003", 1));
  EXPECT_STREQ(records[0].text, records[1].text);
  EXPECT_EQ(std::strlen(records[0].text), 27U);
  for (int i = 3; i < 7; ++i) {
    const fugo_symbol none{};
    EXPECT_EQ(std::memcmp(&linked[i], &none, sizeof(none)), 0) << i;
    EXPECT_EQ(std::memcmp(&records[i], &none, sizeof(none)), 0) << i;
  }
}

TEST_F(Items, VersionsAreToldWhereTheyAreWanted) {
  const fugo_agency from[] = {chiyoda_, yokohama_, chiyoda_};
  const fugo_agency to[] = {naha_, naha_, naha_};
  const char* texts[] = {site_.symbol("131016", 1).c_str(), site_.symbol("141003", 1).c_str(),
                         "nobody's"};
  fugo_symbol linked[3];
  fugo_person people[3];
  fugo_status statuses[3];
  std::uint32_t versions[3] = {9, 9, 9}, resolved[3] = {9, 9, 9};
  EXPECT_EQ(fugo_link_versions(handle_, 3, from, to, texts, linked, nullptr, versions, statuses),
            FUGO_BAD_SYMBOL);
  EXPECT_THAT(versions, ElementsAre(1U, 1U, 0U));
  EXPECT_EQ(linked[0].text, site_.symbol("472018", 1));
  EXPECT_EQ(fugo_resolve_versions(handle_, 3, from, texts, people, resolved, statuses),
            FUGO_BAD_SYMBOL);
  EXPECT_THAT(resolved, ElementsAre(1U, 1U, 0U));
  EXPECT_EQ(std::memcmp(&people[0], &people[1], sizeof(people[0])), 0);
  EXPECT_EQ(fugo_resolve_versions(handle_, 1, from, texts, people, nullptr, nullptr), FUGO_OK);
}

TEST_F(Items, StepsGiveWhatLinkGives) {
  const auto first = person(1), second = person(2);
  const fugo_person people[] = {first, second, first};
  const fugo_agency agencies[] = {naha_, naha_, yokohama_};
  fugo_status statuses[3];
  EXPECT_EQ(fugo_is_issued(handle_, 3, people, agencies, statuses), FUGO_NOT_ISSUED);
  EXPECT_THAT(statuses, ElementsAre(FUGO_OK, FUGO_NOT_ISSUED, FUGO_OK));
  fugo_symbol symbols[3], records[3];
  EXPECT_EQ(fugo_symbol_for(handle_, 3, people, agencies, symbols, statuses), FUGO_NOT_ISSUED);
  EXPECT_THAT(statuses, ElementsAre(FUGO_OK, FUGO_NOT_ISSUED, FUGO_OK));
  EXPECT_EQ(symbols[0].text, site_.symbol("472018", 1));
  EXPECT_STREQ(symbols[1].text, "");
  EXPECT_EQ(symbols[2].text, site_.symbol("141003", 1));
  EXPECT_EQ(fugo_record_symbol(handle_, 3, people, records, statuses), FUGO_OK);
  EXPECT_THAT(statuses, Each(FUGO_OK));
  EXPECT_STREQ(records[0].text, records[2].text);
  EXPECT_STRNE(records[0].text, records[1].text);
}

TEST_F(Items, WhatIsNoSymbolIsABadSymbol) {
  const std::string good = site_.symbol("131016", 1);
  std::string mistyped = good, lower = good, control = good;
  mistyped.back() = good.back() == '0' ? '1' : '0';
  lower[26] = '_';
  control[3] = '\n';
  const std::string texts[] = {"",
                               good.substr(0, 26),
                               good + "0",
                               mistyped,
                               lower,
                               control,
                               "\xff\xfe",
                               "24727059608",
                               std::string(100000, '0')};
  for (const auto& text : texts)
    EXPECT_EQ(link(chiyoda_, text.c_str(), naha_, nullptr), FUGO_BAD_SYMBOL);
  EXPECT_EQ(link(chiyoda_, nullptr, naha_, nullptr), FUGO_BAD_SYMBOL);
  EXPECT_EQ(link(chiyoda_, good.c_str(), naha_, nullptr), FUGO_OK);
}

TEST_F(Items, NullsAreBadCallsForEveryItem) {
  const char* texts[] = {"", ""};
  const fugo_agency agencies[] = {chiyoda_, naha_};
  fugo_person people[2] = {{{1, 1}}, {{2, 2}}};
  fugo_symbol symbols[2];
  const auto all_bad = [](const fugo_status(&statuses)[2]) {
    return statuses[0] == FUGO_BAD_CALL && statuses[1] == FUGO_BAD_CALL;
  };
  fugo_status statuses[2] = {};
  EXPECT_EQ(fugo_resolve(handle_, 2, nullptr, texts, people, statuses), FUGO_BAD_CALL);
  EXPECT_TRUE(all_bad(statuses));
  EXPECT_EQ(people[1].opaque[0], 0U);  // outputs are zero
  EXPECT_EQ(fugo_resolve(handle_, 2, agencies, nullptr, people, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_resolve(handle_, 2, agencies, texts, nullptr, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_resolve(handle_, 2, agencies, texts, people, nullptr), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_resolve(nullptr, 2, agencies, texts, people, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_is_issued(handle_, 2, nullptr, agencies, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_is_issued(handle_, 2, people, nullptr, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_symbol_for(handle_, 2, nullptr, agencies, symbols, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_symbol_for(handle_, 2, people, nullptr, symbols, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_symbol_for(handle_, 2, people, agencies, nullptr, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_record_symbol(handle_, 2, nullptr, symbols, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_record_symbol(handle_, 2, people, nullptr, statuses), FUGO_BAD_CALL);
  EXPECT_EQ(fugo_link(handle_, 2, nullptr, agencies, texts, symbols, nullptr, statuses),
            FUGO_BAD_CALL);
  EXPECT_EQ(fugo_link(handle_, 2, agencies, agencies, texts, nullptr, nullptr, statuses),
            FUGO_BAD_CALL);
  EXPECT_EQ(fugo_link(handle_, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr), FUGO_OK);
}

TEST_F(Items, APersonIsOneOfItsHandleAlone) {
  const auto first = person(1);
  const auto again = person(1);
  EXPECT_EQ(std::memcmp(&first, &again, sizeof(first)), 0);
  fugo_linkage* other = nullptr;
  ASSERT_EQ(fugo_open(site_.config().c_str(), nullptr, &other, nullptr), FUGO_OK);
  fugo_symbol symbol;
  EXPECT_EQ(fugo_record_symbol(other, 1, &first, &symbol, nullptr), FUGO_UNKNOWN);
  const fugo_person nobody{};
  EXPECT_EQ(fugo_record_symbol(handle_, 1, &nobody, &symbol, nullptr), FUGO_UNKNOWN);
  EXPECT_EQ(fugo_is_issued(handle_, 1, &nobody, &naha_, nullptr), FUGO_UNKNOWN);
  fugo_close(other);
}

TEST_F(Items, WhatOtherProcessesDoIsSeenAtOnce) {
  const char* second = site_.symbol("131016", 2).c_str();
  EXPECT_EQ(link(chiyoda_, second, naha_, nullptr), FUGO_NOT_ISSUED);
  site_.issue_second_at_naha();
  std::string linked;
  fugo_health_report report = FUGO_HEALTH_INIT;
  EXPECT_EQ(link(chiyoda_, second, naha_, &linked), FUGO_OK)
      << (fugo_health(handle_, &report), report.last_error);
  EXPECT_EQ(linked, site_.symbol("472018", 2));
  ASSERT_EQ(site_.site().run({"freeze", "link", "--reason", "test"}).exit_code, 0);
  EXPECT_EQ(link(chiyoda_, second, naha_, &linked), FUGO_FROZEN);
  EXPECT_EQ(linked, "");
  ASSERT_EQ(site_.site().run({"thaw", "link"}).exit_code, 0);
  EXPECT_EQ(link(chiyoda_, second, naha_, nullptr), FUGO_OK);
}

TEST_F(Items, UsesAreLeftForTheDaemon) {
  for (int i = 0; i < 3; ++i) link(chiyoda_, site_.symbol("131016", 1).c_str(), naha_, nullptr);
  link(chiyoda_, site_.symbol("131016", 2).c_str(), naha_, nullptr);
  fugo_close(handle_);
  handle_ = nullptr;
  std::vector<nlohmann::json> summaries;
  for (const auto& entry :
       std::filesystem::directory_iterator(site_.site().directory() / "link-usage"))
    summaries.push_back(nlohmann::json::parse(read_file(entry.path())));
  ASSERT_EQ(summaries.size(), 1U);
  EXPECT_EQ(summaries[0]["program"], "api_items_test");
  EXPECT_THAT(summaries[0].dump(), testing::HasSubstr("131016"));
  EXPECT_THAT(summaries[0].dump(), testing::Not(testing::HasSubstr(site_.symbol("131016", 1))));
}

TEST_F(Items, ManyThreadsAndManyItems) {
  constexpr std::size_t kItems = 1000;
  const std::string good = site_.symbol("131016", 1), absent = site_.symbol("131016", 2);
  std::vector<std::thread> threads;
  std::vector<std::size_t> right(8);
  for (auto& count : right)
    threads.emplace_back([&] {
      const std::vector<fugo_agency> from(kItems, chiyoda_), to(kItems, naha_);
      std::vector<const char*> texts(kItems);
      for (std::size_t i = 0; i < kItems; ++i)
        texts[i] = i % 3 == 0 ? good.c_str() : i % 3 == 1 ? absent.c_str() : "x";
      std::vector<fugo_symbol> linked(kItems);
      std::vector<fugo_status> statuses(kItems);
      fugo_link(handle_, kItems, from.data(), to.data(), texts.data(), linked.data(), nullptr,
                statuses.data());
      constexpr fugo_status kExpected[] = {FUGO_OK, FUGO_NOT_ISSUED, FUGO_BAD_SYMBOL};
      for (std::size_t i = 0; i < kItems; ++i) count += statuses[i] == kExpected[i % 3];
      for (int i = 0; i < 50; ++i) count += link(chiyoda_, good.c_str(), naha_, nullptr) == FUGO_OK;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(right, Each(kItems + 50));
}

}  // namespace
}  // namespace fugo::test
