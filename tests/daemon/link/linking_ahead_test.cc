// Tables that are built ahead are there for whatever comes, without a question.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/daemon/link/linked_site.h"
#include "tests/daemon/renewal.h"

namespace fugo::test {

using engine::IndexPolicy;
using engine::Linking;
using engine::LinkingSettings;
using engine::LinkStatus;

namespace {

constexpr const char* kConfig = "FUGO_TEST_RENEWAL_CONFIG";

// What another process does, which runs this program for it; nothing otherwise.
TEST(AnotherProcess, Renews) {
  const char* const config = std::getenv(kConfig);
  if (config != nullptr) renew_agencies(config);
}

LinkingSettings ahead() {
  LinkingSettings settings;
  settings.index = IndexPolicy::kAhead;
  return settings;
}

bool comes_to(const Linking& linking, std::uint64_t tables, std::uint64_t entries) {
  for (int tries = 0; tries < 10'000; ++tries) {
    const auto health = linking.health();
    if (health.index_agencies == tables && health.index_entries == entries) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const auto health = linking.health();
  ADD_FAILURE() << health.index_agencies << " tables, " << health.index_entries << " entries; "
                << health.last_error;
  return false;
}

// The site has four agencies whose symbols are one-way; 131016 has three people, 472018 two.
class LinkingAhead : public testing::Test {
 protected:
  void SetUp() override {
    site_.issue({{"131016", 1}, {"131016", 2}, {"131016", 3}, {"472018", 1}, {"472018", 2}});
  }
  LinkedSite site_;
};

TEST_F(LinkingAhead, AnAgencyThatIsAddedLaterHasItsTable) {
  const auto linking = site_.open(ahead());
  ASSERT_TRUE(comes_to(*linking, 4, 5));
  write_file(site_.site().scratch() / "more.csv", "agency_code,name,method\n401005,Kitakyushu,\n");
  site_.run({"agency", "import", (site_.site().scratch() / "more.csv").string()});
  EXPECT_TRUE(comes_to(*linking, 5, 5));
  site_.issue({{"401005", 1}, {"401005", 2}});
  EXPECT_TRUE(comes_to(*linking, 5, 7));
}

TEST_F(LinkingAhead, ANewVersionHasItsTablesBesideTheOld) {
  const auto linking = site_.open(ahead());
  ASSERT_TRUE(comes_to(*linking, 4, 5));
  RunOptions options;
  options.environment = {{kConfig, site_.site().config().string()}};
  options.program = "/proc/self/exe";
  const auto done = run_fugo({"--gtest_filter=AnotherProcess.*"}, options);
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_TRUE(comes_to(*linking, 8, 10));
}

// Not even where not all fit that are wanted.
TEST_F(LinkingAhead, TablesThatAreInUseAreNotGivenUpForOthers) {
  LinkingSettings settings;
  settings.index_bytes = 2 * 4096;  // two tables
  const auto linking = site_.open(settings);
  const auto used = number(*linking, "131016"), cold = number(*linking, "131130");
  ASSERT_TRUE(linking->prepare({&used, 1}));
  ASSERT_EQ(link_one(*linking, {"131016", "472018", site_.symbol("131016", 1)}).status,
            LinkStatus::kOk);
  const auto all = linking->prepare({});  // do not fit
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code, ErrorCode::kRefused);
  EXPECT_EQ(linking->health().index_evictions, 0U);
  EXPECT_EQ(linking->health().index_agencies, 2U);
  // Who names one wants it before others.
  EXPECT_TRUE(linking->prepare({&cold, 1}));
  EXPECT_EQ(linking->health().index_agencies, 2U);
  EXPECT_EQ(linking->health().index_evictions, 1U);
}

}  // namespace
}  // namespace fugo::test
