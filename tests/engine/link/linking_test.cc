// Linking while two symbol versions are accepted, and when the older one goes.
#include "engine/link/linking.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using keystore::AgencyNumber;
using keystore::Generation;
using keystore::kRunAgency;
using keystore::kRunLinkage;

// Linked is what came of one symbol.
struct Linked {
  LinkStatus status = LinkStatus::kUnavailable;
  Generation version = 0;
  Block symbol{};
  friend bool operator==(const Linked&, const Linked&) = default;
};

Linked link(Linking& linking, AgencyNumber from, AgencyNumber to, const Block& symbol) {
  Linked linked;
  linking.link({&from, 1}, {&to, 1}, {&symbol, 1}, {&linked.symbol, 1}, {}, {&linked.version, 1},
               {&linked.status, 1});
  return linked;
}

PersonHandle resolve(Linking& linking, AgencyNumber from, const Block& symbol,
                     Generation expected) {
  PersonHandle person;
  Generation version = 0;
  LinkStatus status = LinkStatus::kUnavailable;
  linking.resolve({&from, 1}, {&symbol, 1}, {&person, 1}, {&version, 1}, {&status, 1});
  EXPECT_EQ(status, LinkStatus::kOk);
  EXPECT_EQ(version, expected);
  return person;
}

// tables is how many of the four agencies have one: all but the one whose symbols are inverted,
// where the token can.
std::uint64_t tables() { return hsm::testing::abilities().blocks ? 3 : 4; }

const Linked kUnknownSymbol{LinkStatus::kUnknown, 0, {}};

class LinkingVersions : public ::testing::TestWithParam<std::uint8_t> {
 protected:
  // open opens the ledger for linking and for writing: LMDB allows a process to open it once.
  void open() {
    trial_.close();
    auto site = must(Site::open({trial_.directory(), hsm::testing::shared_tokens().linking},
                                keystore::Access::kWrite));
    site_ = site.get();
    linking_ = must(Linking::open(std::move(site), {}));
  }

  TrialLedger trial_;
  Site* site_ = nullptr;  // the Linking's
  std::unique_ptr<Linking> linking_;
};

TEST_P(LinkingVersions, OldSymbolsAreResolvedUntilTheyAreNot) {
  const Codes codes{1, 2, 3, 4};
  for (const auto agency : {AgencyNumber{1}, AgencyNumber{2}, AgencyNumber{3}})
    trial_.issue(codes, std::vector<AgencyNumber>(codes.size(), agency));
  trial_.change({4}, {14});
  std::array<std::vector<Block>, 4> olds, news;  // by agency
  for (const auto agency : {AgencyNumber{1}, AgencyNumber{2}, AgencyNumber{3}})
    olds[agency] = trial_.symbols(agency, codes);
  trial_.regenerate(GetParam());
  trial_.issue({9, 9, 9}, {1, 2, 3});
  trial_.issue({1, 9}, {4, 4});
  for (const auto agency : {AgencyNumber{1}, AgencyNumber{2}, AgencyNumber{3}})
    news[agency] = trial_.symbols(agency, {1, 2, 3, 4, 9});

  open();
  for (const auto from : {AgencyNumber{1}, AgencyNumber{2}}) {  // by a table, by inversion
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(link(*linking_, from, 3, olds[from][i]), (Linked{LinkStatus::kOk, 1, news[3][i]}));
      EXPECT_EQ(link(*linking_, from, 3, news[from][i]), (Linked{LinkStatus::kOk, 2, news[3][i]}));
      EXPECT_EQ(resolve(*linking_, from, olds[from][i], 1),
                resolve(*linking_, from, news[from][i], 2));
    }
    EXPECT_EQ(link(*linking_, from, 3, olds[from][3]).status, LinkStatus::kSuperseded);
    EXPECT_EQ(link(*linking_, from, 3, news[from][4]), (Linked{LinkStatus::kOk, 2, news[3][4]}));
    EXPECT_EQ(link(*linking_, from, 3, news[3][0]), kUnknownSymbol) << "another agency's";
  }
  must(linking_->prepare({}));
  const auto both = linking_->health();

  retire_older(*site_);
  for (const auto from : {AgencyNumber{1}, AgencyNumber{2}}) {
    EXPECT_EQ(link(*linking_, from, 3, news[from][0]), (Linked{LinkStatus::kOk, 2, news[3][0]}));
    const auto health = linking_->health();
    EXPECT_EQ(health.index_agencies, tables()) << "those of the version that went: half";
    EXPECT_LT(health.index_bytes, both.index_bytes);
    for (const Block& old : olds[from]) EXPECT_EQ(link(*linking_, from, 3, old), kUnknownSymbol);
  }
  EXPECT_EQ(both.index_agencies, 2 * tables());
  EXPECT_EQ(linking_->health().last_error, "");
}

INSTANTIATE_TEST_SUITE_P(What, LinkingVersions,
                         ::testing::Values(std::uint8_t{kRunLinkage}, std::uint8_t{kRunAgency},
                                           std::uint8_t{kRunLinkage | kRunAgency}));

// Agencies whose symbols stay the same have no tables of the older version.
TEST(LinkingVersionsOfRecords, SymbolsThatStayAreOfTheActiveVersion) {
  TrialLedger trial;
  trial.issue({1, 1}, {1, 3});
  const Block symbol = trial.symbols(1, {1})[0];
  trial.regenerate(keystore::kRunRecord);
  EXPECT_EQ(trial.symbols(1, {1})[0], symbol);
  trial.close();
  const auto linking =
      must(Linking::open(must(Site::open({trial.directory(), hsm::testing::shared_tokens().linking},
                                         keystore::Access::kRead)),
                         {}));
  EXPECT_EQ(link(*linking, 1, 3, symbol).version, 2);
  EXPECT_EQ(link(*linking, 1, 3, Block{}), kUnknownSymbol);
  must(linking->prepare({}));
  EXPECT_EQ(linking->health().index_agencies, tables());
}

}  // namespace
}  // namespace fugo::engine::testing
