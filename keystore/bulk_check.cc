// Checking every byte of a bulk file.
#include "keystore/bulk_files.h"
#include "keystore/bulk_reader.h"
#include "keystore/file_snapshot.h"

namespace fugo::keystore {
namespace {

using Progress = std::function<void(std::uint64_t)>;

template <typename Codec>
Status check_entries(const BulkFile& file, const Progress& progress) {
  std::span<const std::uint64_t> fences;
  if constexpr (Codec::kLayout.fences) {
    FUGO_ASSIGN(fences, file.fences());
  }
  FUGO_ASSIGN(auto reader, BlockReader::create(file));
  SecretArray<typename Codec::Entry> pair;  // the entry before, and this one
  FUGO_ASSIGN(pair, SecretArray<typename Codec::Entry>::create(2));
  bool first = true;
  for (std::uint64_t block = 0; block < file.data_blocks(); ++block) {
    const std::uint8_t* plain = reader.load(block);
    if (plain == nullptr) return reader.failure(block);
    for (std::size_t i = 0; i < file.entries_in(block); ++i) {
      const std::uint8_t* stored = plain + i * Codec::kLayout.entry_bytes;
      if (!Codec::well_formed(stored)) return file.damaged(block, "has an entry that is no entry");
      Codec::decode(stored, pair[1]);
      if (!first && !Codec::before(pair[0], pair[1]))
        return file.damaged(block, "has entries that are not in order");
      if (Codec::kLayout.fences && i == 0 && fences[block] != Codec::key(pair[1]))
        return file.damaged(block, "has a fence that is not its first entry");
      pair[0] = pair[1];
      first = false;
    }
    if (progress) progress(kBlockBytes);
  }
  if (progress) progress(file.row().bytes - file.data_blocks() * kBlockBytes);
  return {};
}

Status check_open_file(const BulkFile& file, const Progress& progress) {
  switch (file.row().kind) {
    case FileKind::kPerson:
      return check_entries<PersonCodec>(file, progress);
    case FileKind::kIndex:
      return check_entries<IndexCodec>(file, progress);
    case FileKind::kIssued:
      return check_entries<IssuedCodec>(file, progress);
  }
  return file.damaged(BlockReader::kNone, "is of no kind");
}

}  // namespace

Status check_file(const BulkPlace& place, const FileRow& row, const Progress& progress) {
  FUGO_ASSIGN(const auto file, BulkFile::open(place, row));
  file->advise_sequential();
  return check_open_file(*file, progress);
}

Status check_file_of(const Snapshot& snapshot, const FileRow& row, const Progress& progress) {
  const auto* files = dynamic_cast<const FileSnapshot*>(&snapshot);
  const BulkFile* file = files == nullptr ? nullptr : files->find_file(row.number);
  if (file == nullptr || file->row() != row)
    return fail(ErrorCode::kInternal, "the snapshot has no such file", bulk_file_name(row.number));
  return check_open_file(*file, progress);
}

}  // namespace fugo::keystore
