// Writing bulk files anew without certain people.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/bulk_files.h"
#include "keystore/types.h"

namespace fugo::keystore {

// IdSet is a set of people that is quick to ask: one bit for each id below the limit.
class IdSet {
 public:
  // create: `sorted` ascends and must outlive the set; `limit` is above all of them.
  IdSet(std::span<const PersonId> sorted, PersonId limit);
  [[nodiscard]] bool contains(PersonId id) const { return id < bits_.size() && bits_[id]; }
  // any_in tells whether one of [first, first + count) is in the set.
  [[nodiscard]] bool any_in(PersonId first, std::uint64_t count) const;

 private:
  std::span<const PersonId> sorted_;
  std::vector<bool> bits_;
};

// ErasedFiles is what rewriting came to.
struct ErasedFiles {
  std::vector<FileRow> old_files;  // that held something of the set
  std::vector<FileRow> new_files;  // instead of them: fewer where nothing was left of a file
  std::uint64_t people = 0, index_entries = 0;  // erased
  std::vector<IssuedEntry> issued;              // erased, in no order
};

// write_without writes a new file for each of `rows` that holds anything of `ids`: person files
// with tombstones in their places, index and issued without their entries (no file when nothing is
// left). New files have fresh keys and numbers from `first_number` on, below first_number +
// rows.size(); files and directory are synced. The old files stay. On failure nothing new stays.
// Reads every index and issued file through; memory does not grow with their size, only with what
// is erased.
[[nodiscard]] Result<ErasedFiles> write_without(const BulkPlace& place,
                                                std::span<const FileRow> rows, const IdSet& ids,
                                                FileNumber first_number, std::size_t threads);

}  // namespace fugo::keystore
