// The facts of LMDB 0.9's file format that page_walker.cc checks (data version 1, 64 bits, little
// endian), and their decoding from bytes that nobody has checked yet.
//
// A file is pages of one size (a power of two, that of the machine's memory pages unless a copy
// came from another machine). Page 0 and 1 are meta pages; a commit of transaction t writes meta
// page t mod 2, so the other one still names the snapshot before it, whose pages are intact: a
// transaction reuses only pages that were freed two or more commits ago.
//
// Every page begins with 16 bytes, except the second and later pages of an overflow chain:
//    0  page number (8)     8  unused (2)    10  flags (2): branch 1, leaf 2, overflow 4, meta 8
//   12  lower (2)  14  upper (2), or in an overflow page 12 number of pages in the chain (4)
// A tree page: `lower` ends an array of 2-byte node offsets, sorted by key, which begins at 16;
// nodes fill the page from `upper` to its end without a gap; each takes an even number of bytes.
// A node: 0 low 16 bits, 2 high 16 bits, 4 flags (2), 6 size of key (2), 8 key, then value.
//   In a branch page the first three are the child's page number (48 bits), there is no value,
//   and the first node's key is not used. In a leaf page the first two are the value's size;
//   flag 1: the value is in an overflow chain and 8 bytes are its page number; flag 2: the value
//   is the 48-byte record of a named database (main tree only); flag 4: duplicates (not here).
// A tree's record: 0 pad (4)  4 flags (2)  6 depth (2)  8 branch pages (8)  16 leaf pages (8)
//   24 overflow pages (8)  32 entries (8)  40 root page (8), all ones for an empty tree.
// A meta page after its 16 bytes: 0 magic (4)  4 version (4)  8 address (8, 0)  16 map size (8)
//   24 record of the free list, whose pad is the page size and whose flags are the file's
//   72 record of the main tree   120 last page number (8)   128 transaction (8)
// The free list is a tree with 8-byte keys, numbers of the transactions that freed the pages; a
// value is a count and so many 8-byte page numbers, descending.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace fugo::keystore::pages {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kNodeHeaderSize = 8;
inline constexpr std::size_t kTreeRecordSize = 48;
inline constexpr std::size_t kMetaSize = kHeaderSize + 136;
inline constexpr std::size_t kMaxPageSize = 32768;
inline constexpr std::size_t kMinPageSize = 512;
inline constexpr std::size_t kMaxKeySize = 511;
inline constexpr unsigned kMaxDepth = 32;  // LMDB's own cursor stack
inline constexpr std::uint32_t kMagic = 0xBEEFC0DE;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kNoPage = ~std::uint64_t{0};
inline constexpr std::uint64_t kFirstTreePage = 2;

inline constexpr std::uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8;
inline constexpr std::uint16_t kBigData = 1, kSubData = 2;
inline constexpr std::uint16_t kIntegerKey = 8;     // of the free list's record
inline constexpr std::uint16_t kNoSubDir = 0x4000;  // stays in the file when it is not a directory

// load_le reads a little-endian integer; `from` holds at least sizeof(Int) bytes.
template <typename Int>
[[nodiscard]] inline Int load_le(const std::uint8_t* from) {
  Int value;
  std::memcpy(&value, from, sizeof(Int));
  return value;
}

struct TreeRecord {
  std::uint32_t pad = 0;
  std::uint16_t flags = 0, depth = 0;
  std::uint64_t branch_pages = 0, leaf_pages = 0, overflow_pages = 0, entries = 0, root = kNoPage;
};

// decode_tree: `from` holds kTreeRecordSize bytes.
[[nodiscard]] inline TreeRecord decode_tree(const std::uint8_t* from) {
  return {.pad = load_le<std::uint32_t>(from),
          .flags = load_le<std::uint16_t>(from + 4),
          .depth = load_le<std::uint16_t>(from + 6),
          .branch_pages = load_le<std::uint64_t>(from + 8),
          .leaf_pages = load_le<std::uint64_t>(from + 16),
          .overflow_pages = load_le<std::uint64_t>(from + 24),
          .entries = load_le<std::uint64_t>(from + 32),
          .root = load_le<std::uint64_t>(from + 40)};
}

struct Header {
  std::uint64_t number = 0;
  std::uint16_t flags = 0, lower = 0, upper = 0;
  std::uint32_t chain = 0;
};

// decode_header: `from` holds kHeaderSize bytes.
[[nodiscard]] inline Header decode_header(const std::uint8_t* from) {
  return {.number = load_le<std::uint64_t>(from),
          .flags = load_le<std::uint16_t>(from + 10),
          .lower = load_le<std::uint16_t>(from + 12),
          .upper = load_le<std::uint16_t>(from + 14),
          .chain = load_le<std::uint32_t>(from + 12)};
}

struct Meta {
  Header header;
  std::uint32_t magic = 0, version = 0;
  std::uint64_t address = 0, map_size = 0;
  TreeRecord free, main;
  std::uint64_t last_page = 0, transaction = 0;

  [[nodiscard]] std::uint32_t page_size() const { return free.pad; }
};

// decode_meta: `from` holds kMetaSize bytes.
[[nodiscard]] inline Meta decode_meta(const std::uint8_t* from) {
  const std::uint8_t* body = from + kHeaderSize;
  return {.header = decode_header(from),
          .magic = load_le<std::uint32_t>(body),
          .version = load_le<std::uint32_t>(body + 4),
          .address = load_le<std::uint64_t>(body + 8),
          .map_size = load_le<std::uint64_t>(body + 16),
          .free = decode_tree(body + 24),
          .main = decode_tree(body + 72),
          .last_page = load_le<std::uint64_t>(body + 120),
          .transaction = load_le<std::uint64_t>(body + 128)};
}

// Node is a node that lies wholly inside its page. Views are into the page.
struct Node {
  std::uint16_t offset = 0, flags = 0;
  std::uint32_t size = 0;        // bytes that it takes in the page
  std::uint32_t value_size = 0;  // leaf
  std::uint64_t child = 0;       // branch: page; leaf with kBigData: first page of the chain
  ByteView key, value;           // value: as it lies in the page
};

// chain_length is how many pages a value of `size` bytes takes in an overflow chain.
[[nodiscard]] inline std::uint64_t chain_length(std::uint64_t size, std::uint64_t page_size) {
  return (kHeaderSize - 1 + size) / page_size + 1;
}

}  // namespace fugo::keystore::pages
