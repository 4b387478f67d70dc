// The stored form of each small row. docs/spec/ledger.md, "LMDB tables", says it byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "keystore/bulk_files.h"
#include "keystore/ledger.h"
#include "keystore/seal.h"
#include "keystore/types.h"

namespace fugo::keystore {

// StatDay is one row of the table of statistics: everything that was counted on one day.
struct StatDay {
  std::string day;
  std::vector<StatRow> rows;
  std::size_t agencies = 0;  // in the registry: the row is as long as if each were in it
};

// JobIdRow leads from a request's id to its job.
struct JobIdRow {
  JobNumber number = 0;
};

// encode_row gives the content that is then sealed. Its length tells nothing of the numbers in it:
// it is that with the largest ones, and a multiple of 64 (docs/spec/ledger.md). kRefused, naming
// the field, when a value is longer or larger than what may be stored. Instances: the types listed
// below.
template <typename Row>
[[nodiscard]] Result<WipedBytes> encode_row(const Row& row);

// decode_row is strict: every field must be there, of its type and in its range, and no other.
// kDamaged (without a place) otherwise.
template <typename Row>
[[nodiscard]] Result<Row> decode_row(ByteView content);

#define FUGO_ROW(Row)                                        \
  extern template Result<WipedBytes> encode_row(const Row&); \
  extern template Result<Row> decode_row(ByteView)
FUGO_ROW(LedgerState);
FUGO_ROW(Agency);
FUGO_ROW(KeyRow);
FUGO_ROW(GenerationRow);
FUGO_ROW(JobRow);
FUGO_ROW(JobIdRow);
FUGO_ROW(SegmentRow);
FUGO_ROW(StatDay);
#undef FUGO_ROW
// Of fixed layout, not CBOR: file rows hold keys, and only our own buffers see those.
template <>
[[nodiscard]] Result<WipedBytes> encode_row(const FileRow& row);
template <>
[[nodiscard]] Result<FileRow> decode_row(ByteView content);
template <>
[[nodiscard]] Result<WipedBytes> encode_row(const PersonPatch& row);
template <>
[[nodiscard]] Result<PersonPatch> decode_row(ByteView content);
// An entry with `previous` and `hash` in front of the CBOR that the hash is over. Encoding fills
// hash in by journal_hash; decoding fails when it does not agree with the content.
template <>
[[nodiscard]] Result<WipedBytes> encode_row(const JournalEntry& row);
template <>
[[nodiscard]] Result<JournalEntry> decode_row(ByteView content);

// journal_hash is SHA-256 over `previous` and the encoded rest of the entry.
[[nodiscard]] Result<std::array<std::uint8_t, 32>> journal_hash(const JournalEntry& entry);

// The header's row is not sealed: magic "fugoLDGR", schema as 4 bytes, CBOR, SHA-256. decode_header
// answers kRefused for another schema, and kDamaged when it is no header or was changed.
[[nodiscard]] Result<std::vector<std::uint8_t>> encode_header(const LedgerHeader& header);
[[nodiscard]] Result<LedgerHeader> decode_header(ByteView content);

}  // namespace fugo::keystore
