#include "keystore/ledger.h"

#include <algorithm>

#include "keystore/environment.h"
#include "keystore/rows.h"
#include "keystore/tables.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

TEST(Ledger, IsMadeWholeOrNotAtAll) {
  const LedgerPlace place;
  const auto refused = Ledger::create(place.directory, place.header, place.key, [](Update&) {
    return Status(fail(ErrorCode::kHsm, "no token"));
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kHsm);
  EXPECT_TRUE(std::filesystem::is_empty(place.directory));
  ASSERT_OK(place.create());
  const auto again = place.create();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kRefused);
  ASSERT_OK(place.open(Access::kRead));
}

TEST(Ledger, TellsItsHeader) {
  const LedgerPlace place;
  const auto none = Ledger::read_header(place.directory);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kIo);
  ASSERT_OK(place.create());
  const auto header = Ledger::read_header(place.directory);
  ASSERT_OK(header);
  EXPECT_EQ(header->ledger_id, place.header.ledger_id);
  EXPECT_EQ(header->environment, "test");
  EXPECT_EQ(header->wrapped_data_key, place.header.wrapped_data_key);
  EXPECT_EQ(header->created, place.header.created);
}

TEST(Ledger, RefusesAWrongDataKey) {
  LedgerPlace place;
  ASSERT_OK(place.create());
  place.key.data()[0] ^= 1;
  const auto opened = place.open(Access::kRead);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDamaged);
  EXPECT_NE(opened.error().message().find("data key"), std::string::npos);
}

// change_row changes a row behind the ledger's back; `change` gets the stored value.
void change_row(const LedgerPlace& place, const RowKey& key,
                const std::function<void(std::vector<std::uint8_t>&)>& change) {
  const auto environment = Environment::open(place.directory, OpenMode::kWrite);
  ASSERT_OK(environment);
  auto transaction = WriteTransaction::begin(*environment);
  ASSERT_OK(transaction);
  const auto stored = (*transaction)->get(key.bytes());
  ASSERT_OK(stored);
  ASSERT_TRUE(stored->has_value());
  std::vector<std::uint8_t> value((*stored)->begin(), (*stored)->end());
  change(value);
  ASSERT_OK((*transaction)->put(key.bytes(), value));
  ASSERT_OK((*transaction)->commit());
}

TEST(Ledger, RefusesAnotherSchemaBeforeAnythingElse) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  change_row(place, RowKey(Table::kHeader), [](auto& value) {
    auto header =
        *decode_header({reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
    header.schema = 7;
    const auto changed = *encode_header(header);
    std::copy(changed.begin(), changed.end(), value.begin());
  });
  for (const Access access : {Access::kRead, Access::kAppend, Access::kWrite}) {
    const auto opened = place.open(access);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::kRefused);
    EXPECT_NE(opened.error().message().find("schema 7"), std::string::npos);
    EXPECT_NE(opened.error().message().find("schema " + std::to_string(kSchemaVersion)),
              std::string::npos);
  }
  EXPECT_EQ(Ledger::read_header(place.directory).error().code, ErrorCode::kRefused);
}

TEST(Ledger, FindsAChangedHeader) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const std::string environment = "test";
  change_row(place, RowKey(Table::kHeader), [&](auto& value) {
    const auto at = std::search(value.begin(), value.end(), environment.begin(), environment.end());
    ASSERT_NE(at, value.end());
    *at = 'b';
  });
  const auto opened = place.open(Access::kRead);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kDamaged);
}

TEST(Ledger, KeepsRegistries) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  const auto before = (*ledger)->state()->registry_version;
  const KeyRow key{1, 2, 3, KeyState::kPending, Block{{7}}, "label", 5, {1, 2}};
  {
    auto update = (*ledger)->begin();
    ASSERT_OK(update);
    ASSERT_OK((*update)->put_agency(make_agency("131016", 1)));
    ASSERT_OK((*update)->put_agency(make_agency("472018", 2)));
    ASSERT_OK((*update)->put_key(key));
    ASSERT_OK((*update)->commit());
  }
  auto agencies = (*ledger)->agencies();
  ASSERT_OK(agencies);
  ASSERT_EQ(agencies->size(), 2U);
  EXPECT_EQ((*agencies)[0].number, 1);
  EXPECT_EQ((*agencies)[1].code, "472018");
  EXPECT_EQ((*ledger)->key_rows()->at(0), key);
  EXPECT_EQ((*ledger)->generations()->at(0), GenerationRow{});
  EXPECT_EQ((*ledger)->state()->registry_version, before + 2);

  (*agencies)[1].state = AgencyState::kSuspended;
  {
    auto update = (*ledger)->begin();
    ASSERT_OK(update);
    ASSERT_OK((*update)->put_agency((*agencies)[1]));
    ASSERT_OK((*update)->commit());
  }
  EXPECT_EQ(*(*ledger)->agencies(), *agencies);
  EXPECT_EQ((*ledger)->state()->table_rows[static_cast<std::size_t>(Table::kAgencies)], 2U);
}

TEST(Ledger, RefusesTwinsAmongAgencies) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  auto update = (*ledger)->begin();
  ASSERT_OK(update);
  ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
  EXPECT_EQ((*update)->put_agency(make_agency("A", 2)).error().code, ErrorCode::kRefused);
  EXPECT_EQ((*update)->put_agency(make_agency("B", 1)).error().code, ErrorCode::kRefused);
  auto twice = make_agency("C", 3);
  twice.versions.push_back(twice.versions[0]);
  EXPECT_EQ((*update)->put_agency(twice).error().code, ErrorCode::kRefused);
  auto long_name = make_agency("D", 4);
  long_name.name.assign(5000, 'x');
  EXPECT_EQ((*update)->put_agency(long_name).error().code, ErrorCode::kRefused);
  ASSERT_OK((*update)->put_agency(make_agency("B", 2)));
}

TEST(Ledger, ForgetsAnUpdateThatIsNotCommitted) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  const auto before = (*ledger)->state();
  {
    auto update = (*ledger)->begin();
    ASSERT_OK((*update)->put_agency(make_agency("A", 1)));
    EXPECT_EQ((*ledger)->begin().error().code, ErrorCode::kInternal);  // not for ever waiting
  }
  EXPECT_EQ(*(*ledger)->state(), *before);
  EXPECT_TRUE((*ledger)->agencies()->empty());
}

TEST(Ledger, KnowsJobsByIdAndNumber) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  auto update = (*ledger)->begin();
  JobRow job = make_job("J1");
  auto number = (*update)->put_job(job);
  ASSERT_OK(number);
  EXPECT_EQ(*number, 1U);
  EXPECT_EQ((*update)->put_job(job).error().code, ErrorCode::kRefused);
  EXPECT_EQ((*update)->put_job(make_job("J2")).error().code, ErrorCode::kRefused);
  EXPECT_EQ((*update)->state().open_job, 1U);
  job.number = *number;
  job.state = JobState::kAnswered;
  ASSERT_OK((*update)->put_job(job));
  EXPECT_EQ((*update)->state().open_job, 0U);
  auto other = job;
  other.id = "J3";
  EXPECT_EQ((*update)->put_job(other).error().code, ErrorCode::kInternal);
  ASSERT_OK((*update)->commit());
  EXPECT_EQ((*ledger)->find_job("J1")->value(), job);
  const auto nobody = (*ledger)->find_job("J2");
  ASSERT_OK(nobody);
  EXPECT_FALSE(nobody->has_value());
  EXPECT_EQ(*(*ledger)->job(1), job);
  EXPECT_EQ((*ledger)->jobs()->size(), 1U);
}

TEST(Ledger, ProgressOfAJobLeavesWhatTheCommandsOrdered) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  ASSERT_OK(ledger);
  const auto put = [&](const JobRow& job, bool progress) -> Result<JobNumber> {
    FUGO_ASSIGN(const auto update, (*ledger)->begin());
    FUGO_ASSIGN(const auto number, progress ? update->put_progress(job) : update->put_job(job));
    FUGO_TRY(update->commit());
    return number;
  };
  JobRow job = make_job("J1");
  job.number = put(job, false).value();
  JobRow ordered = job;
  ordered.paused = true;
  ordered.approved_by = "somebody";
  ASSERT_OK(put(ordered, false));
  job.rows_done = 7;  // the runner's copy knows nothing of the orders
  ASSERT_OK(put(job, true));
  ordered.rows_done = 7;
  EXPECT_EQ(*(*ledger)->job(job.number), ordered);
  // Once it is to be given up, nothing is committed for it but that.
  ordered.cancelled = true;
  ASSERT_OK(put(ordered, false));
  job.rows_done = 8;
  EXPECT_EQ(put(job, true).error().code, ErrorCode::kRefused);
  EXPECT_EQ(*(*ledger)->job(job.number), ordered);
  ordered.state = JobState::kCancelled;
  ASSERT_OK(put(ordered, true));
  EXPECT_EQ(put(job, true).error().code, ErrorCode::kRefused);
  EXPECT_EQ(*(*ledger)->job(job.number), ordered);
}

TEST(Ledger, AddsStatistics) {
  const LedgerPlace place;
  ASSERT_OK(place.create());
  const auto ledger = place.open(Access::kAppend);
  for (int i = 0; i < 2; ++i) {
    auto update = (*ledger)->begin();
    const std::vector<StatRow> rows{{"2026-11-21", 2, 1, 1, 2, 3},
                                    {"2026-11-20", 1, 1, 10, 0, 0},
                                    {"2026-11-21", 0, 1, 0, 0, 5}};
    ASSERT_OK((*update)->add_stats(rows));
    ASSERT_OK((*update)->commit());
  }
  const std::vector<StatRow> expected{{"2026-11-20", 1, 1, 20, 0, 0},
                                      {"2026-11-21", 0, 1, 0, 0, 10},
                                      {"2026-11-21", 2, 1, 2, 4, 6}};
  EXPECT_EQ(*(*ledger)->stats(), expected);
}

class Journal : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(place.create());
    const auto ledger = place.open(Access::kAppend);
    ASSERT_OK(ledger);
    for (int i = 1; i < 5; ++i) {
      auto update = (*ledger)->begin();
      ASSERT_OK((*update)->append_journal({"o" + std::to_string(i), "order"}, "act", "{\"a\":1}"));
      ASSERT_OK((*update)->commit());
    }
  }
  LedgerPlace place;
};

TEST_F(Journal, ReadsInPieces) {
  const auto ledger = place.open(Access::kRead);
  const auto all = (*ledger)->journal(0, 100);
  ASSERT_OK(all);
  ASSERT_EQ(all->size(), 5U);
  EXPECT_EQ((*all)[0].act, "init");
  EXPECT_EQ((*all)[3].operator_name, "o3");
  EXPECT_EQ((*all)[3].order, "order");
  EXPECT_EQ((*all)[4].previous, (*all)[3].hash);
  EXPECT_EQ((*all)[4].hash, (*ledger)->state()->journal_head);
  const auto piece = (*ledger)->journal(1, 2);
  ASSERT_OK(piece);
  EXPECT_EQ(*piece, std::vector<JournalEntry>(all->begin() + 1, all->begin() + 3));
  EXPECT_TRUE((*ledger)->journal(5, 10)->empty());
}

TEST_F(Journal, FindsAMissingEntry) {
  {
    const auto environment = Environment::open(place.directory, OpenMode::kWrite);
    auto transaction = WriteTransaction::begin(*environment);
    ASSERT_OK((*transaction)->erase(RowKey(Table::kJournal).with(std::uint64_t{2}).bytes()));
    ASSERT_OK((*transaction)->commit());
  }
  const auto ledger = place.open(Access::kRead);
  EXPECT_EQ((*ledger)->journal(0, 100).error().code, ErrorCode::kDamaged);
  ASSERT_OK((*ledger)->journal(0, 2));
}

TEST_F(Journal, FindsAnEntryFromElsewhere) {
  std::vector<std::uint8_t> other;
  change_row(place, RowKey(Table::kJournal).with(std::uint64_t{1}), [&](auto& v) { other = v; });
  change_row(place, RowKey(Table::kJournal).with(std::uint64_t{2}), [&](auto& v) { v = other; });
  const auto ledger = place.open(Access::kRead);
  const auto read = (*ledger)->journal(0, 100);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kDamaged);
  EXPECT_NE(read.error().where.find("journal"), std::string::npos);
}

}  // namespace
}  // namespace fugo::keystore
