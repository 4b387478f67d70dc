#include "keystore/rows.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "keystore/json_depth.h"
#include "keystore/row_fields.h"
#include "keystore/seal.h"

namespace fugo::keystore {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic{'f', 'u', 'g', 'o', 'L', 'D', 'G', 'R'};

template <typename Row>
Result<FieldWriter> write_fields(const Row& row) {
  FieldWriter writer;
  fields(writer, row);
  if (!writer.good())
    return fail(ErrorCode::kRefused, "the value is too long, too large or out of its range",
                writer.bad(), "give a shorter or smaller one");
  return writer;
}

template <typename Row>
Result<std::vector<std::uint8_t>> to_cbor(const Row& row) {
  FUGO_ASSIGN(const auto writer, write_fields(row));
  return writer.encoded();
}

// Padding method 2 of ISO/IEC 9797-1, to a multiple of `step` with room for `more` bytes.
constexpr std::uint8_t kPadding = 0x80;
void pad(std::vector<std::uint8_t>& content, std::size_t more, std::size_t step) {
  const std::size_t least = content.size() + 1 + more;
  content.push_back(kPadding);
  content.resize((least + step - 1) / step * step);
}
// without_padding is empty when there is none.
ByteView without_padding(ByteView content) {
  std::size_t size = content.size();
  while (size > 0 && content[size - 1] == 0) --size;
  return size > 0 && content[size - 1] == kPadding ? content.first(size - 1) : ByteView();
}

constexpr std::size_t kRowStep = 64, kEntryStep = 256;

// Of the agencies that had nothing on a day there is no row: there is room for them.
std::size_t absent_bytes(const StatDay& day) {
  const std::size_t slots = day.agencies + 1;  // 0 is that of rows without one
  const std::size_t rows = std::max<std::size_t>(day.rows.size(), 1);
  const std::size_t in_all = (rows + slots - 1) / slots * slots;
  const auto one = write_fields(StatRow{{}, 0, 1, 0, 0, 0});
  return one ? (in_all - day.rows.size()) * (one->encoded().size() + one->short_of()) : 0;
}

// The numbers of an entry's details are decimals: room for what they could be longer.
std::size_t short_decimals(const std::string& details) {
  constexpr std::size_t kMostDigits = 20;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t room = 0;
  for (std::size_t at = 1; at < details.size(); ++at) {
    if (!is_digit(details[at]) ||
        std::string_view(":,[").find(details[at - 1]) == std::string::npos)
      continue;
    std::size_t end = at;
    while (end < details.size() && is_digit(details[end])) ++end;
    room += kMostDigits - std::min(kMostDigits, end - at);
  }
  return room;
}

template <typename Row>
Status from_cbor(ByteView content, Row& row) {
  FieldReader reader(content);
  fields(reader, row);
  if (!reader.good())
    return fail(ErrorCode::kDamaged, "a row's field is missing, unknown or out of range",
                reader.bad(), "run fugo verify, and restore a backup");
  return {};
}

tl::unexpected<Error> malformed() {
  return fail(ErrorCode::kDamaged, "a row is not of its fixed form", {},
              "run fugo verify, and restore a backup");
}

constexpr std::size_t kFileBytes = 8 + 1 + 2 + 4 + 8 + 8 + 32;
constexpr std::size_t kPatchBytes = 4 + 2 + 1 + 4 + 4 + 4;
constexpr std::size_t kHashes = 64;

}  // namespace

template <typename Row>
Result<WipedBytes> encode_row(const Row& row) {
  FUGO_ASSIGN(const auto writer, write_fields(row));
  std::size_t more = writer.short_of();
  if constexpr (std::is_same_v<Row, StatDay>) more += absent_bytes(row);
  auto content = writer.encoded();
  content.reserve(content.size() + more + kRowStep);
  pad(content, more, kRowStep);
  return WipedBytes(std::move(content));
}

template <typename Row>
Result<Row> decode_row(ByteView content) {
  Row row{};
  FUGO_TRY(from_cbor(without_padding(content), row));
  if constexpr (std::is_same_v<Row, StatDay>)
    for (StatRow& stat : row.rows) stat.day = row.day;
  return row;
}

#define FUGO_ROW(Row)                                 \
  template Result<WipedBytes> encode_row(const Row&); \
  template Result<Row> decode_row(ByteView)
FUGO_ROW(LedgerState);
FUGO_ROW(Agency);
FUGO_ROW(KeyRow);
FUGO_ROW(GenerationRow);
FUGO_ROW(JobRow);
FUGO_ROW(JobIdRow);
FUGO_ROW(SegmentRow);
FUGO_ROW(StatDay);
FUGO_ROW(RunRow);
FUGO_ROW(RunAgencyRow);
#undef FUGO_ROW

template <>
Result<WipedBytes> encode_row(const FileRow& row) {
  WipedBytes content(kFileBytes);
  std::uint8_t* to = content.bytes().data();
  store_be<std::uint64_t>(to, row.number);
  to[8] = static_cast<std::uint8_t>(row.kind);
  store_be<std::uint16_t>(to + 9, row.generation);
  store_be<std::uint32_t>(to + 11, row.first_id);
  store_be<std::uint64_t>(to + 15, row.entries);
  store_be<std::uint64_t>(to + 23, row.bytes);
  std::copy_n(row.key.data(), row.key.size(), to + 31);
  return content;
}

template <>
Result<FileRow> decode_row(ByteView content) {
  if (content.size() != kFileBytes) return malformed();
  const std::uint8_t* from = content.data();
  FileRow row;
  row.number = load_be<std::uint64_t>(from);
  if (from[8] < 1 || from[8] > 3 || row.number == 0) return malformed();
  row.kind = static_cast<FileKind>(from[8]);
  row.generation = load_be<std::uint16_t>(from + 9);
  row.first_id = load_be<std::uint32_t>(from + 11);
  row.entries = load_be<std::uint64_t>(from + 15);
  row.bytes = load_be<std::uint64_t>(from + 23);
  std::copy_n(from + 31, row.key.size(), row.key.data());
  return row;
}

template <>
Result<WipedBytes> encode_row(const PersonPatch& row) {
  WipedBytes content(kPatchBytes);
  std::uint8_t* to = content.bytes().data();
  store_be<std::uint32_t>(to, row.id);
  store_be<std::uint16_t>(to + 4, row.generation);
  to[6] = static_cast<std::uint8_t>(row.state);
  store_be<std::uint32_t>(to + 7, row.predecessor);
  store_be<std::uint32_t>(to + 11, row.successor);
  store_be<std::uint32_t>(to + 15, row.superseded_in);
  return content;
}

template <>
Result<PersonPatch> decode_row(ByteView content) {
  if (content.size() != kPatchBytes) return malformed();
  const std::uint8_t* from = content.data();
  if (from[6] < 1 || from[6] > 3) return malformed();
  PersonPatch row;
  row.id = load_be<std::uint32_t>(from);
  row.generation = load_be<std::uint16_t>(from + 4);
  row.state = static_cast<PersonState>(from[6]);
  row.predecessor = load_be<std::uint32_t>(from + 7);
  row.successor = load_be<std::uint32_t>(from + 11);
  row.superseded_in = load_be<std::uint32_t>(from + 15);
  return row;
}

Result<std::array<std::uint8_t, 32>> journal_hash(const JournalEntry& entry) {
  FUGO_ASSIGN(const auto rest, to_cbor(entry));
  const std::array<ByteView, 2> parts{entry.previous, rest};
  return sha256(parts);
}

template <>
Result<WipedBytes> encode_row(const JournalEntry& row) {
  FUGO_ASSIGN(const auto writer, write_fields(row));
  const auto rest = writer.encoded();
  const std::array<ByteView, 2> parts{row.previous, rest};
  FUGO_ASSIGN(const auto hash, sha256(parts));
  const std::size_t more = writer.short_of() + short_decimals(row.details);
  std::vector<std::uint8_t> content;
  content.reserve(kHashes + rest.size() + more + 1 + kEntryStep);
  content.insert(content.end(), row.previous.begin(), row.previous.end());
  content.insert(content.end(), hash.begin(), hash.end());
  content.insert(content.end(), rest.begin(), rest.end());
  pad(content, more, kEntryStep);
  return WipedBytes(std::move(content));
}

template <>
Result<JournalEntry> decode_row(ByteView padded) {
  const ByteView content = without_padding(padded);
  if (content.size() <= kHashes) return malformed();
  JournalEntry row;
  FUGO_TRY(from_cbor(content.subspan(kHashes), row));
  std::copy_n(content.begin(), 32, row.previous.begin());
  std::copy_n(content.begin() + 32, 32, row.hash.begin());
  const std::array<ByteView, 2> parts{content.first(32), content.subspan(kHashes)};
  FUGO_ASSIGN(const auto hash, sha256(parts));
  if (hash != row.hash)
    return fail(ErrorCode::kDamaged, "a journal entry does not agree with its hash", {},
                "run fugo verify, and restore a backup");
  return row;
}

namespace {

constexpr std::size_t kHashBytes = 32;

// header_hash is SHA-256 over the header's row up to the hash, as if it had been written with
// `schema`. It tells accidents only; against a hand the state's row is bound to the header.
Result<std::array<std::uint8_t, kHashBytes>> header_hash(ByteView content, std::uint32_t schema) {
  std::array<std::uint8_t, 4> number{};
  store_be<std::uint32_t>(number.data(), schema);
  const ByteView parts[] = {content.first(kMagic.size()), number,
                            content.subspan(kMagic.size() + number.size())};
  return sha256(parts);
}

}  // namespace

Result<std::vector<std::uint8_t>> encode_header(const LedgerHeader& header) {
  FUGO_ASSIGN(const auto rest, to_cbor(header));
  std::vector<std::uint8_t> content(kMagic.begin(), kMagic.end());
  content.resize(kMagic.size() + 4);
  store_be<std::uint32_t>(&content[kMagic.size()], header.schema);
  content.insert(content.end(), rest.begin(), rest.end());
  FUGO_ASSIGN(const auto hash, header_hash(content, header.schema));
  content.insert(content.end(), hash.begin(), hash.end());
  return content;
}

Result<LedgerHeader> decode_header(ByteView content) {
  if (content.size() < kMagic.size() + 4 + kHashBytes ||
      !std::equal(kMagic.begin(), kMagic.end(), content.begin()))
    return fail(ErrorCode::kDamaged, "is not the header of a ledger of fugo", "header",
                "check the path, or restore a backup");
  const ByteView hashed = content.first(content.size() - kHashBytes);
  FUGO_ASSIGN(const auto hash, header_hash(hashed, kSchemaVersion));
  const bool ours = std::equal(hash.begin(), hash.end(), content.end() - kHashBytes);
  LedgerHeader header;
  header.schema = load_be<std::uint32_t>(&content[kMagic.size()]);
  if (header.schema != kSchemaVersion && !ours)
    return fail(ErrorCode::kRefused,
                "the ledger has schema " + std::to_string(header.schema) +
                    ", this program knows schema " + std::to_string(kSchemaVersion),
                "header",
                header.schema > kSchemaVersion ? "install the version of fugo that wrote it"
                                               : "open it with the version of fugo that wrote it");
  if (header.schema != kSchemaVersion || !ours)
    return fail(ErrorCode::kDamaged, "was changed since it was written", "header",
                "restore a backup");
  const ByteView rest = hashed.subspan(kMagic.size() + 4);
  constexpr std::size_t kDepth = 4;  // of a row that nobody sealed: anybody can write its hash
  if (!cbor_nests_at_most(rest, kDepth)) return malformed();
  FUGO_TRY(from_cbor(rest, header));
  return header;
}

}  // namespace fugo::keystore
