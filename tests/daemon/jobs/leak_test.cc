// After a million residents the site holds no resident code and no linkage symbol that can be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "tests/daemon/jobs/needles.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

constexpr std::size_t kResidents = 1'000'000;
const std::vector<std::uint64_t> kPlanted = {1, 2, 499'999, 500'000, 777'777, 999'999};

TEST(Leak, NoCodeAndNoLinkageSymbolOutsideOfTheRequest) {
  const TestSite site;
  const auto request = site.scratch() / "million.csv";
  {
    std::vector<TrialRow> rows;
    rows.reserve(kResidents);
    for (std::uint64_t i = 0; i < kResidents; ++i)
      rows.push_back(
          {std::to_string(1'000'000'000 + i), i % 3 == 0 ? "131016" : "472018", resident_code(i)});
    write_file(request, request_text("million", rows));
  }
  const auto issued =
      site.run({"issue", request.string(), "--out", (site.scratch() / "out").string()});
  ASSERT_EQ(issued.exit_code, 0) << issued.err;
  ASSERT_EQ(site.run({"stats"}).exit_code, 0);

  std::vector<std::uint64_t> codes;
  for (const std::uint64_t number : kPlanted) codes.push_back(std::stoull(resident_code(number)));
  std::vector<Needle> needles;
  for (const std::uint64_t number : kPlanted) add_code(resident_code(number), needles);
  const Symbols symbols = symbols_of(site, codes, "131016");
  for (const Block& symbol : symbols.linkage) add_symbol(symbol, needles);
  // These are the symbols that were used: the answers follow from them.
  const std::string answers = read_file(site.scratch() / "out/million/131016.csv");
  std::size_t answered = 0;
  for (const Block& symbol : symbols.agency)
    answered += answers.find(encode_symbol(symbol)) != std::string::npos ? 1 : 0;
  EXPECT_EQ(answered, std::count_if(kPlanted.begin(), kPlanted.end(),
                                    [](std::uint64_t number) { return number % 3 == 0; }));

  expect_findable(needles);
  // And the codes in the request itself.
  EXPECT_GE(find_needles(site.scratch(), {}, needles).size(), kPlanted.size());
  EXPECT_THAT(find_needles(site.scratch(), request, needles), testing::IsEmpty());
  write_file(site.scratch() / "log", issued.out + issued.err);
  EXPECT_THAT(find_needles(site.scratch(), request, needles), testing::IsEmpty());
}

// A process that is killed wipes nothing: what it had written by then has no secret in it either.
TEST(Leak, NothingIsInFilesOfAJobThatIsKilled) {
  const TestSite site;
  site.set_config("[ledger]", "[issue]\nsegment_rows = 400\n\n[ledger]");
  const auto request = site.scratch() / "R.csv";
  write_file(request, request_text("R", trial_rows(0, 600, {"131016", "472018", "131130"})));
  std::vector<Needle> needles;
  std::vector<std::uint64_t> codes;
  for (const std::uint64_t number : {1U, 300U, 599U}) {
    add_code(resident_code(number), needles);
    codes.push_back(std::stoull(resident_code(number)));
  }
  for (const Block& symbol : symbols_of(site, codes, "131016").linkage) add_symbol(symbol, needles);
  expect_findable(needles);
  const int killed = kill_until_done(
      {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", site.config().string(), "issue",
       request.string(), "--out", (site.scratch() / "out").string()},
      site,
      [&] { EXPECT_THAT(find_needles(site.scratch(), request, needles), testing::IsEmpty()); });
  EXPECT_GT(killed, 8);
}

}  // namespace
}  // namespace fugo::test
