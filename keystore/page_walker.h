// An own reader of LMDB's file format that says whether a file is sound before LMDB touches it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace fugo::keystore {

// PageFinding is one thing that is wrong. It holds no byte of any key or value.
struct PageFinding {
  std::uint64_t page = 0;
  std::string what;
};

// PageReport is what check_pages found in a file. Counts are of the newest snapshot.
struct PageReport {
  std::uint64_t transaction = 0;      // of the newest commit
  std::uint64_t pages = 0;            // last page number + 1
  std::uint64_t reached = 0;          // pages of trees and of values on pages of their own
  std::uint64_t free = 0;             // pages that the free list names
  std::uint64_t trees = 0;            // free list, main tree and named databases
  std::uint64_t entries = 0;          // of the main tree and the named databases
  std::uint64_t finding_count = 0;    // all of them; `findings` holds the first kMaxFindings
  std::vector<PageFinding> findings;  //
  static constexpr std::size_t kMaxFindings = 20;

  [[nodiscard]] bool sound() const { return finding_count == 0; }
  // text is one line for a person: the first finding, and how many more there are.
  [[nodiscard]] std::string text() const;
};

// check_pages reads LMDB's data file `path` ("data.mdb", format of LMDB 0.9, 64 bits, little
// endian; no DUPSORT, no INTEGERKEY in databases of ours) with pread(2) and checks the structure
// of both snapshots that it holds, the newest and the one before it:
//   both meta pages; each tree: flags, depth, counts of pages and entries; each page: number,
//   kind, bounds, nodes that fill it without gap or overlap; keys ascending and between the keys
//   of the parents; each page reached once; the free list: ascending, in range, nothing twice and
//   nothing that is in use; and every page of the file is either in use or free.
// Not looked at: contents of values, bytes that nothing uses, and what cannot be told from
// the structure (a key changed so that the order stays, a value's length within its room).
// Any input is survived. Memory: 2 bits a page and at most 33 pages.
// Other processes may commit meanwhile: when one did and something was found, all is read again.
// kIo when the file cannot be read; kRefused when it never held still.
[[nodiscard]] Result<PageReport> check_pages(const std::filesystem::path& path);

}  // namespace fugo::keystore
