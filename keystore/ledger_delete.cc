// Physical deletion: the rewriting half is bulk_erase, this is what commits it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/file.h"
#include "base/parallel.h"
#include "keystore/ledger_impl.h"
#include "keystore/update.h"

namespace fugo::keystore {
namespace {

constexpr const char* kWhere = "commit_deletion";

Status people_changed(const DeletionData& data, const LedgerState& state) {
  if (state.next_segment == data.next_segment && state.deleted_people == data.deleted_people)
    return {};
  return fail(ErrorCode::kRefused, "people came or went since the deletion was prepared", kWhere,
              "nothing was applied; run it again");
}

// Every generation, also one that a regeneration has written only in part, has a record and an
// index entry of each person up to the last one that it holds.
std::uint64_t records_of(const std::vector<FileRow>& rows, std::span<const PersonId> people) {
  std::map<Generation, std::uint64_t> held;
  for (const FileRow& row : rows)
    if (row.kind == FileKind::kPerson)
      held[row.generation] = std::max(held[row.generation], row.first_id + row.entries);
  std::uint64_t records = 0;
  for (const auto& [generation, end] : held)
    records += static_cast<std::uint64_t>(std::lower_bound(people.begin(), people.end(), end) -
                                          people.begin());
  return records;
}

// The files must have held just what the caller found by other means.
Status check_erased(const DeletionData& data, std::uint64_t records, const ErasedFiles& files) {
  if (files.people == records && files.index_entries == records &&
      files.issued.size() == data.issuances)
    return {};
  return fail(ErrorCode::kDamaged,
              "the files hold more or less of the people to be deleted than was found: " +
                  std::to_string(files.people) + " records, " +
                  std::to_string(files.index_entries) + " index entries and " +
                  std::to_string(files.issued.size()) + " issuances",
              kWhere, "nothing was applied; run fugo verify");
}

// A regeneration may have written or merged files meanwhile: then what was prepared is not all.
bool is_stale(const Status& status) { return !status && status.error().code == ErrorCode::kStale; }

}  // namespace

Status LedgerImpl::check_deletion(const DeletionData& data, const LedgerState& state) const {
  const auto wrong = [](const char* what) { return fail(ErrorCode::kInternal, what, kWhere); };
  if (data.job.number == 0) return wrong("the deletion is of no job");
  if (std::adjacent_find(data.people.begin(), data.people.end(),
                         [](PersonId a, PersonId b) { return a >= b; }) != data.people.end())
    return wrong("people are not in order");
  if (!data.people.empty() && data.people.back() >= state.next_person)
    return wrong("a person who does not exist");
  if (data.people.empty() && data.issuances != 0) return wrong("issuances of nobody");
  return people_changed(data, state);
}

Status LedgerImpl::commit_deletion(const DeletionData& data) {
  if (parts_.access != Access::kWrite)
    return fail(ErrorCode::kInternal, "the ledger was not opened for this", kWhere);
  // Nothing is merged while files are written anew: merging is started under this lock only.
  const std::lock_guard lock(segment_mutex_);
  merger_.settle();
  // A regeneration that commits one piece after the other is stopped for the last attempt.
  constexpr int kTries = 3;
  for (int attempt = 1;; ++attempt) {
    std::unique_ptr<SmallRowUpdate> update;
    if (attempt == kTries) {
      FUGO_ASSIGN(update, SmallRowUpdate::begin(parts_.environment, parts_.sealer));
    }
    ErasedFiles files;
    const Status done = try_deletion(data, std::move(update), files);
    if (is_stale(done) && attempt < kTries) continue;
    FUGO_TRY(done);
    return unlink_erased(files);
  }
}

Status LedgerImpl::try_deletion(const DeletionData& data, std::unique_ptr<SmallRowUpdate> update,
                                ErasedFiles& files) {
  FUGO_ASSIGN(const LedgerState before, state());
  FUGO_TRY(check_deletion(data, before));
  FUGO_ASSIGN(const auto rows, catalogue_.manifest());
  if (!data.people.empty()) {
    const IdSet ids(data.people, before.next_person);
    auto written = write_without(catalogue_.place(), rows, ids,
                                 catalogue_.take_numbers(rows.size()), hardware_threads());
    if (!written) {
      FUGO_ASSIGN(const auto now, catalogue_.manifest());
      return tl::unexpected(gone_is_stale(std::move(written).error(), rows, now));
    }
    files = std::move(*written);
    if (auto right = check_erased(data, records_of(rows, data.people), files); !right) {
      remove_bulk_files(catalogue_.place(), files.new_files);
      return right;
    }
  }
  return commit_erased(data, rows, std::move(update), files);
}

Status LedgerImpl::commit_erased(const DeletionData& data, const std::vector<FileRow>& rows,
                                 std::unique_ptr<SmallRowUpdate> begun, const ErasedFiles& files) {
  const auto prepare = [&]() -> Result<std::unique_ptr<SmallRowUpdate>> {
    auto update = std::move(begun);
    if (!update) {
      FUGO_ASSIGN(update, SmallRowUpdate::begin(parts_.environment, parts_.sealer));
    }
    LedgerState& state = update->state();
    FUGO_TRY(people_changed(data, state));
    FUGO_TRY(update->check_manifest(rows));
    for (const FileRow& row : files.old_files) FUGO_TRY(update->erase_file(row));
    for (const FileRow& row : files.new_files) {
      FUGO_TRY(update->put_file(row));
      state.next_file = std::max(state.next_file, row.number + 1);
    }
    for (const PersonId id : data.people) FUGO_TRY(update->erase_patches(id));
    for (const auto& [generation, people] : data.starters)
      FUGO_TRY(update->add_starters(generation, -static_cast<std::int64_t>(people)));
    FUGO_TRY(update->count_erased(data.people.size(), files.issued));
    FUGO_TRY(update->put_progress(data.job));
    FUGO_TRY(update->append_entry(data.journal));
    state.deleted_people += static_cast<PersonId>(data.people.size());
    state.issuances -= data.issuances;
    state.deleted_issuances += data.issuances;
    state.people_digest.subtract(data.people_digest);
    state.issued_digest.subtract(data.issued_digest);
    state.times_digest.subtract(data.times_digest);
    return update;
  };
  auto update = prepare();
  if (!update) {
    remove_bulk_files(catalogue_.place(), files.new_files);
    return tl::unexpected(std::move(update).error());
  }
  // When the commit itself fails it may have been applied all the same: both sets of files stay,
  // and the next open for writing removes the one that the manifest does not name.
  return (*update)->commit();
}

Status LedgerImpl::unlink_erased(const ErasedFiles& files) {
  if (files.old_files.empty()) return {};
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_.reset();  // it has the old files open, and with them what is on the disk
  }
  const auto left = [](Error error) {
    error.what = "the deletion was committed, but an old file is still there: " + error.what;
    error.hint = "open the ledger for writing again, which removes it";
    return tl::unexpected(std::move(error));
  };
  for (const FileRow& row : files.old_files) {
    const auto path = catalogue_.place().directory / bulk_file_name(row.number);
    if (::unlink(path.c_str()) == 0 || errno == ENOENT) continue;
    return left(fail_errno("cannot remove", path.string(), errno).value());
  }
  if (auto synced = sync_directory(catalogue_.place().directory); !synced)
    return left(std::move(synced).error());
  return {};
}

}  // namespace fugo::keystore
