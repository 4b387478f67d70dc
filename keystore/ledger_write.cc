// The writing half of LedgerImpl.
#include <unistd.h>

#include <algorithm>
#include <set>

#include "keystore/ledger_impl.h"
#include "keystore/update.h"

namespace fugo::keystore {
namespace {

tl::unexpected<Error> not_for_writing(const char* call) {
  return fail(ErrorCode::kInternal, "the ledger was not opened for this", call);
}

// most_runs is the number of runs of the kind that has most of them.
std::size_t most_runs(const std::vector<FileRow>& rows) {
  const auto runs = [&](FileKind kind) {
    return static_cast<std::size_t>(std::count_if(
        rows.begin(), rows.end(), [&](const FileRow& row) { return row.kind == kind; }));
  };
  return std::max(runs(FileKind::kIndex), runs(FileKind::kIssued));
}

}  // namespace

// State and manifest are read after the directory, in one transaction: a staged file that was seen
// there belongs to a run that was open before, and may have been committed since.
Status LedgerImpl::remove_orphans() {
  FUGO_ASSIGN(const auto seen, find_unnamed_files(catalogue_.place(), {}));
  FUGO_ASSIGN(const auto transaction, begin_reading(parts_.environment, *parts_.sealer));
  FUGO_ASSIGN(const LedgerState now, read_state(*transaction, *parts_.sealer));
  FUGO_ASSIGN(const auto rows, all_rows<FileRow>(*transaction, *parts_.sealer, Table::kManifest));
  std::set<std::string> named;
  for (const FileRow& row : rows) named.insert(bulk_file_name(row.number));
  for (const auto& orphan : seen) {
    if (named.contains(orphan.string())) continue;
    if (now.open_run != 0 && is_staged_file(orphan)) continue;  // Staging::open sees to them
    std::error_code error;
    std::filesystem::remove_all(catalogue_.place().directory / orphan, error);
    if (error)
      return fail_errno("cannot remove what a broken-off commit left", orphan.string(),
                        error.value());
  }
  return {};
}

Status LedgerImpl::remove_leftovers() {
  if (parts_.access != Access::kWrite) return not_for_writing("remove_leftovers");
  const std::lock_guard lock(segment_mutex_);  // no segment and no deletion is under way
  merger_.settle();
  FUGO_TRY(parts_.environment->settle());
  return remove_orphans();
}

Result<std::unique_ptr<Update>> LedgerImpl::begin() {
  if (parts_.access == Access::kRead) return not_for_writing("begin");
  FUGO_ASSIGN(auto update, SmallRowUpdate::begin(parts_.environment, parts_.sealer));
  return std::unique_ptr<Update>(std::move(update));
}

Status LedgerImpl::check_segment(const SegmentData& data, const LedgerState& state) const {
  const auto wrong = [](const char* what) {
    return fail(ErrorCode::kInternal, what, "commit_segment");
  };
  if (data.row.number != state.next_segment) return wrong("the segment's number is not the next");
  if (data.job.number == 0 || data.row.job != data.job.number)
    return wrong("the segment is of another job");
  if (data.row.people_new != data.people.size() || data.index.size() != data.people.size())
    return wrong("people, index and the segment's row disagree");
  if (data.row.issuances_new != data.issued.size())
    return wrong("issuances and the segment's row disagree");
  const PersonId people_after = state.next_person + static_cast<PersonId>(data.people.size());
  for (const PersonPatch& patch : data.patches)
    if (patch.id >= state.next_person || patch.state != PersonState::kSuperseded ||
        patch.superseded_in != data.row.number || patch.successor >= people_after ||
        patch.successor == patch.id)
      return wrong("a patch that does not fit the segment");
  if (data.people.size() >= kNoPerson - state.next_person)
    return fail(ErrorCode::kRefused, "the ledger has as many people as it can number",
                "commit_segment");
  return {};
}

Result<SegmentNumber> LedgerImpl::commit_segment(const SegmentData& data) {
  if (parts_.access != Access::kWrite) return not_for_writing("commit_segment");
  const std::lock_guard lock(segment_mutex_);
  FUGO_TRY(merger_.take_damage());
  FUGO_TRY(merge_before_too_many());
  FUGO_ASSIGN(const LedgerState before, state());
  FUGO_TRY(check_segment(data, before));
  const std::uint64_t most_files = data.people.size() / kMaxPersonsInFile + 3;
  const FileNumber first = catalogue_.take_numbers(most_files);
  const SegmentFiles content{data.linkage_generation, before.next_person, data.people, data.index,
                             data.issued};
  FUGO_ASSIGN(const auto files, write_segment_files(catalogue_.place(), first, content));
  FUGO_TRY(commit_rows(data, before, files));
  merge_if_many();
  return data.row.number;
}

Status LedgerImpl::commit_rows(const SegmentData& data, const LedgerState& before,
                               const std::vector<FileRow>& files) {
  const auto prepare = [&]() -> Result<std::unique_ptr<SmallRowUpdate>> {
    FUGO_ASSIGN(auto update, SmallRowUpdate::begin(parts_.environment, parts_.sealer));
    const LedgerState& state = update->state();
    if (state.next_person != before.next_person || state.next_segment != before.next_segment)
      return fail(ErrorCode::kInternal, "two segments were committed at once", "commit_segment");
    FUGO_TRY(add_content(data, files, *update));
    FUGO_TRY(update->put_progress(data.job));
    FUGO_TRY(update->put_segment(data.row));
    FUGO_TRY(update->add_stats(data.stats));
    FUGO_TRY(update->append_entry(data.journal));
    return update;
  };
  auto update = prepare();
  if (!update) {
    remove_bulk_files(catalogue_.place(), files);
    return tl::unexpected(std::move(update).error());
  }
  // When the commit itself fails it may have been applied all the same: the files stay, and the
  // next open for writing removes them if the manifest does not name them.
  return (*update)->commit();
}

// Files, patches, counts and sums of a segment.
Status LedgerImpl::add_content(const SegmentData& data, const std::vector<FileRow>& files,
                               SmallRowUpdate& update) const {
  LedgerState& state = update.state();
  for (const FileRow& file : files) {
    FUGO_TRY(update.put_file(file));
    state.next_file = std::max(state.next_file, file.number + 1);
  }
  for (const PersonPatch& patch : data.patches) FUGO_TRY(update.put_patch(patch));
  for (const PersonRecord& person : data.people)
    state.most_counter = std::max(state.most_counter, person.counter);
  state.next_person += static_cast<PersonId>(data.people.size());
  ++state.next_segment;
  if (!data.people.empty())
    FUGO_TRY(update.add_starters(data.linkage_generation,
                                 static_cast<std::int64_t>(data.people.size())));
  FUGO_TRY(update.count_added(data.people.size(), data.issued));
  state.issuances += data.issued.size();
  state.people_digest.add(data.people_digest);
  state.issued_digest.add(data.issued_digest);
  state.times_digest.add(data.times_digest);
  return {};
}

// The segment is committed: an error here is left for the merger's thread to meet and keep.
void LedgerImpl::merge_if_many() {
  const auto manifest = catalogue_.settled_files();
  if (manifest && plan_merges(*manifest).empty()) return;
  merger_.wake();
  if (manifest && most_runs(*manifest) > kMostRuns) merger_.settle();
}

// Tries a merge that failed once more, where it cannot be put off any longer.
Status LedgerImpl::merge_before_too_many() {
  if (!merger_.warning()) return {};
  FUGO_ASSIGN(auto manifest, catalogue_.settled_files());
  if (most_runs(manifest) <= kMostRuns) return {};
  merger_.wake();
  merger_.settle();
  auto warning = merger_.warning();
  if (!warning) return merger_.take_damage();
  FUGO_ASSIGN(manifest, catalogue_.settled_files());
  if (most_runs(manifest) <= kMostRuns) return {};
  warning->what = "merging files has failed and there are too many of them: " + warning->what;
  return tl::unexpected(std::move(*warning));
}

Status LedgerImpl::finish_merges() {
  if (parts_.access != Access::kWrite) return not_for_writing("finish_merges");
  const std::lock_guard lock(segment_mutex_);  // a deletion must not meet a merge
  merger_.settle();
  FUGO_TRY(merger_.take_damage());
  FUGO_ASSIGN(const auto manifest, catalogue_.settled_files());
  if (plan_merges(manifest).empty()) return {};
  merger_.wake();
  merger_.settle();
  FUGO_TRY(merger_.take_damage());
  return merge_before_too_many();
}

}  // namespace fugo::keystore
