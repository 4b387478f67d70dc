// Choosing files to merge, and merging them.
#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "keystore/bulk_files.h"
#include "keystore/bulk_reader.h"
#include "keystore/bulk_writer.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kPiece = 1024;

std::uint64_t total(std::span<const FileRow> rows) {
  return std::accumulate(rows.begin(), rows.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const FileRow& row) { return sum + row.entries; });
}

// tail_to_merge is the longest tail whose first run is smaller than the sum of the others.
std::span<const FileRow> tail_to_merge(std::span<const FileRow> rows) {
  std::uint64_t after = total(rows);
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    after -= rows[i].entries;
    if (rows[i].entries < after) return rows.subspan(i);
  }
  return {};
}

// people_to_merge: files are gathered from the left into groups that fit into one file. A group
// that the next file did not fit into will not grow: it becomes one file. The last is size-tiered.
std::span<const FileRow> people_to_merge(std::span<const FileRow> rows) {
  std::size_t start = 0;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (sum + rows[i].entries > kMaxPersonsInFile) {
      if (i - start > 1) return rows.subspan(start, i - start);
      start = i;
      sum = 0;
    }
    sum += rows[i].entries;
  }
  return tail_to_merge(rows.subspan(start));
}

// pour writes all that a merger gives.
template <typename Codec>
Status pour(RunMerger<Codec>& merger, EntryWriter<Codec>& writer,
            std::span<typename Codec::Entry> piece, const std::function<bool()>& stop) {
  for (;;) {
    if (stop && stop()) return fail(ErrorCode::kRefused, "the merge was stopped");
    FUGO_ASSIGN(const std::size_t count, merger.next(piece));
    if (count == 0) return {};
    FUGO_TRY(writer.append(piece.first(count)));
  }
}

using OpenFiles = std::span<const std::shared_ptr<const BulkFile>>;

template <typename Codec>
Result<FileRow> merge_runs(const BulkPlace& place, OpenFiles inputs, FileNumber output,
                           const std::function<bool()>& stop) {
  const FileRow& head = inputs.front()->row();
  FUGO_ASSIGN(auto writer,
              EntryWriter<Codec>::create(place, output, head.generation, head.first_id));
  FUGO_ASSIGN(auto piece, SecretArray<typename Codec::Entry>::create(kPiece));
  RunMerger<Codec> merger;
  std::uint64_t next_id = head.first_id;
  for (const auto& input : inputs) {
    FUGO_ASSIGN(auto cursor, RunCursor<Codec>::create(*input, 0, input->row().entries));
    merger.add(std::move(cursor));
    if constexpr (Codec::kLayout.kind == FileKind::kPerson) {  // one after another
      if (input->row().first_id != next_id)
        return fail(ErrorCode::kInternal, "a merge of person files with a gap between them");
      next_id += input->row().entries;
      FUGO_TRY(pour(merger, writer, piece.span(), stop));
    }
  }
  FUGO_TRY(pour(merger, writer, piece.span(), stop));
  return writer.finish();
}

using MergeRuns = Result<FileRow> (*)(const BulkPlace&, OpenFiles, FileNumber,
                                      const std::function<bool()>&);
struct MergeOfKind {
  FileKind kind;
  MergeRuns merge;
};
constexpr std::array<MergeOfKind, 3> kMerges = {{{FileKind::kPerson, merge_runs<PersonCodec>},
                                                 {FileKind::kIndex, merge_runs<IndexCodec>},
                                                 {FileKind::kIssued, merge_runs<IssuedCodec>}}};

}  // namespace

std::vector<MergePlan> plan_merges(std::span<const FileRow> rows) {
  std::map<std::pair<FileKind, Generation>, std::vector<FileRow>> groups;
  for (const FileRow& row : rows) groups[{row.kind, row.generation}].push_back(row);
  std::vector<MergePlan> plans;
  for (auto& [key, group] : groups) {
    const bool people = key.first == FileKind::kPerson;
    std::sort(group.begin(), group.end(), [people](const FileRow& a, const FileRow& b) {
      if (people) return a.first_id < b.first_id;
      return a.entries != b.entries ? a.entries > b.entries : a.number < b.number;
    });
    const auto inputs = people ? people_to_merge(group) : tail_to_merge(group);
    if (!inputs.empty()) plans.push_back({{inputs.begin(), inputs.end()}});
  }
  return plans;
}

Result<FileRow> merge_files(const BulkPlace& place, const MergePlan& plan, FileNumber output,
                            const std::function<bool()>& stop) {
  if (plan.inputs.empty())
    return fail(ErrorCode::kInternal, "a merge of no files", place.directory.string());
  std::vector<std::shared_ptr<const BulkFile>> inputs;
  for (const FileRow& row : plan.inputs) {
    FUGO_ASSIGN(auto file, BulkFile::open(place, row));
    file->advise_sequential();
    inputs.push_back(std::move(file));
  }
  for (const MergeOfKind& of_kind : kMerges) {
    if (of_kind.kind != plan.inputs.front().kind) continue;
    FUGO_ASSIGN(const FileRow row, of_kind.merge(place, inputs, output, stop));
    if (auto synced = sync_directory(place.directory); !synced) {
      remove_bulk_files(place, {&row, 1});
      return tl::unexpected<Error>(std::move(synced).error());
    }
    return row;
  }
  return fail(ErrorCode::kInternal, "a merge of files of no kind", place.directory.string());
}

}  // namespace fugo::keystore
