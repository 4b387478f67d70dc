// The Snapshot over a set of mapped bulk files.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "keystore/bulk_files.h"
#include "keystore/bulk_reader.h"
#include "keystore/snapshot.h"

namespace fugo::keystore {

// FileSnapshot: see open_snapshot and Snapshot. Immutable after open().
class FileSnapshot final : public Snapshot {
 public:
  [[nodiscard]] static Result<std::shared_ptr<const Snapshot>> open(
      const BulkPlace& place, std::vector<FileRow> rows, std::shared_ptr<const PatchTable> patches,
      const FileSnapshot* previous);

  [[nodiscard]] Status find_people(Generation generation,
                                   std::span<const std::uint64_t> sorted_digests,
                                   std::vector<IndexHit>& hits) const override;
  [[nodiscard]] Status read_people(Generation generation, std::span<const PersonId> sorted_ids,
                                   std::span<PersonRecord> records) const override;
  [[nodiscard]] Status read_people_range(Generation generation, PersonId first,
                                         std::span<PersonRecord> records) const override;
  [[nodiscard]] Status find_issued(std::span<const IssuedKey> sorted_keys,
                                   std::span<SegmentNumber> segments) const override;
  [[nodiscard]] Status scan_issued(AgencyNumber agency, PersonId first, PersonId last,
                                   const VisitIssued& visit) const override;
  [[nodiscard]] Status scan_newly_issued(AgencyNumber agency, std::span<const FileNumber> known,
                                         const VisitIssued& visit) const override;
  [[nodiscard]] Result<std::uint64_t> count_issued(AgencyNumber agency) const override;
  [[nodiscard]] Status scan_index(Generation generation, const VisitIndex& visit) const override;
  [[nodiscard]] std::span<const PersonPatch> patches() const override { return patches_->rows; }
  [[nodiscard]] bool any_patched() const override { return !patches_->rows.empty(); }
  [[nodiscard]] PersonState state_of(PersonId id) const override;
  [[nodiscard]] SegmentNumber superseded_in(PersonId id) const override;
  [[nodiscard]] std::uint16_t probe_to() const override { return patches_->probe_to; }
  [[nodiscard]] PersonId people() const override { return people_; }
  [[nodiscard]] const std::vector<FileRow>& files() const override { return rows_; }

  // find_file is null for a number that the manifest did not name.
  [[nodiscard]] const BulkFile* find_file(FileNumber number) const {
    const auto found = open_.find(number);
    return found == open_.end() ? nullptr : found->second.get();
  }

 private:
  using Files = std::vector<std::shared_ptr<const BulkFile>>;

  FileSnapshot() = default;
  [[nodiscard]] Status arrange_people();
  [[nodiscard]] const Files& files_of(const std::map<Generation, Files>& by_generation,
                                      Generation generation) const;
  [[nodiscard]] const PersonPatch* last_patch_of(PersonId id) const;
  void apply_patches(PersonId first, std::span<PersonRecord> records) const;

  std::vector<FileRow> rows_;
  std::shared_ptr<const PatchTable> patches_;  // never null
  std::map<FileNumber, std::shared_ptr<const BulkFile>> open_;
  std::map<Generation, Files> people_files_;  // ascending by first id
  std::map<Generation, Files> index_files_;
  Files issued_files_;
  PersonId people_ = 0;
};

}  // namespace fugo::keystore
