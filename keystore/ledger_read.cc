// The reading half of LedgerImpl: each call is one short read transaction.
#include <algorithm>
#include <cerrno>
#include <limits>

#include "keystore/ledger_impl.h"

namespace fugo::keystore {

LedgerImpl::LedgerImpl(Parts parts)
    : parts_(std::move(parts)),
      catalogue_({parts_.directory / kBulkDirectory, parts_.header.ledger_id}, parts_.environment,
                 parts_.sealer, parts_.next_file),
      merger_(catalogue_) {}

template <typename Row>
Result<std::vector<Row>> LedgerImpl::table(Table number) const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  return all_rows<Row>(*transaction, *parts_.sealer, number);
}

Result<LedgerState> LedgerImpl::state() const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  return read_state(*transaction, *parts_.sealer);
}

Result<std::vector<Agency>> LedgerImpl::agencies() const { return table<Agency>(Table::kAgencies); }
Result<std::vector<KeyRow>> LedgerImpl::key_rows() const { return table<KeyRow>(Table::kKeys); }
Result<std::vector<GenerationRow>> LedgerImpl::generations() const {
  return table<GenerationRow>(Table::kGenerations);
}
Result<std::vector<JobRow>> LedgerImpl::jobs() const { return table<JobRow>(Table::kJobs); }
Result<std::vector<SegmentRow>> LedgerImpl::segments() const {
  return table<SegmentRow>(Table::kSegments);
}

Result<std::vector<RunRow>> LedgerImpl::runs() const { return table<RunRow>(Table::kRuns); }

Result<std::vector<RunAgencyRow>> LedgerImpl::run_agencies(RunNumber run) const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  std::vector<RunAgencyRow> rows;
  FUGO_TRY(scan_rows<RunAgencyRow>(*transaction, *parts_.sealer,
                                   RowKey(Table::kRunAgencies).with(run),
                                   [&](RunAgencyRow&& row) -> Result<bool> {
                                     if (row.run != run) return false;
                                     rows.push_back(std::move(row));
                                     return true;
                                   }));
  return rows;
}

Result<std::optional<JobRow>> LedgerImpl::find_job(const std::string& id) const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  FUGO_ASSIGN(const RowKey key, parts_.sealer->job_id_key(id));
  FUGO_ASSIGN(const auto known, get_row<JobIdRow>(*transaction, *parts_.sealer, key));
  if (!known) return std::optional<JobRow>{};
  const RowKey job_key = RowKey(Table::kJobs).with(known->number);
  FUGO_ASSIGN(auto row, get_row<JobRow>(*transaction, *parts_.sealer, job_key));
  if (!row || row->id != id)
    return fail(ErrorCode::kDamaged, "a request's id leads to no job of that id",
                "ledger, table job ids", "run fugo verify, and restore a backup");
  return row;
}

Result<JobRow> LedgerImpl::job(JobNumber number) const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  const RowKey key = RowKey(Table::kJobs).with(number);
  FUGO_ASSIGN(auto row, get_row<JobRow>(*transaction, *parts_.sealer, key));
  if (!row)
    return fail(ErrorCode::kInternal, "there is no job " + std::to_string(number),
                "ledger, table jobs");
  return std::move(*row);
}

Result<std::vector<StatRow>> LedgerImpl::stats() const {
  FUGO_ASSIGN(auto days, table<StatDay>(Table::kStats));
  // Keys are keyed hashes of days, so the table's order means nothing.
  std::sort(days.begin(), days.end(),
            [](const StatDay& a, const StatDay& b) { return a.day < b.day; });
  std::vector<StatRow> rows;
  for (const StatDay& day : days) rows.insert(rows.end(), day.rows.begin(), day.rows.end());
  return rows;
}

Result<std::vector<JournalEntry>> LedgerImpl::journal(std::uint64_t first,
                                                      std::uint64_t limit) const {
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  FUGO_ASSIGN(const LedgerState state, read_state(*transaction, *parts_.sealer));
  const auto broken = [](std::uint64_t sequence) {
    return fail(ErrorCode::kDamaged,
                "the journal's chain is broken at entry " + std::to_string(sequence),
                "ledger, table journal", "run fugo verify, and restore a backup");
  };
  std::vector<JournalEntry> entries;
  const std::uint64_t end = limit < state.journal_entries - std::min(first, state.journal_entries)
                                ? first + limit
                                : state.journal_entries;
  if (first >= end) return entries;
  FUGO_TRY(
      scan_rows<JournalEntry>(*transaction, *parts_.sealer, RowKey(Table::kJournal).with(first),
                              [&](JournalEntry&& entry) -> Result<bool> {
                                const std::uint64_t expected = first + entries.size();
                                if (entry.sequence != expected) return broken(expected);
                                if (!entries.empty() && entry.previous != entries.back().hash)
                                  return broken(expected);
                                if (expected == 0 && entry.previous != decltype(entry.previous){})
                                  return broken(0);
                                entries.push_back(std::move(entry));
                                return first + entries.size() < end;
                              }));
  if (first + entries.size() != end) return broken(first + entries.size());
  if (end == state.journal_entries && entries.back().hash != state.journal_head) return broken(end);
  return entries;
}

namespace {

// See Snapshot::probe_to.
std::uint16_t probe_to(const LedgerState& state) {
  return state.deleted_people == 0 ? std::uint16_t{0} : state.most_counter;
}

Result<std::shared_ptr<const PatchTable>> read_patches(const Transaction& transaction,
                                                       const Sealer& sealer,
                                                       const LedgerState& state) {
  auto table = std::make_shared<PatchTable>();
  table->probe_to = probe_to(state);
  FUGO_ASSIGN(table->rows, all_patches(transaction, sealer));
  if (table->rows.size() != state.table_rows[static_cast<std::size_t>(Table::kPatches)])
    return fail(ErrorCode::kDamaged, "there are more or fewer patches than were counted",
                "ledger, table patches", "run fugo verify, and restore a backup");
  return std::shared_ptr<const PatchTable>(std::move(table));
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> LedgerImpl::snapshot() const {
  constexpr int kTries = 8;
  std::uint64_t failed_at = std::numeric_limits<std::uint64_t>::max();
  const std::lock_guard lock(snapshot_mutex_);
  for (int attempt = 1;; ++attempt) {
    FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
    FUGO_ASSIGN(const LedgerState state, read_state(*transaction, *parts_.sealer));
    if (snapshot_ && snapshot_commits_ == state.commits) return snapshot_;
    FUGO_ASSIGN(auto files, all_rows<FileRow>(*transaction, *parts_.sealer, Table::kManifest));
    const bool same_patches =
        patches_ && patch_changes_ == state.patch_changes && patches_->probe_to == probe_to(state);
    if (!same_patches) {
      FUGO_ASSIGN(patches_, read_patches(*transaction, *parts_.sealer, state));
      patch_changes_ = state.patch_changes;
    }
    if (!snapshot_ || !same_patches || snapshot_->files() != files) {
      auto opened = open_snapshot(catalogue_.place(), std::move(files), patches_, snapshot_);
      if (!opened) {
        const Error& error = opened.error();
        // A file has gone: a merge was committed after we read the manifest, and we read it again.
        // If nothing was committed since, the file is missing.
        const bool gone = error.code == ErrorCode::kIo && error.native == ENOENT;
        if (gone && state.commits != failed_at && attempt < kTries) {
          failed_at = state.commits;
          continue;
        }
        if (gone)
          return fail(ErrorCode::kDamaged, "a file that the manifest names is missing", error.where,
                      "restore a backup");
        return opened;
      }
      snapshot_ = std::move(*opened);
    }
    snapshot_commits_ = state.commits;
    return snapshot_;
  }
}

}  // namespace fugo::keystore
