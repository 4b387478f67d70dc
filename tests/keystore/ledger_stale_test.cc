// What a ledger answers that somebody has open while it is given new keys.
#include "keystore/staging.h"
#include "keystore/tables.h"
#include "keystore/verify_tables.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

#define EXPECT_STALE(expr)                                                                       \
  do {                                                                                           \
    const auto& stale_result = (expr);                                                           \
    EXPECT_FALSE(stale_result.has_value());                                                      \
    if (!stale_result.has_value()) {                                                             \
      EXPECT_EQ(stale_result.error().code, ErrorCode::kStale) << stale_result.error().message(); \
      EXPECT_EQ(stale_result.error().message(),                                                  \
                "ledger, table header: the ledger has new keys (it is opened again)");           \
    }                                                                                            \
  } while (false)

// put_header rewrites the header's row as a rekey does, and nothing else.
void put_header(const LedgerPlace& place, const LedgerHeader& header) {
  auto transaction = WriteTransaction::begin(*Environment::open(place.directory, OpenMode::kWrite));
  ASSERT_OK(transaction);
  ASSERT_OK((*transaction)->put(RowKey(Table::kHeader).bytes(), *encode_header(header)));
  ASSERT_OK((*transaction)->commit());
}

class LedgerStale : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(place.create());
    ledger = *place.open(Access::kWrite);
    auto update = ledger->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    ASSERT_OK((*update)->put_job(make_job("J1")));
    ASSERT_OK((*update)->commit());
    update->reset();
    ASSERT_OK(maker.commit(*ledger, 20));
  }
  void make_stale() const {
    LedgerHeader header = place.header;
    header.wrap_key_version = 2;
    header.wrapped_data_key = {1, 1};
    put_header(place, header);
  }

  LedgerPlace place;
  std::unique_ptr<Ledger> ledger;
  SegmentMaker maker{3};
};

TEST_F(LedgerStale, EveryReadSaysSo) {
  const auto held = *ledger->snapshot();
  make_stale();
  EXPECT_STALE(ledger->state());
  EXPECT_STALE(ledger->agencies());
  EXPECT_STALE(ledger->key_rows());
  EXPECT_STALE(ledger->generations());
  EXPECT_STALE(ledger->jobs());
  EXPECT_STALE(ledger->find_job("J1"));
  EXPECT_STALE(ledger->job(1));
  EXPECT_STALE(ledger->segments());
  EXPECT_STALE(ledger->runs());
  EXPECT_STALE(ledger->run_agencies(1));
  EXPECT_STALE(ledger->stats());
  EXPECT_STALE(ledger->journal(0, 10));
  EXPECT_STALE(ledger->snapshot());
  EXPECT_STALE(ledger->usage());
  EXPECT_STALE(verify_tables(*ledger));
  std::vector<PersonRecord> people(20);
  EXPECT_TRUE(held->read_people_range(1, 0, people).has_value());  // a snapshot stays good
}

TEST_F(LedgerStale, EveryWriteSaysSoAndWritesNothing) {
  auto staging = Staging::open(*ledger);
  ASSERT_OK(staging);
  SegmentData segment;
  segment.row.number = 2;
  DeletionData deletion;
  deletion.job.number = 1;
  const auto job = ledger->job(1);
  ASSERT_OK(job);
  make_stale();
  const auto before = ledger->last_transaction();
  const auto files = place.bulk_files();
  EXPECT_STALE(ledger->begin());
  EXPECT_STALE(ledger->commit_segment(segment));
  EXPECT_STALE(ledger->commit_deletion(deletion));
  EXPECT_STALE(ledger->finish_merges());
  const std::vector<PersonRecord> people(1);
  const std::vector<IndexEntry> index(1);
  EXPECT_STALE((*staging)->add_people({RunRow{}, 2, 0, people, index, 0}));
  EXPECT_STALE((*staging)->merge(2, {}));
  staging->reset();
  EXPECT_STALE(Staging::open(*ledger));
  EXPECT_EQ(ledger->last_transaction(), before);
  EXPECT_EQ(place.bulk_files(), files);
}

TEST_F(LedgerStale, AnUpdateBegunBeforeIsCommittedBefore) {
  auto update = ledger->begin();  // excludes the rekey, which waits
  ASSERT_OK(update);
  ASSERT_OK((*update)->append_journal({"tester", ""}, "note", "{}"));
  ASSERT_OK((*update)->commit());
  update->reset();
  make_stale();
  EXPECT_STALE(ledger->begin());
}

TEST_F(LedgerStale, ADamagedHeaderIsNotTakenForNewKeys) {
  auto transaction = WriteTransaction::begin(*Environment::open(place.directory, OpenMode::kWrite));
  ASSERT_OK(transaction);
  auto header = *encode_header(place.header);
  header[20] ^= 1;
  ASSERT_OK((*transaction)->put(RowKey(Table::kHeader).bytes(), header));
  ASSERT_OK((*transaction)->commit());
  EXPECT_EQ(ledger->state().error().code, ErrorCode::kDamaged);
}

TEST_F(LedgerStale, OpenedAgainItKeepsTheWritersLock) {
  make_stale();
  EXPECT_STALE(ledger->state());
  put_header(place, place.header);  // the other way round: the state was not sealed anew here
  auto again = ledger->open_again(place.key);
  ASSERT_OK(again);
  ledger.reset();
  EXPECT_EQ(place.open(Access::kWrite).error().code, ErrorCode::kRefused);
  ASSERT_OK(maker.commit(**again, 20));
  ASSERT_OK((*again)->finish_merges());
  expect_whole(**again);
  again->reset();
  ASSERT_OK(place.open(Access::kWrite));
}

}  // namespace
}  // namespace fugo::keystore
