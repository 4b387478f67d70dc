#include "keystore/verify_tables.h"

#include <fstream>

#include "base/text.h"
#include "keystore/environment.h"
#include "keystore/page_walker.h"
#include "keystore/tables.h"
#include "keystore/update.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

class VerifyTables : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(place.create());
    {
      auto opened = place.open(Access::kWrite);
      ASSERT_OK(opened);
      auto update = (*opened)->begin();
      ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
      ASSERT_OK((*update)->put_agency(make_agency("B", 2)));
      ASSERT_OK((*update)->put_job(make_job("J1")));
      ASSERT_OK((*update)->commit());
      update->reset();
      SegmentMaker maker(1);
      for (int i = 0; i < 5; ++i) ASSERT_OK(maker.commit(**opened, 20));
      ASSERT_OK((*opened)->finish_merges());
    }
    auto keys = LedgerKeys::derive(place.key, place.header.ledger_id);
    ASSERT_OK(keys);
    sealer = std::make_shared<const Sealer>(*keys, *encode_header(place.header));
  }

  // findings of the ledger as it lies there, one line each.
  [[nodiscard]] std::string findings() const {
    const auto ledger = place.open(Access::kRead);
    if (!ledger) return "not opened: " + ledger.error().message();
    const auto found = verify_tables(**ledger);
    if (!found) return "failed: " + found.error().message();
    std::string text;
    for (const Error& error : *found) text += error.message() + "\n";
    return text;
  }
  // raw changes stored bytes behind the ledger's back.
  void raw(const std::function<Status(WriteTransaction&)>& body) const {
    auto transaction =
        WriteTransaction::begin(*Environment::open(place.directory, OpenMode::kWrite));
    ASSERT_OK(transaction);
    ASSERT_OK(body(**transaction));
    ASSERT_OK((*transaction)->commit());
  }
  // honest changes rows as fugo itself would, so that only the rules can find it.
  void honest(const std::function<Status(SmallRowUpdate&)>& body) const {
    auto update =
        SmallRowUpdate::begin(*Environment::open(place.directory, OpenMode::kWrite), sealer);
    ASSERT_OK(update);
    ASSERT_OK(body(**update));
    ASSERT_OK((*update)->commit());
  }
  void expect_found(std::string_view text) const {
    const auto found = findings();
    EXPECT_NE(found.find(text), std::string::npos) << "found only: " << found;
  }

  LedgerPlace place;
  std::shared_ptr<const Sealer> sealer;
};

TEST_F(VerifyTables, FindNothingInAWholeLedger) {
  EXPECT_EQ(findings(), "");
  ASSERT_OK(walk_in_child(place.directory, std::chrono::seconds(20)));
  const auto pages = check_pages(place.directory / "data.mdb");
  ASSERT_OK(pages);
  EXPECT_TRUE(pages->sound()) << pages->text();
}

// Each row of each table dropped, with one bit turned, and put under another key of its table.
TEST_F(VerifyTables, FindEveryRowThatIsDroppedChangedOrMoved) {
  std::vector<std::vector<std::uint8_t>> keys;
  {
    const auto environment = *Environment::open(place.directory, OpenMode::kRead);
    const auto transaction = *ReadTransaction::begin(environment);
    ASSERT_OK(transaction->scan({}, {}, [&](ByteView key, ByteView) -> Result<bool> {
      if (key[0] >= kFirstCounted) keys.emplace_back(key.begin(), key.end());
      return true;
    }));
  }
  ASSERT_GT(keys.size(), 15U);
  for (const auto& key : keys) {
    std::vector<std::uint8_t> value;
    raw([&](WriteTransaction& transaction) -> Status {
      FUGO_ASSIGN(const auto stored, transaction.get(key));
      value.assign(stored->begin(), stored->end());
      return transaction.erase(key);
    });
    EXPECT_NE(findings(), "") << hex(key);
    auto changed = value;
    changed[value.size() / 2] ^= 1;
    raw([&](WriteTransaction& transaction) { return transaction.put(key, changed); });
    expect_found(table_name(static_cast<Table>(key[0])));
    auto other = key;
    other.back() ^= 0x40;
    raw([&](WriteTransaction& transaction) -> Status {
      FUGO_TRY(transaction.put(other, value));
      return transaction.erase(key);
    });
    expect_found(table_name(static_cast<Table>(key[0])));
    raw([&](WriteTransaction& transaction) -> Status {
      FUGO_TRY(transaction.put(key, value));
      return transaction.erase(other);
    });
    ASSERT_EQ(findings(), "") << hex(key);
  }
}

TEST_F(VerifyTables, FindARowPutBackToAnOlderValue) {
  const RowKey key = RowKey(Table::kAgencies).with(AgencyNumber{1});
  std::vector<std::uint8_t> old;
  raw([&](WriteTransaction& transaction) -> Status {
    FUGO_ASSIGN(const auto stored, transaction.get(key.bytes()));
    old.assign(stored->begin(), stored->end());
    return {};
  });
  honest([](SmallRowUpdate& update) {
    auto agency = make_agency("A", 1);
    agency.number = 1;
    agency.state = AgencyState::kSuspended;
    return update.put_agency(agency);
  });
  ASSERT_EQ(findings(), "");
  raw([&](WriteTransaction& transaction) { return transaction.put(key.bytes(), old); });
  expect_found("put back to an older value");
}

TEST_F(VerifyTables, FindARowOfAnUnknownTable) {
  raw([](WriteTransaction& transaction) {
    return transaction.put(std::array<std::uint8_t, 2>{77, 1}, std::array<std::uint8_t, 1>{1});
  });
  expect_found("unknown table");
}

TEST_F(VerifyTables, FindFilesThatAreMissingOrOfAnotherLength) {
  const auto file = std::filesystem::directory_iterator(place.directory / "data")->path();
  std::ofstream(file, std::ios::app) << "x";
  expect_found("another length");
  std::filesystem::remove(file);
  expect_found("is missing");
}

TEST_F(VerifyTables, FindWhatBreaksARule) {
  const auto state_of = [&](const std::function<void(LedgerState&)>& change) {
    honest([&](SmallRowUpdate& update) -> Status {
      change(update.state());
      return {};
    });
  };
  state_of([](LedgerState& state) { state.issuances += 1; });
  expect_found("sums over all segments");
  expect_found("issuances than the state says");
  expect_found("sum of new symbols");
  state_of([](LedgerState& state) { state.issuances -= 1; });
  state_of([](LedgerState& state) { state.next_person += 1; });
  expect_found("does not hold all people");
  state_of([](LedgerState& state) { state.next_person -= 1; });
  state_of([](LedgerState& state) { state.open_job = 0; });
  expect_found("unfinished");
  state_of([](LedgerState& state) { state.open_job = 9; });
  expect_found("unfinished job is missing");
  state_of([](LedgerState& state) { state.open_job = 1; });
  state_of([](LedgerState& state) { state.may_end = 2; });
  expect_found("the job that may end is not the unfinished one");
  state_of([](LedgerState& state) { state.may_end = 0; });
  state_of([](LedgerState& state) { state.next_file = 1; });
  expect_found("its number was never given: file");
  state_of([](LedgerState& state) { state.next_file = 1000; });
  ASSERT_EQ(findings(), "");
  honest([](SmallRowUpdate& update) { return update.put_segment({6, 1, 0, 0, 0, 0, 0}); });
  expect_found("does not follow on within its job");
}

TEST_F(VerifyTables, FindPatchesThatDoNotHoldTogether) {
  const auto patch = [&](PersonId id, PersonId successor, SegmentNumber segment) {
    honest([&](SmallRowUpdate& update) {
      return update.put_patch({id, 1, PersonState::kSuperseded, kNoPerson, successor, segment});
    });
  };
  const auto erase = [&](PersonId id) {
    honest([&](SmallRowUpdate& update) { return update.erase_patches(id); });
  };
  patch(3, 4, 2);
  expect_found("of no segment that changed people: patch 3");  // the job is one of issue
  honest([](SmallRowUpdate& update) -> Status {
    auto job = make_job("J1");
    job.number = job.first_segment = 1;
    job.kind = JobKind::kChange;
    job.segments = 5;
    job.rows_done = job.people_new = job.count_new = 100;
    return update.put_job(job).map([](JobNumber) {});
  });
  ASSERT_EQ(findings(), "");
  patch(4, 5, 2);
  ASSERT_EQ(findings(), "");
  patch(5, 3, 2);
  expect_found("its successors lead back to it: patch");
  erase(5);
  ASSERT_EQ(findings(), "");
  patch(200, 3, 2);
  expect_found("of no person: patch 200");
  erase(200);
  patch(6, 100, 2);
  expect_found("has no successor: patch 6");
  erase(6);
  patch(6, 7, 99);
  expect_found("of no segment that changed people: patch 6");
  erase(6);
  honest([](SmallRowUpdate& update) {
    return update.put_patch({6, 1, PersonState::kActive, kNoPerson, 7, 2});
  });
  expect_found("does not supersede: patch 6");
  erase(6);
  ASSERT_EQ(findings(), "");
}

// Two agencies with one parameter cannot be made by put_agency, but by who holds the data key.
TEST_F(VerifyTables, FindTwoAgenciesWithOneParameter) {
  auto twin = make_agency("C", 1);
  twin.number = 2;
  const RowKey key = key_of(twin);
  raw([&](WriteTransaction& transaction) -> Status {
    FUGO_ASSIGN(const auto content, encode_row(twin));
    FUGO_ASSIGN(const auto sealed, sealer->seal(key.bytes(), content.bytes()));
    return transaction.put(key.bytes(), sealed);
  });
  expect_found("parameter is used twice");
}

// The child survives nothing, the caller everything.
TEST_F(VerifyTables, TheWalkInAChildIsSurvived) {
  const auto file = place.directory / "data.mdb";
  const auto walked = [&] {
    const auto walk = walk_in_child(place.directory, std::chrono::seconds(20));
    EXPECT_TRUE(walk || walk.error().code == ErrorCode::kDamaged) << walk.error().message();
    return walk.has_value();
  };
  std::string whole(std::filesystem::file_size(file), '\0');
  std::ifstream(file, std::ios::binary)
      .read(whole.data(), static_cast<std::streamsize>(whole.size()));
  std::mt19937_64 random(5);
  int found = 0;
  for (int round = 0; round < 60; ++round) {
    auto damaged = whole;
    // Page headers and the nodes' offsets, where damage hurts most; pages 2 to 12.
    const std::size_t at = 4096 * (2 + random() % 11) + random() % 64;
    damaged[at] = static_cast<char>(random());
    std::ofstream(file, std::ios::binary | std::ios::in).write(damaged.data(), 65536);
    found += walked() ? 0 : 1;
  }
  std::ofstream(file, std::ios::binary | std::ios::in).write(whole.data(), 65536);
  EXPECT_TRUE(walked());
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace fugo::keystore
