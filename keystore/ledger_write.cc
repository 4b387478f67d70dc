// The writing half of LedgerImpl.
#include <unistd.h>

#include <algorithm>

#include "keystore/ledger_impl.h"
#include "keystore/update.h"

namespace fugo::keystore {
namespace {

// With so many runs of one kind, committing waits for merging: look-ups would become slow.
constexpr std::size_t kMostRuns = 48;

tl::unexpected<Error> not_for_writing(const char* call) {
  return fail(ErrorCode::kInternal, "the ledger was not opened for this", call);
}

}  // namespace

Status LedgerImpl::remove_orphans() {
  FUGO_ASSIGN(const auto rows, catalogue_.manifest());
  FUGO_ASSIGN(const auto orphans, find_unnamed_files(catalogue_.place(), rows));
  for (const auto& orphan : orphans) {
    std::error_code error;
    std::filesystem::remove_all(catalogue_.place().directory / orphan, error);
    if (error)
      return fail_errno("cannot remove what a broken-off commit left", orphan.string(),
                        error.value());
  }
  return {};
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
  if (data.people.size() >= kNoPerson - state.next_person)
    return fail(ErrorCode::kRefused, "the ledger has as many people as it can number",
                "commit_segment");
  return {};
}

Result<SegmentNumber> LedgerImpl::commit_segment(const SegmentData& data) {
  if (parts_.access != Access::kWrite) return not_for_writing("commit_segment");
  const std::lock_guard lock(segment_mutex_);
  FUGO_TRY(merger_.take_error());
  FUGO_ASSIGN(const LedgerState before, state());
  FUGO_TRY(check_segment(data, before));
  const std::uint64_t most_files = data.people.size() / kMaxPersonsInFile + 3;
  const FileNumber first = catalogue_.take_numbers(most_files);
  const SegmentFiles content{data.job.generation, before.next_person, data.people, data.index,
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
    LedgerState& state = update->state();
    if (state.next_person != before.next_person || state.next_segment != before.next_segment)
      return fail(ErrorCode::kInternal, "two segments were committed at once", "commit_segment");
    for (const FileRow& file : files) {
      FUGO_TRY(update->put_file(file));
      state.next_file = std::max(state.next_file, file.number + 1);
    }
    FUGO_TRY(update->put_progress(data.job));
    FUGO_TRY(update->put_segment(data.row));
    FUGO_TRY(update->add_stats(data.stats));
    FUGO_TRY(update->append_entry(data.journal));
    state.next_person += static_cast<PersonId>(data.people.size());
    ++state.next_segment;
    state.issuances += data.issued.size();
    state.people_digest.add(data.people_digest);
    state.issued_digest.add(data.issued_digest);
    state.times_digest.add(data.times_digest);
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

// The segment is committed: an error here is left for the merger's thread to meet and keep.
void LedgerImpl::merge_if_many() {
  const auto manifest = catalogue_.manifest();
  if (manifest && plan_merges(*manifest).empty()) return;
  merger_.wake();
  if (!manifest) return;
  const auto& rows = *manifest;
  const auto runs = [&](FileKind kind) {
    return static_cast<std::size_t>(std::count_if(
        rows.begin(), rows.end(), [&](const FileRow& row) { return row.kind == kind; }));
  };
  if (std::max(runs(FileKind::kIndex), runs(FileKind::kIssued)) > kMostRuns) merger_.settle();
}

}  // namespace fugo::keystore
