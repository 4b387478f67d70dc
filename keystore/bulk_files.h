// Writing, opening, merging and checking the immutable sealed files of the ledger's bulk data.
// Their layout: docs/spec/ledger.md, "Bulk files".
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "keystore/snapshot.h"
#include "keystore/types.h"

namespace fugo::keystore {

// BulkPlace is where a ledger's bulk files lie, and what they are bound to.
struct BulkPlace {
  std::filesystem::path directory;
  Block ledger_id;
};

// kMaxPersonsInFile: person files are not written or merged beyond this many records.
inline constexpr std::uint64_t kMaxPersonsInFile = 1U << 20U;

// bulk_file_name is the name within the directory: "0000000001.fugo".
[[nodiscard]] std::string bulk_file_name(FileNumber number);

// is_staged_file tells whether a file of this name is a regeneration's.
[[nodiscard]] bool is_staged_file(const std::filesystem::path& name);

// SegmentFiles is what one segment adds. People's ids follow on from first_id; index is ascending
// by (digest, id), issued by (agency, id), both without repeats (kInternal otherwise).
struct SegmentFiles {
  Generation generation = 1;
  PersonId first_id = 0;
  std::span<const PersonRecord> people = {};
  std::span<const IndexEntry> index = {};
  std::span<const IssuedEntry> issued = {};
};

// write_segment_files writes a file for each part that is not empty (people: one for each
// kMaxPersonsInFile), each under a fresh random key, mode 0600, numbered from `first_number` on
// without gaps; when it returns, files and directory are synced. On failure nothing stays behind.
// A file that exists already is never overwritten: kIo. Uses up to `threads` threads.
[[nodiscard]] Result<std::vector<FileRow>> write_segment_files(const BulkPlace& place,
                                                               FileNumber first_number,
                                                               const SegmentFiles& data,
                                                               std::size_t threads = 2);

// remove_bulk_files unlinks the files of `rows` (missing ones are fine): of a commit that failed,
// or after a merge was committed. Snapshots that have them open stay good.
void remove_bulk_files(const BulkPlace& place, std::span<const FileRow> rows);

// find_unnamed_files lists everything in the directory that no row names, by file name; at start
// the writer removes these. kIo when the directory cannot be read.
[[nodiscard]] Result<std::vector<std::filesystem::path>> find_unnamed_files(
    const BulkPlace& place, std::span<const FileRow> rows);

// gone_is_stale: where `error` says that a file is not there, and the manifest as it is `now` does
// not name all of `rows` any more, another process merged or rewrote the file meanwhile: kStale. A
// file that is named and missing stays the error that it is.
[[nodiscard]] Error gone_is_stale(Error error, std::span<const FileRow> rows,
                                  std::span<const FileRow> now);

// PatchTable is what a snapshot needs besides files. Constant once it is shared.
struct PatchTable {
  std::vector<PersonPatch> rows;  // ascending by (id, generation)
  std::uint16_t probe_to = 0;     // see Snapshot::probe_to
};

// open_snapshot maps the files of `rows`; those that `previous` (may be null) has open already are
// taken over with what was decrypted of them. Errors: kIo with native ENOENT when a file has gone
// (a reader then reads the manifest again); kDamaged when a length disagrees with its row or the
// person files of a generation do not cover ids from 0 without gap.
[[nodiscard]] Result<std::shared_ptr<const Snapshot>> open_snapshot(
    const BulkPlace& place, std::vector<FileRow> rows,
    std::shared_ptr<const PatchTable> patches = nullptr,
    const std::shared_ptr<const Snapshot>& previous = nullptr);

// MergePlan names files of one kind and generation that should become one. Person files of a plan
// follow on from each other.
struct MergePlan {
  std::vector<FileRow> inputs;
};

// plan_merges says what to merge next: at most one plan for each kind and generation, so that plans
// can be carried out in any order or at once; empty when nothing is to be done. Runs of index and
// issued are size-tiered: ordered by size, all from the first run that is smaller than the sum of
// those after it. Person files likewise among neighbours, up to kMaxPersonsInFile records.
// Repeating it until it is empty leaves at most log2(entries) + 2 runs of a kind.
[[nodiscard]] std::vector<MergePlan> plan_merges(std::span<const FileRow> rows);

// merge_files writes the merged file of a plan as number `output`, under a fresh key, file and
// directory synced. Reads in bounded memory and in order, writes nothing else; the inputs stay
// until the caller has committed the new row and calls remove_bulk_files. kDamaged when an input
// does not hold together. `stop` (may be empty) is asked now and then; true ends it with kRefused
// and removes what was written.
[[nodiscard]] Result<FileRow> merge_files(const BulkPlace& place, const MergePlan& plan,
                                          FileNumber output,
                                          const std::function<bool()>& stop = {});

// check_file authenticates every block of a file and checks length, order of entries, padding and
// fences. kDamaged names the file and the place. Memory is bounded. `progress` (may be empty) is
// called with the number of bytes checked since its last call.
[[nodiscard]] Status check_file(const BulkPlace& place, const FileRow& row,
                                const std::function<void(std::uint64_t)>& progress = {});

// check_file_of does the same with the file as the snapshot has it open, so that it does not matter
// when the file is merged away meanwhile. kInternal when the snapshot has no such file.
[[nodiscard]] Status check_file_of(const Snapshot& snapshot, const FileRow& row,
                                   const std::function<void(std::uint64_t)>& progress = {});

}  // namespace fugo::keystore
