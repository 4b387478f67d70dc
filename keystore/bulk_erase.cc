#include "keystore/bulk_erase.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/parallel.h"
#include "keystore/bulk_reader.h"
#include "keystore/bulk_writer.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kPiece = 1024;

// Rewritten is what became of one file.
struct Rewritten {
  bool concerned = false;
  std::optional<FileRow> made;
  std::uint64_t erased = 0;
  std::vector<IssuedEntry> issued;  // erased, of an issued file
};

void note(const IndexEntry&, Rewritten&) {}
void note(const IssuedEntry& entry, Rewritten& rewritten) { rewritten.issued.push_back(entry); }

PersonId id_of(const IndexEntry& entry) { return entry.id; }
PersonId id_of(const IssuedEntry& entry) { return entry.key.id; }

// holds_any reads a file up to the first entry of the set.
template <typename Codec>
Result<bool> holds_any(const BulkFile& file, const IdSet& ids) {
  FUGO_ASSIGN(auto cursor, RunCursor<Codec>::create(file, 0, file.row().entries));
  for (; cursor.current() != nullptr;) {
    if (ids.contains(id_of(*cursor.current()))) return true;
    FUGO_TRY(cursor.advance());
  }
  return false;
}

// write_rest writes what is not of the set; no file when that is nothing.
template <typename Codec>
Result<Rewritten> write_rest(const BulkPlace& place, const BulkFile& file, const IdSet& ids,
                             FileNumber number) {
  Rewritten rewritten;
  FUGO_ASSIGN(rewritten.concerned, holds_any<Codec>(file, ids));
  if (!rewritten.concerned) return rewritten;
  FUGO_ASSIGN(auto writer, EntryWriter<Codec>::create(place, number, file.row().generation));
  FUGO_ASSIGN(auto piece, SecretArray<typename Codec::Entry>::create(kPiece));
  FUGO_ASSIGN(auto cursor, RunCursor<Codec>::create(file, 0, file.row().entries));
  std::uint64_t kept = 0;
  std::size_t filled = 0;
  while (cursor.current() != nullptr) {
    if (ids.contains(id_of(*cursor.current()))) {
      ++rewritten.erased;
      note(*cursor.current(), rewritten);
    } else {
      piece[filled++] = *cursor.current(), ++kept;
    }
    FUGO_TRY(cursor.advance());
    if (filled == kPiece || cursor.current() == nullptr) {
      FUGO_TRY(writer.append(piece.span().first(filled)));
      filled = 0;
    }
  }
  if (kept == 0) return rewritten;  // the writer takes its empty file away again
  FUGO_ASSIGN(rewritten.made, writer.finish());
  return rewritten;
}

// write_tombstones writes all records, with nothing left of those of the set.
Result<Rewritten> write_tombstones(const BulkPlace& place, const BulkFile& file, const IdSet& ids,
                                   FileNumber number) {
  const FileRow& row = file.row();
  Rewritten rewritten;
  rewritten.concerned = ids.any_in(row.first_id, row.entries);
  if (!rewritten.concerned) return rewritten;
  FUGO_ASSIGN(auto writer,
              EntryWriter<PersonCodec>::create(place, number, row.generation, row.first_id));
  FUGO_ASSIGN(auto piece, SecretArray<PersonRecord>::create(kPiece));
  FUGO_ASSIGN(auto cursor, RunCursor<PersonCodec>::create(file, 0, row.entries));
  PersonId id = row.first_id;
  for (std::size_t filled = 0; cursor.current() != nullptr; ++id) {
    piece[filled] = *cursor.current();
    if (ids.contains(id)) {
      if (piece[filled].state != PersonState::kDeleted) ++rewritten.erased;
      piece[filled] = PersonCodec::tombstone();
    }
    ++filled;
    FUGO_TRY(cursor.advance());
    if (filled == kPiece || cursor.current() == nullptr) {
      FUGO_TRY(writer.append(piece.span().first(filled)));
      filled = 0;
    }
  }
  FUGO_ASSIGN(rewritten.made, writer.finish());
  return rewritten;
}

Result<Rewritten> rewrite(const BulkPlace& place, const FileRow& row, const IdSet& ids,
                          FileNumber number) {
  FUGO_ASSIGN(const auto file, BulkFile::open(place, row));
  file->advise_sequential();
  switch (row.kind) {
    case FileKind::kPerson:
      return write_tombstones(place, *file, ids, number);
    case FileKind::kIndex:
      return write_rest<IndexCodec>(place, *file, ids, number);
    case FileKind::kIssued:
      return write_rest<IssuedCodec>(place, *file, ids, number);
  }
  return file->damaged(BlockReader::kNone, "is of no kind");
}

void count(const FileRow& row, const Rewritten& rewritten, ErasedFiles& files) {
  if (row.kind == FileKind::kPerson) files.people += rewritten.erased;
  if (row.kind == FileKind::kIndex) files.index_entries += rewritten.erased;
  files.issued.insert(files.issued.end(), rewritten.issued.begin(), rewritten.issued.end());
}

}  // namespace

IdSet::IdSet(std::span<const PersonId> sorted, PersonId limit) : sorted_(sorted), bits_(limit) {
  for (const PersonId id : sorted_)
    if (id < limit) bits_[id] = true;
}

bool IdSet::any_in(PersonId first, std::uint64_t count) const {
  const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), first);
  return at != sorted_.end() && *at - first < count;
}

Result<ErasedFiles> write_without(const BulkPlace& place, std::span<const FileRow> rows,
                                  const IdSet& ids, FileNumber first_number, std::size_t threads) {
  ErasedFiles files;
  std::mutex mutex;  // of files
  auto written = parallel_ranges(
      rows.size(), 1, threads, [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        for (std::size_t i = first; i < last; ++i) {
          FUGO_ASSIGN(const Rewritten one, rewrite(place, rows[i], ids, first_number + i));
          if (!one.concerned) continue;
          const std::lock_guard lock(mutex);
          files.old_files.push_back(rows[i]);
          if (one.made) files.new_files.push_back(*one.made);
          count(rows[i], one, files);
        }
        return {};
      });
  if (written && !files.new_files.empty()) written = sync_directory(place.directory);
  if (!written) {
    remove_bulk_files(place, files.new_files);
    return tl::unexpected<Error>(std::move(written).error());
  }
  return files;
}

}  // namespace fugo::keystore
