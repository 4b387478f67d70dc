// A ledger that is given new keys: the same content, and nothing that the old keys open.
#include "keystore/rekey.h"

#include <fstream>

#include "keystore/bulk_reader.h"
#include "keystore/ledger_impl.h"
#include "tests/keystore/real_ledger.h"

namespace fugo::keystore {
namespace {

class Rekey : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(real.make());
    staging = *Staging::open(*real.ledger);
  }
  [[nodiscard]] Result<std::unique_ptr<Ledger>> reopened() const {
    return real.ledger->open_again(second_data_key());
  }
  [[nodiscard]] std::vector<FileRow> files() const { return (*real.ledger->snapshot())->files(); }

  RealLedger real;
  std::unique_ptr<Staging> staging;
};

TEST_F(Rekey, TheModelIsRight) { EXPECT_EQ(findings_of(*real.ledger), ""); }

TEST_F(Rekey, KeepsTheContentUnderNewKeys) {
  const auto journal = real.ledger->journal(0, 1000)->size();
  const auto stats = *real.ledger->stats();
  const auto segments = *real.ledger->segments();
  const auto agencies = *real.ledger->agencies();
  std::uint64_t done = 0, total = 0;
  ASSERT_OK(rekey(*real.ledger, *staging, rekey_data(), [&](std::uint64_t d, std::uint64_t t) {
    EXPECT_GE(d, done);
    done = d, total = t;
  }));
  EXPECT_EQ(done, total);
  EXPECT_GT(total, 0U);
  const auto after = reopened();
  ASSERT_OK(after);
  EXPECT_EQ(findings_of(**after), "");
  const auto state = *(*after)->state();
  EXPECT_EQ((Sums{state.people_digest, state.issued_digest, state.times_digest}),
            real.sums(*(*after)->content_digest()));
  EXPECT_EQ((*after)->header().wrap_key_version, 2);
  EXPECT_EQ((*after)->header().wrapped_data_key, rekey_data().wrapped_data_key);
  EXPECT_EQ((*after)->journal(0, 1000)->size(), journal + 1);
  EXPECT_EQ((*after)->journal(0, 1000)->back().act, "regenerate.finish");
  EXPECT_EQ(*(*after)->stats(), stats);
  EXPECT_EQ(*(*after)->segments(), segments);
  EXPECT_EQ(*(*after)->agencies(), agencies);
  EXPECT_EQ((*after)->find_job("J1").value()->number, 1U);
  EXPECT_EQ(state.open_run, 0U);
  EXPECT_EQ((*after)->generations()->at(0).state, GenerationState::kRetired);
  std::vector<PersonRecord> records(real.people.size());
  ASSERT_OK((*(*after)->snapshot())->read_people_range(2, 0, records));
  for (PersonId id = 0; id < records.size(); ++id)
    EXPECT_EQ(records[id].linkage_symbol, real.people[id].linkage_symbol) << id;
}

TEST_F(Rekey, WorkGoesOnAfterIt) {
  ASSERT_OK(rekey(*real.ledger, *staging, rekey_data()));
  staging.reset();
  auto after = reopened();
  ASSERT_OK(after);
  real.ledger = std::move(*after);
  JobRow job = *real.ledger->job(1);
  job.state = JobState::kRunning;
  auto update = real.ledger->begin();
  ASSERT_OK((*update)->put_job(job));
  ASSERT_OK((*update)->commit());
  update->reset();
  ASSERT_NO_FATAL_FAILURE(real.add_people(10));
  ASSERT_OK(real.ledger->finish_merges());
  EXPECT_EQ(findings_of(*real.ledger), "");
}

TEST_F(Rekey, NothingOldIsLeft) {
  const auto old_files = files();
  ASSERT_OK(rekey(*real.ledger, *staging, rekey_data()));
  EXPECT_EQ(real.ledger->state().error().code, ErrorCode::kStale);
  EXPECT_EQ(real.place.open(Access::kRead).error().code, ErrorCode::kDamaged);  // the old data key
  const auto after = reopened();
  ASSERT_OK(after);
  const auto new_files = (*(*after)->snapshot())->files();
  EXPECT_EQ(real.place.bulk_files(), new_files.size());
  for (const FileRow& row : new_files)
    EXPECT_EQ(row.generation, row.kind == FileKind::kIssued ? 0 : 2);
  // Whoever has the old data key, and an old copy of LMDB, has the keys of these files: none opens
  // any file that is there, under whichever name and kind.
  const BulkPlace place{real.place.directory / "data", real.place.header.ledger_id};
  for (const FileRow& old : old_files)
    for (const FileRow& now : new_files) {
      EXPECT_NE(old.number, now.number);
      EXPECT_NE(old.key, now.key);
      FileRow guess = now;
      guess.key = old.key;
      EXPECT_EQ(check_file(place, guess).error().code, ErrorCode::kDamaged);
      ASSERT_OK(check_file(place, now));
    }
  // No row that is there opens under the old data key; its keyed hashes are other ones, too.
  const auto keys = LedgerKeys::derive(real.place.key, real.place.header.ledger_id);
  const Sealer old(*keys, *encode_header(real.place.header));
  const auto transaction =
      ReadTransaction::begin(*Environment::open(real.place.directory, OpenMode::kWrite));
  ASSERT_OK(transaction);
  std::size_t rows = 0;
  ASSERT_OK((*transaction)->scan({}, {}, [&](ByteView key, ByteView value) -> Result<bool> {
    if (key[0] == static_cast<std::uint8_t>(Table::kHeader)) return true;
    EXPECT_FALSE(old.open(key, value));
    ++rows;
    return true;
  }));
  EXPECT_GT(rows, 20U);
  EXPECT_FALSE((*transaction)->get(old.job_id_key("J1")->bytes()).value());
}

// No page of LMDB, old or new, ever held a key of a file that is there now under the old data key:
// the manifest's rows are looked for in the whole file, under every key that they can stand at.
TEST_F(Rekey, NoKeyOfAFileThatStaysWasSealedUnderTheOldDataKey) {
  ASSERT_OK(rekey(*real.ledger, *staging, rekey_data()));
  const auto after = reopened();
  ASSERT_OK(after);
  const auto keys = LedgerKeys::derive(real.place.key, real.place.header.ledger_id);
  const Sealer old(*keys, *encode_header(real.place.header));
  std::ifstream file(real.place.directory / "data.mdb", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  for (const FileRow& row : (*(*after)->snapshot())->files()) {
    const RowKey key = key_of(row);
    const auto sealed = old.seal(key.bytes(), encode_row(row)->bytes());  // always the same bytes
    ASSERT_OK(sealed);
    EXPECT_EQ(bytes.find(std::string(sealed->begin(), sealed->end())), std::string::npos);
  }
}

TEST_F(Rekey, IsRefusedWhileAJobIsOpen) {
  auto update = real.ledger->begin();
  ASSERT_OK((*update)->put_job(make_job("J2")));
  ASSERT_OK((*update)->commit());
  update->reset();
  EXPECT_EQ(rekey(*real.ledger, *staging, rekey_data()).error().code, ErrorCode::kRefused);
}

TEST_F(Rekey, WhatChangesMeanwhileIsNotLost) {
  RekeyData data = rekey_data();
  bool changed = false;
  const auto change = [&](std::uint64_t, std::uint64_t) {
    if (std::exchange(changed, true)) return;
    JobRow job = *real.ledger->job(1);
    job.state = JobState::kRunning;
    auto update = real.ledger->begin();
    ASSERT_OK((*update)->put_job(job));
    ASSERT_OK((*update)->commit());
    update->reset();
    real.add_people(10);
    real.finish_job();
  };
  const auto stale = rekey(*real.ledger, *staging, data, change);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kStale) << stale.error().message();
  ASSERT_OK(real.ledger->finish_merges());
  EXPECT_EQ(real.place.bulk_files(), files().size());  // what was written is gone
  ASSERT_OK(rekey(*real.ledger, *staging, data));
  EXPECT_EQ(findings_of(**reopened()), "");
}

TEST_F(Rekey, AnErrorOfTheCallersChangesNothing) {
  const auto before = *real.ledger->state();
  const auto old_files = files();
  RekeyData data = rekey_data();
  data.fill = [](Update& update) -> Status {
    FUGO_TRY(update.append_journal({"tester", ""}, "note", "{}"));
    return fail(ErrorCode::kRefused, "no");
  };
  EXPECT_EQ(rekey(*real.ledger, *staging, data).error().what, "no");
  EXPECT_EQ(*real.ledger->state(), before);
  EXPECT_EQ(files(), old_files);
  EXPECT_EQ(real.place.bulk_files(), old_files.size());
}

TEST_F(Rekey, StoppedItChangesNothing) {
  const auto before = *real.ledger->state();
  EXPECT_EQ(rekey(*real.ledger, *staging, rekey_data(), {}, [] { return true; }).error().code,
            ErrorCode::kRefused);
  EXPECT_EQ(*real.ledger->state(), before);
  EXPECT_EQ(real.place.bulk_files(), files().size());
}

TEST_F(Rekey, DamageIsNotTakenOver) {
  auto update = real.ledger->begin();
  GenerationRow second = real.ledger->generations()->at(1);
  second.starters += 1;
  ASSERT_OK((*update)->put_generation(second));
  ASSERT_OK((*update)->commit());
  update->reset();
  const auto damaged = rekey(*real.ledger, *staging, rekey_data());
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::kDamaged);
  EXPECT_EQ(real.place.bulk_files(), files().size());
}

TEST_F(Rekey, AnotherGenerationMayStay) {
  RekeyData data = rekey_data();
  data.drop.clear();
  data.fill = [](Update& update) { return update.append_journal({"tester", ""}, "note", "{}"); };
  ASSERT_OK(rekey(*real.ledger, *staging, data));
  const auto after = reopened();
  ASSERT_OK(after);
  EXPECT_EQ(findings_of(**after), "");
  std::vector<PersonRecord> records(40);
  ASSERT_OK((*(*after)->snapshot())->read_people_range(1, 0, records));
}

}  // namespace
}  // namespace fugo::keystore
