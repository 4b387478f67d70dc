// The memory of a daemon that has opened encrypted requests of every kind: no resident code and no
// linkage symbol is left in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/needles.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"
#include "tests/daemon/service/process_memory.h"

namespace fugo::test {
namespace {

using testing::IsEmpty;

constexpr std::size_t kResidents = 5'000;

TEST(ExchangeMemory, HoldsNothingOfEncryptedRequestsThatAreAnswered) {
  const ExchangeSite with;
  const TestSite& site = with.site();
  std::vector<Needle> needles;
  std::vector<std::uint64_t> codes;
  // Of these one is in the first block of the request and one in the last; one is changed into
  // another, one deleted.
  for (const std::uint64_t number : {3U, 2'500U, 4'000U, 4'999U, 9'000U}) {
    codes.push_back(std::stoull(resident_code(number)));
    add_code(resident_code(number), needles);
  }
  for (const Block& symbol : symbols_of(site, codes, "131016").linkage) add_symbol(symbol, needles);

  RunningDaemon daemon(site);
  const auto done = [&](std::size_t jobs) {
    std::size_t found = 0;
    const std::string log = daemon.log();
    for (auto at = log.find("a job was answered"); at != std::string::npos;
         at = log.find("a job was answered", at + 1))
      ++found;
    return found >= jobs;
  };
  const auto give = [&](const std::string& id, const std::string& text) {
    drop(site, id + ".p7m", read_file(with.seal(id, text)));
  };
  std::vector<TrialRow> rows;
  for (std::uint64_t i = 0; i < kResidents; ++i)
    rows.push_back({std::to_string(1'000'000 + i), "131016", resident_code(i)});
  give("E1", request_text("E1", rows));
  ASSERT_TRUE(wait_for([&] { return done(1); })) << daemon.log();
  give("C1", kind_text("C1", "change", {{resident_code(2'500), resident_code(9'000)}}));
  ASSERT_TRUE(wait_for([&] { return done(2); })) << daemon.log();
  give("D1", kind_text("D1", "delete", {{resident_code(4'000), "clerical_error"}}));
  ASSERT_TRUE(wait_for([&] { return entries(folder(site, "held")).size() == 1; })) << daemon.log();
  ASSERT_EQ(site.run({"jobs", "approve", "D1"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return done(3); })) << daemon.log();

  const auto memory = memory_of(daemon.pid());
  EXPECT_NE(memory.find(site.config().string()), std::string::npos);
  EXPECT_THAT(find_in(as_bytes(memory), needles), IsEmpty());
  EXPECT_THAT(find_in(as_bytes(core_of(daemon.pid(), site.scratch(), true)), needles), IsEmpty());
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
