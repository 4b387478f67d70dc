// The layout of bulk files, as in docs/spec/ledger.md, "Bulk files". Stored: never change it
// without a new schema version.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"
#include "keystore/bulk_files.h"
#include "keystore/types.h"

namespace fugo::keystore {

inline constexpr std::size_t kBlockBytes = 1024;  // sealed: text and tag
inline constexpr std::size_t kTagBytes = 16;
inline constexpr std::size_t kPlainBytes = kBlockBytes - kTagBytes;
inline constexpr std::size_t kFenceBytes = 8;
inline constexpr std::size_t kFencesInBlock = kPlainBytes / kFenceBytes;

// PlainBlock is the text of one block. Secret.
using PlainBlock = SecretBytes<kPlainBytes>;

// BulkLayout is what differs between the kinds of files.
struct BulkLayout {
  FileKind kind;
  std::size_t entry_bytes;
  std::size_t entries_in_block;
  bool fences;
  const char* name;

  [[nodiscard]] constexpr std::uint64_t data_blocks(std::uint64_t entries) const {
    return (entries + entries_in_block - 1) / entries_in_block;
  }
  [[nodiscard]] constexpr std::uint64_t fence_blocks(std::uint64_t entries) const {
    return fences ? (data_blocks(entries) + kFencesInBlock - 1) / kFencesInBlock : 0;
  }
  [[nodiscard]] constexpr std::uint64_t file_bytes(std::uint64_t entries) const {
    return (data_blocks(entries) + fence_blocks(entries)) * kBlockBytes;
  }
};

// find_layout is null for a number that is no kind.
[[nodiscard]] const BulkLayout* find_layout(FileKind kind);

// file_place is what errors name: path and, from 0, block.
[[nodiscard]] std::string file_place(const BulkPlace& place, FileNumber number);

// derive_block_key gives the key of a file's blocks, bound to ledger, kind, generation and number.
[[nodiscard]] Status derive_block_key(const BulkPlace& place, const FileRow& row,
                                      SecretBytes<32>& key);

// load_fast and store_fast are load_be and store_be in one instruction.
template <typename Int>
[[nodiscard]] inline Int load_fast(const std::uint8_t* from) {
  Int value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof(Int) == 8) return __builtin_bswap64(value);
    if constexpr (sizeof(Int) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(Int) == 2) return __builtin_bswap16(value);
  }
  return value;
}

// A codec says how entries of one kind are stored and ordered:
//   kLayout, encode, decode; key (64 bits by which blocks are found) and before (the order).
struct PersonCodec {
  using Entry = PersonRecord;
  static constexpr BulkLayout kLayout{FileKind::kPerson, 48, 21, false, "person"};

  static void encode(const PersonRecord& person, std::uint8_t* to) {
    std::memcpy(to, person.linkage_symbol.bytes.data(), 16);
    store_be(to + 16, person.counter);
    std::memcpy(to + 18, person.check_value.data(), 8);
    to[26] = person.method;
    to[27] = static_cast<std::uint8_t>(person.state);
    store_be(to + 28, person.start);
    store_be(to + 30, person.predecessor);
    store_be(to + 34, person.successor);
    store_be(to + 38, person.segment);
    store_be(to + 42, person.superseded_in);
    std::memset(to + 46, 0, 2);
  }
  static void decode(const std::uint8_t* from, PersonRecord& person) {
    std::memcpy(person.linkage_symbol.bytes.data(), from, 16);
    person.counter = load_fast<std::uint16_t>(from + 16);
    std::memcpy(person.check_value.data(), from + 18, 8);
    person.method = from[26];
    person.state = static_cast<PersonState>(from[27]);
    person.start = load_fast<std::uint16_t>(from + 28);
    person.predecessor = load_fast<std::uint32_t>(from + 30);
    person.successor = load_fast<std::uint32_t>(from + 34);
    person.segment = load_fast<std::uint32_t>(from + 38);
    person.superseded_in = load_fast<std::uint32_t>(from + 42);
  }
  // tombstone is what stays of a deleted person, so that others keep their positions: nothing.
  static PersonRecord tombstone() {
    PersonRecord person;
    person.method = 0;
    person.start = 0;
    person.state = PersonState::kDeleted;
    person.predecessor = person.successor = 0;
    return person;
  }
  // well_formed: a known state, zeros where nothing is kept yet, and nothing but zeros of a
  // deleted person.
  static bool well_formed(const std::uint8_t* from) {
    static constexpr std::uint8_t kZeros[48] = {};
    if (from[27] == static_cast<std::uint8_t>(PersonState::kDeleted))
      return std::memcmp(from, kZeros, 27) == 0 && std::memcmp(from + 28, kZeros, 20) == 0;
    return from[27] >= 1 && from[27] <= 2 && std::memcmp(from + 46, kZeros, 2) == 0;
  }
  static std::uint64_t key(const PersonRecord&) { return 0; }
  static bool before(const PersonRecord&, const PersonRecord&) { return true; }  // by position
};

struct IndexCodec {
  using Entry = IndexEntry;
  static constexpr BulkLayout kLayout{FileKind::kIndex, 16, 63, true, "index"};

  static void encode(const IndexEntry& entry, std::uint8_t* to) {
    store_be(to, entry.digest);
    store_be(to + 8, entry.id);
    store_be(to + 12, entry.tag);
  }
  static void decode(const std::uint8_t* from, IndexEntry& entry) {
    entry.digest = load_fast<std::uint64_t>(from);
    entry.id = load_fast<std::uint32_t>(from + 8);
    entry.tag = load_fast<std::uint32_t>(from + 12);
  }
  static bool well_formed(const std::uint8_t*) { return true; }
  static std::uint64_t key(const IndexEntry& entry) { return entry.digest; }
  static std::uint64_t stored_key(const std::uint8_t* from) {
    return load_fast<std::uint64_t>(from);
  }
  static bool before(const IndexEntry& a, const IndexEntry& b) {
    return a.digest != b.digest ? a.digest < b.digest : a.id < b.id;
  }
};

struct IssuedCodec {
  using Entry = IssuedEntry;
  static constexpr BulkLayout kLayout{FileKind::kIssued, 10, 100, true, "issued"};

  static void encode(const IssuedEntry& entry, std::uint8_t* to) {
    store_be(to, entry.key.agency);
    store_be(to + 2, entry.key.id);
    store_be(to + 6, entry.segment);
  }
  static void decode(const std::uint8_t* from, IssuedEntry& entry) {
    entry.key.agency = load_fast<std::uint16_t>(from);
    entry.key.id = load_fast<std::uint32_t>(from + 2);
    entry.segment = load_fast<std::uint32_t>(from + 6);
  }
  static bool well_formed(const std::uint8_t*) { return true; }
  // key is agency(2) | id(4) | zeros(2), also the fence.
  static std::uint64_t key(const IssuedKey& k) {
    return (std::uint64_t{k.agency} << 48U) | (std::uint64_t{k.id} << 16U);
  }
  static std::uint64_t key(const IssuedEntry& entry) { return key(entry.key); }
  static std::uint64_t stored_key(const std::uint8_t* from) {
    // Eight bytes are always there: an entry has ten. The last two are the segment's.
    return load_fast<std::uint64_t>(from) & ~std::uint64_t{0xFFFF};
  }
  static bool before(const IssuedEntry& a, const IssuedEntry& b) { return key(a) < key(b); }
};

}  // namespace fugo::keystore
