#include "keystore/reseal.h"

#include <utility>
#include <vector>

namespace fugo::keystore {
namespace {

constexpr std::size_t kBatch = 4096;  // rows that are held at once

class Resealer {
 public:
  Resealer(WriteTransaction& transaction, const Sealer& from, const Sealer& to, LedgerState& state)
      : transaction_(transaction), from_(from), to_(to), state_(state) {}

  Status run(std::span<const FileRow> files) {
    const std::size_t agencies = state_.table_rows[static_cast<std::size_t>(Table::kAgencies)];
    state_.rows_digest = {};
    state_.table_rows.assign(kTableCount, 0);
    FUGO_TRY(job_ids());  // while the jobs open still
    FUGO_TRY(days(agencies));
    FUGO_TRY(patches());
    FUGO_TRY(manifest(files));
    for (std::uint8_t number = kFirstCounted; number < kTableCount; ++number) {
      const auto table = static_cast<Table>(number);
      if (!has_new_keys(table)) FUGO_TRY(same_keys(table));
    }
    return {};
  }

 private:
  using Key = std::vector<std::uint8_t>;

  static bool has_new_keys(Table table) {
    return table == Table::kManifest || table == Table::kJobIds || table == Table::kStats ||
           table == Table::kPatches;
  }

  Status put(ByteView key, ByteView content) {
    FUGO_ASSIGN(const auto sealed, to_.seal(key, content));
    FUGO_ASSIGN(const DigestSum element, to_.row_element(key, sealed));
    state_.rows_digest.add(element);
    ++state_.table_rows[key[0]];
    return transaction_.put(key, sealed);
  }
  template <typename Row>
  Status put_row(const RowKey& key, const Row& row) {
    FUGO_ASSIGN(const WipedBytes content, encode_row(row));
    return put(key.bytes(), content.bytes());
  }

  // Rows are changed after the scan that found them, a batch at a time.
  Status same_keys(Table table) {
    const RowKey prefix(table);
    Key from(prefix.bytes().begin(), prefix.bytes().end());
    for (;;) {
      std::vector<std::pair<Key, WipedBytes>> batch;
      FUGO_TRY(transaction_.scan(
          prefix.bytes(), from, [&](ByteView key, ByteView sealed) -> Result<bool> {
            FUGO_ASSIGN(WipedBytes content, from_.open(key, sealed));
            batch.emplace_back(Key(key.begin(), key.end()), std::move(content));
            return batch.size() < kBatch;
          }));
      if (batch.empty()) return {};
      for (const auto& [key, content] : batch) FUGO_TRY(put(key, content.bytes()));
      from = batch.back().first;
      from.push_back(0);  // the next key there can be
    }
  }

  // erase_all takes a table's rows out, without looking into them, and counts them.
  Result<std::size_t> erase_all(Table table) {
    const RowKey prefix(table);
    std::vector<Key> keys;
    FUGO_TRY(transaction_.scan(prefix.bytes(), {}, [&](ByteView key, ByteView) -> Result<bool> {
      keys.emplace_back(key.begin(), key.end());
      return true;
    }));
    for (const Key& key : keys) FUGO_TRY(transaction_.erase(key));
    return keys.size();
  }

  Status job_ids() {
    FUGO_ASSIGN(const std::size_t ids, erase_all(Table::kJobIds));
    std::size_t jobs = 0;
    std::vector<std::pair<RowKey, JobIdRow>> rows;
    FUGO_TRY(scan_rows<JobRow>(transaction_, from_, RowKey(Table::kJobs),
                               [&](JobRow&& job) -> Result<bool> {
                                 FUGO_ASSIGN(const RowKey key, to_.job_id_key(job.id));
                                 rows.emplace_back(key, JobIdRow{job.number});
                                 ++jobs;
                                 return true;
                               }));
    if (ids != jobs)
      return fail(ErrorCode::kDamaged, "there are more or fewer ids than jobs",
                  "ledger, table job ids", "run fugo verify, and restore a backup");
    for (const auto& [key, row] : rows) FUGO_TRY(put_row(key, row));
    return {};
  }

  Status days(std::size_t agencies) {
    FUGO_ASSIGN(auto days, all_rows<StatDay>(transaction_, from_, Table::kStats));
    FUGO_TRY(erase_all(Table::kStats).map([](auto&&) {}));
    for (StatDay& day : days) {
      day.agencies = agencies;
      FUGO_ASSIGN(const RowKey key, to_.day_key(day.day));
      FUGO_TRY(put_row(key, day));
    }
    return {};
  }

  Status patches() {
    FUGO_ASSIGN(const auto patches, all_patches(transaction_, from_));
    for (const PersonPatch& patch : patches) {
      FUGO_ASSIGN(const RowKey key, from_.patch_key(patch));
      FUGO_TRY(transaction_.erase(key.bytes()));
    }
    for (const PersonPatch& patch : patches) {
      FUGO_ASSIGN(const RowKey key, to_.patch_key(patch));
      FUGO_TRY(put_row(key, patch));
    }
    return {};
  }

  Status manifest(std::span<const FileRow> files) {
    FUGO_TRY(erase_all(Table::kManifest).map([](auto&&) {}));
    for (const FileRow& file : files) FUGO_TRY(put_row(key_of(file), file));
    return {};
  }

  WriteTransaction& transaction_;
  const Sealer& from_;
  const Sealer& to_;
  LedgerState& state_;
};

}  // namespace

Status reseal_rows(WriteTransaction& transaction, const Sealer& from, const Sealer& to,
                   std::span<const FileRow> files, LedgerState& state) {
  return Resealer(transaction, from, to, state).run(files);
}

}  // namespace fugo::keystore
