#include "keystore/file_snapshot.h"

#include <algorithm>
#include <array>

#include "keystore/key_search.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kQueriesAtOnce = 1024;  // their hits are put in order within the cache
constexpr std::size_t kPiece = 1008;          // entries given to a visitor at once

// PeopleReader reads records of ascending ids over the person files of one generation.
class PeopleReader {
 public:
  explicit PeopleReader(std::span<const std::shared_ptr<const BulkFile>> files) : files_(files) {}

  Status read(PersonId id, PersonRecord& record) {
    if (!reader_ || id >= end_) FUGO_TRY(seek(id));
    const std::uint64_t position = id - first_;
    const std::uint64_t block = position / kInBlock;
    const std::uint8_t* plain = reader_->load(block);
    if (plain == nullptr) return reader_->failure(block);
    PersonCodec::decode(plain + (position % kInBlock) * PersonCodec::kLayout.entry_bytes, record);
    return {};
  }

 private:
  static constexpr std::size_t kInBlock = PersonCodec::kLayout.entries_in_block;

  Status seek(PersonId id) {
    const auto after = std::upper_bound(
        files_.begin(), files_.end(), id,
        [](PersonId value, const auto& file) { return value < file->row().first_id; });
    const BulkFile* file = after == files_.begin() ? nullptr : std::prev(after)->get();
    if (file == nullptr || id - file->row().first_id >= file->row().entries)
      return fail(ErrorCode::kDamaged, "no record of person " + std::to_string(id), "person files",
                  "run fugo verify");
    reader_.reset();
    FUGO_ASSIGN(auto reader, BlockReader::create(*file));
    reader_.emplace(std::move(reader));
    first_ = file->row().first_id;
    end_ = first_ + file->row().entries;
    return {};
  }

  std::span<const std::shared_ptr<const BulkFile>> files_;
  std::optional<BlockReader> reader_;
  std::uint64_t first_ = 0;
  std::uint64_t end_ = 0;
};

template <typename Codec>
Result<std::vector<KeySearch<Codec>>> searches_over(
    std::span<const std::shared_ptr<const BulkFile>> files) {
  std::vector<KeySearch<Codec>> searches;
  searches.reserve(files.size());
  for (const auto& file : files) {
    FUGO_ASSIGN(auto search, KeySearch<Codec>::create(*file));
    searches.push_back(std::move(search));
  }
  return searches;
}

// Slice is the positions [first, last) of an agency's entries with ids of a range in one file.
struct Slice {
  std::uint64_t first = 0, last = 0;
};

Result<Slice> slice_of(const BulkFile& file, AgencyNumber agency, PersonId first, PersonId last) {
  FUGO_ASSIGN(auto search, KeySearch<IssuedCodec>::create(file));
  Slice slice;
  FUGO_ASSIGN(slice.first, search.position(IssuedCodec::key(IssuedKey{agency, first})));
  FUGO_ASSIGN(slice.last, search.position(IssuedCodec::key(IssuedKey{agency, last})));
  return slice;
}

Status add_slice(RunMerger<IssuedCodec>& merger, const BulkFile& file, AgencyNumber agency,
                 PersonId first, PersonId last) {
  FUGO_ASSIGN(const auto slice, slice_of(file, agency, first, last));
  if (slice.first == slice.last) return {};
  FUGO_ASSIGN(auto cursor, RunCursor<IssuedCodec>::create(file, slice.first, slice.last));
  merger.add(std::move(cursor));
  return {};
}

Status visit_all(RunMerger<IssuedCodec>& merger, const Snapshot::VisitIssued& visit) {
  std::array<IssuedEntry, kPiece> piece;
  for (;;) {
    FUGO_ASSIGN(const std::size_t count, merger.next(piece));
    if (count == 0) return {};
    FUGO_TRY(visit(std::span(piece).first(count)));
  }
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> open_snapshot(
    const BulkPlace& place, std::vector<FileRow> rows, std::shared_ptr<const PatchTable> patches,
    const std::shared_ptr<const Snapshot>& previous) {
  return FileSnapshot::open(place, std::move(rows), std::move(patches),
                            dynamic_cast<const FileSnapshot*>(previous.get()));
}

Result<std::shared_ptr<const Snapshot>> FileSnapshot::open(
    const BulkPlace& place, std::vector<FileRow> rows, std::shared_ptr<const PatchTable> patches,
    const FileSnapshot* previous) {
  std::shared_ptr<FileSnapshot> snapshot(new FileSnapshot());
  snapshot->rows_ = std::move(rows);
  snapshot->patches_ = patches ? std::move(patches) : std::make_shared<const PatchTable>();
  for (const FileRow& row : snapshot->rows_) {
    std::shared_ptr<const BulkFile> file;
    if (previous != nullptr) {
      const auto known = previous->open_.find(row.number);
      if (known != previous->open_.end() && known->second->row() == row) file = known->second;
    }
    if (!file) {
      FUGO_ASSIGN(file, BulkFile::open(place, row));
    }
    if (!snapshot->open_.emplace(row.number, file).second)
      return fail(ErrorCode::kDamaged, "the manifest names this file twice",
                  file_place(place, row.number));
    if (row.kind == FileKind::kPerson) snapshot->people_files_[row.generation].push_back(file);
    if (row.kind == FileKind::kIndex) snapshot->index_files_[row.generation].push_back(file);
    if (row.kind == FileKind::kIssued) snapshot->issued_files_.push_back(file);
  }
  FUGO_TRY(snapshot->arrange_people());
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Status FileSnapshot::arrange_people() {
  for (auto& [generation, files] : people_files_) {
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return a->row().first_id < b->row().first_id; });
    std::uint64_t next = 0;
    for (const auto& file : files) {
      if (file->row().first_id != next)
        return file->damaged(BlockReader::kNone,
                             "does not follow on from the person file before it");
      next += file->row().entries;
      if (next > kNoPerson)
        return file->damaged(BlockReader::kNone, "goes beyond the last id of a person");
    }
    people_ = std::max(people_, static_cast<PersonId>(next));
  }
  return {};
}

const FileSnapshot::Files& FileSnapshot::files_of(const std::map<Generation, Files>& by_generation,
                                                  Generation generation) const {
  static const Files kNoFiles;
  const auto found = by_generation.find(generation);
  return found == by_generation.end() ? kNoFiles : found->second;
}

Status FileSnapshot::find_people(Generation generation,
                                 std::span<const std::uint64_t> sorted_digests,
                                 std::vector<IndexHit>& hits) const {
  FUGO_ASSIGN(auto searches, searches_over<IndexCodec>(files_of(index_files_, generation)));
  const auto by_query = [](const IndexHit& a, const IndexHit& b) { return a.query < b.query; };
  for (std::size_t first = 0; first < sorted_digests.size(); first += kQueriesAtOnce) {
    const std::size_t last = std::min(first + kQueriesAtOnce, sorted_digests.size());
    const std::size_t start = hits.size();
    for (auto& search : searches) {
      const std::size_t middle = hits.size();
      for (std::size_t i = first; i < last; ++i)
        FUGO_TRY(search.find(sorted_digests[i], [&](const IndexEntry& entry) {
          hits.push_back({static_cast<std::uint32_t>(i), entry.id, entry.tag});
        }));
      std::inplace_merge(hits.begin() + static_cast<std::ptrdiff_t>(start),
                         hits.begin() + static_cast<std::ptrdiff_t>(middle), hits.end(), by_query);
    }
  }
  return {};
}

Status FileSnapshot::find_issued(std::span<const IssuedKey> sorted_keys,
                                 std::span<SegmentNumber> segments) const {
  std::fill(segments.begin(), segments.end(), kNoSegment);
  for (const auto& file : issued_files_) {
    FUGO_ASSIGN(auto search, KeySearch<IssuedCodec>::create(*file));
    for (std::size_t i = 0; i < sorted_keys.size(); ++i)
      FUGO_TRY(search.find(IssuedCodec::key(sorted_keys[i]),
                           [&](const IssuedEntry& entry) { segments[i] = entry.segment; }));
  }
  return {};
}

Status FileSnapshot::read_people(Generation generation, std::span<const PersonId> sorted_ids,
                                 std::span<PersonRecord> records) const {
  PeopleReader reader(files_of(people_files_, generation));
  for (std::size_t i = 0; i < sorted_ids.size(); ++i) {
    FUGO_TRY(reader.read(sorted_ids[i], records[i]));
    if (any_patched()) apply_patches(sorted_ids[i], records.subspan(i, 1));
  }
  return {};
}

Status FileSnapshot::read_people_range(Generation generation, PersonId first,
                                       std::span<PersonRecord> records) const {
  PeopleReader reader(files_of(people_files_, generation));
  if (records.size() > kNoPerson - first)
    return fail(ErrorCode::kDamaged, "ids beyond the last possible one", "person files");
  for (std::size_t i = 0; i < records.size(); ++i)
    FUGO_TRY(reader.read(first + static_cast<PersonId>(i), records[i]));
  apply_patches(first, records);
  return {};
}

void FileSnapshot::apply_patches(PersonId first, std::span<PersonRecord> records) const {
  const std::span<const PersonPatch> all = patches();
  auto patch = std::lower_bound(all.begin(), all.end(), first,
                                [](const PersonPatch& p, PersonId id) { return p.id < id; });
  for (; patch != all.end() && patch->id - first < records.size(); ++patch) {
    PersonRecord& record = records[patch->id - first];
    record.state = patch->state;
    record.predecessor = patch->predecessor;
    record.successor = patch->successor;
    record.superseded_in = patch->superseded_in;
  }
}

const PersonPatch* FileSnapshot::last_patch_of(PersonId id) const {
  const std::span<const PersonPatch> all = patches();
  const auto after = std::upper_bound(all.begin(), all.end(), id,
                                      [](PersonId i, const PersonPatch& p) { return i < p.id; });
  if (after == all.begin() || std::prev(after)->id != id) return nullptr;
  return &*std::prev(after);
}

PersonState FileSnapshot::state_of(PersonId id) const {
  const PersonPatch* patch = last_patch_of(id);
  return patch == nullptr ? PersonState::kActive : patch->state;
}

SegmentNumber FileSnapshot::superseded_in(PersonId id) const {
  const PersonPatch* patch = last_patch_of(id);
  return patch == nullptr ? kNoSegment : patch->superseded_in;
}

Status FileSnapshot::scan_issued(AgencyNumber agency, PersonId first, PersonId last,
                                 const VisitIssued& visit) const {
  RunMerger<IssuedCodec> merger;
  for (const auto& file : issued_files_) FUGO_TRY(add_slice(merger, *file, agency, first, last));
  return visit_all(merger, visit);
}

Status FileSnapshot::scan_newly_issued(AgencyNumber agency, std::span<const FileNumber> known,
                                       const VisitIssued& visit) const {
  RunMerger<IssuedCodec> merger;
  for (const auto& file : issued_files_)
    if (!std::binary_search(known.begin(), known.end(), file->row().number))
      FUGO_TRY(add_slice(merger, *file, agency, 0, kNoPerson));
  return visit_all(merger, visit);
}

Result<std::uint64_t> FileSnapshot::count_issued(AgencyNumber agency) const {
  std::uint64_t count = 0;
  for (const auto& file : issued_files_) {
    FUGO_ASSIGN(const auto slice, slice_of(*file, agency, 0, kNoPerson));
    count += slice.last - slice.first;
  }
  return count;
}

Status FileSnapshot::scan_index(Generation generation, const VisitIndex& visit) const {
  std::array<IndexEntry, IndexCodec::kLayout.entries_in_block> piece;
  for (const auto& file : files_of(index_files_, generation)) {
    FUGO_ASSIGN(auto reader, BlockReader::create(*file));
    for (std::uint64_t block = 0; block < file->data_blocks(); ++block) {
      const std::uint8_t* plain = reader.load(block);
      if (plain == nullptr) return reader.failure(block);
      const std::size_t count = file->entries_in(block);
      for (std::size_t i = 0; i < count; ++i)
        IndexCodec::decode(plain + i * IndexCodec::kLayout.entry_bytes, piece[i]);
      FUGO_TRY(visit(std::span(piece).first(count)));
    }
  }
  return {};
}

}  // namespace fugo::keystore
