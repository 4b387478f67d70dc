#include "keystore/rows.h"

#include <algorithm>
#include <array>

#include "keystore/codec.h"
#include "keystore/seal.h"

namespace fugo::keystore {
namespace {

constexpr std::uint64_t kAny8 = 0xFF, kAny16 = 0xFFFF, kAny32 = 0xFFFFFFFF, kAny64 = ~0ULL;
constexpr std::size_t kName = 1024, kShort = 64, kDetails = 65536, kMostInDay = 1U << 20U;
constexpr std::array<std::uint8_t, 8> kMagic{'f', 'u', 'g', 'o', 'L', 'D', 'G', 'R'};

// number of entries below: each row's fields, for FieldWriter (row is const) and FieldReader.
template <typename Codec, typename Sum>
void sum_field(Codec& codec, const char* name, Sum& sum) {
  std::array<std::uint8_t, 32> bytes{};  // a 256-bit big-endian number
  for (std::size_t i = 0; i < 4; ++i) store_be(&bytes[8 * i], sum.limbs[3 - i]);
  codec.bytes(name, bytes);
  if constexpr (!std::is_const_v<Sum>)
    for (std::size_t i = 0; i < 4; ++i) sum.limbs[3 - i] = load_be<std::uint64_t>(&bytes[8 * i]);
}

template <typename Row, typename T>
concept Is = std::is_same_v<std::remove_const_t<Row>, T>;

}  // namespace

template <typename Codec, Is<LedgerState> Row>
void fields(Codec& codec, Row& row) {
  codec.number("commits", row.commits, 0, kAny64);
  codec.number("next_person", row.next_person, 0, kNoPerson);
  codec.number("next_segment", row.next_segment, 1, kAny32);
  codec.number("next_job", row.next_job, 1, kAny32);
  codec.number("next_agency", row.next_agency, 1, kAny16);
  codec.number("next_file", row.next_file, 1, kAny64);
  codec.number("next_staged_file", row.next_staged_file, kFirstStagedFile, kAny64);
  codec.number("next_run", row.next_run, 1, kAny32);
  codec.number("open_run", row.open_run, 0, kAny32);
  codec.number("staged_generation", row.staged_generation, 0, kAny16);
  codec.number("registry_version", row.registry_version, 0, kAny64);
  codec.number("issuances", row.issuances, 0, kAny64);
  codec.number("deleted_people", row.deleted_people, 0, kNoPerson);
  codec.number("deleted_issuances", row.deleted_issuances, 0, kAny64);
  codec.number("patch_changes", row.patch_changes, 0, kAny64);
  codec.number("most_counter", row.most_counter, 0, kAny16);
  codec.number("open_job", row.open_job, 0, kAny32);
  codec.text("freeze_issue", row.freeze_issue, kName);
  codec.text("freeze_link", row.freeze_link, kName);
  sum_field(codec, "people_digest", row.people_digest);
  sum_field(codec, "issued_digest", row.issued_digest);
  sum_field(codec, "times_digest", row.times_digest);
  codec.number("journal_entries", row.journal_entries, 0, kAny64);
  codec.bytes("journal_head", row.journal_head);
  codec.numbers("table_rows", row.table_rows, 256);
  sum_field(codec, "rows_digest", row.rows_digest);
}

template <typename Codec, Is<AgencyVersion> Row>
void fields(Codec& codec, Row& row) {
  codec.number("generation", row.generation, 1, kAny16);
  codec.number("method", row.method, 1, kAny8);
  codec.number("key_version", row.key_version, 1, kAny16);
  codec.bytes("parameter", row.parameter.bytes);
}

template <typename Codec, Is<Agency> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny16);
  codec.text("code", row.code, kShort);
  codec.text("name", row.name, kName);
  codec.number("state", row.state, 1, 3);
  codec.time("added", row.added);
  codec.list("versions", row.versions, kAny16);
}

template <typename Codec, Is<KeyRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("purpose", row.purpose, 1, kAny8);
  codec.number("algorithm", row.algorithm, 1, kAny8);
  codec.number("version", row.version, 1, kAny16);
  codec.number("state", row.state, 1, 7);
  codec.bytes("fingerprint", row.fingerprint.bytes);
  codec.text("label", row.label, kName);
  codec.time("created", row.created);
  codec.blob("public_key", row.public_key, 16384);
}

template <typename Codec, Is<GenerationRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny16);
  codec.number("state", row.state, 1, 4);
  codec.number("linkage_method", row.linkage_method, 1, kAny8);
  codec.number("linkage_key", row.linkage_key, 1, kAny16);
  codec.number("linkage_generation", row.linkage_generation, 1, kAny16);
  codec.number("chained_from", row.chained_from, 0, kAny16);
  codec.number("agency_key", row.agency_key, 1, kAny16);
  codec.number("agency_method", row.agency_method, 0, kAny8);
  codec.number("record_key", row.record_key, 1, kAny16);
  codec.time("created", row.created);
  codec.number("starters", row.starters, 0, kAny64);
}

template <typename Codec, Is<JobRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny32);
  codec.text("id", row.id, kShort);
  codec.number("kind", row.kind, 1, 4);
  codec.number("state", row.state, 1, 7);
  codec.bytes("request_hmac", row.request_hmac);
  codec.time("time", row.time);
  codec.text("operator", row.operator_name, kName);
  codec.text("order", row.order, kName);
  codec.text("output_directory", row.output_directory, 4096);
  codec.number("generation", row.generation, 1, kAny16);
  codec.number("registry_version", row.registry_version, 0, kAny64);
  codec.number("segment_rows", row.segment_rows, 0, kAny32);
  codec.number("rows", row.rows, 0, kAny64);
  codec.number("rows_done", row.rows_done, 0, kAny64);
  codec.number("first_segment", row.first_segment, 0, kAny32);
  codec.number("segments", row.segments, 0, kAny32);
  codec.number("count_new", row.count_new, 0, kAny64);
  codec.number("count_existing", row.count_existing, 0, kAny64);
  codec.number("count_rejected", row.count_rejected, 0, kAny64);
  codec.number("people_new", row.people_new, 0, kAny64);
  codec.bytes("answers_digest", row.answers_digest);
  codec.flag("accept_rejects", row.accept_rejects);
  codec.flag("check_digits", row.check_digits);
  codec.flag("join", row.join);
  codec.flag("own_request", row.own_request);
  codec.flag("paused", row.paused);
  codec.flag("cancelled", row.cancelled);
  codec.text("hold_reason", row.hold_reason, kShort);
  codec.text("approved_by", row.approved_by, kName);
  codec.number("next_agency", row.next_agency, 1, kAny16);
  codec.numbers("suspended_agencies", row.suspended_agencies, kAny16);
  codec.numbers("closed_agencies", row.closed_agencies, kAny16);
}

template <typename Codec, Is<JobIdRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny32);
}

template <typename Codec, Is<SegmentRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny32);
  codec.number("job", row.job, 1, kAny32);
  codec.time("time", row.time);
  codec.number("first_row", row.first_row, 0, kAny64);
  codec.number("rows", row.rows, 0, kAny32);
  codec.number("people_new", row.people_new, 0, kAny32);
  codec.number("issuances_new", row.issuances_new, 0, kAny32);
}

template <typename Codec, Is<RunKey> Row>
void fields(Codec& codec, Row& row) {
  codec.number("purpose", row.purpose, 1, kAny8);
  codec.number("algorithm", row.algorithm, 1, kAny8);
  codec.number("version", row.version, 1, kAny16);
}

template <typename Codec, Is<RunRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("number", row.number, 1, kAny32);
  codec.text("id", row.id, kShort);
  codec.number("state", row.state, 1, 7);
  codec.number("what", row.what, 1, 31);
  codec.number("agency", row.agency, 0, kAny16);
  codec.number("linkage_method", row.linkage_method, 0, kAny8);
  codec.number("agency_method", row.agency_method, 0, kAny8);
  codec.text("reason", row.reason, kName);
  codec.text("operator", row.operator_name, kName);
  codec.text("order", row.order, kName);
  codec.time("planned", row.planned);
  codec.time("committed", row.committed);
  codec.time("finished", row.finished);
  codec.number("from", row.from, 1, kAny16);
  codec.number("to", row.to, 1, kAny16);
  codec.list("new_keys", row.new_keys, kAny8);
  codec.number("wrap_key_version", row.wrap_key_version, 0, kAny16);
  codec.blob("wrapped_data_key", row.wrapped_data_key, 16384);
  codec.number("planned_people", row.planned_people, 0, kAny64);
  codec.number("planned_symbols", row.planned_symbols, 0, kAny64);
  codec.number("planned_agencies", row.planned_agencies, 0, kAny64);
  codec.text("output_directory", row.output_directory, 4096);
  codec.number("people_done", row.people_done, 0, kNoPerson);
  codec.number("people_made", row.people_made, 0, kAny64);
  codec.number("people_rebased", row.people_rebased, 0, kAny64);
  codec.number("symbols_mapped", row.symbols_mapped, 0, kAny64);
  codec.number("records_mapped", row.records_mapped, 0, kAny64);
  codec.flag("reject_old", row.reject_old);
  codec.number("last_segment", row.last_segment, 0, kAny32);
  codec.flag("without_acks", row.without_acks);
  codec.number("symbols_rejected", row.symbols_rejected, 0, kAny64);
  codec.text("statement", row.statement, 4096);
}

template <typename Codec, Is<RunAgencyRow> Row>
void fields(Codec& codec, Row& row) {
  codec.number("run", row.run, 1, kAny32);
  codec.number("agency", row.agency, 0, kAny16);
  codec.number("symbols", row.symbols, 0, kAny64);
  codec.number("deleted_people", row.deleted_people, 0, kAny64);
  codec.number("bytes", row.bytes, 0, kAny64);
  codec.bytes("sha256", row.sha256);
  codec.time("acknowledged", row.acknowledged);
  codec.text("acknowledged_by", row.acknowledged_by, kName);
}

template <typename Codec, Is<StatRow> Row>
void fields(Codec& codec, Row& row) {  // the day is said once, by StatDay
  codec.number("agency", row.agency, 0, kAny16);
  codec.number("generation", row.generation, 1, kAny16);
  codec.number("new", row.count_new, 0, kAny64);
  codec.number("existing", row.count_existing, 0, kAny64);
  codec.number("rejected", row.count_rejected, 0, kAny64);
}

template <typename Codec, Is<StatDay> Row>
void fields(Codec& codec, Row& row) {
  codec.text("day", row.day, kShort);
  codec.list("rows", row.rows, kMostInDay);
}

template <typename Codec, Is<JournalEntry> Row>
void fields(Codec& codec, Row& row) {  // what the hash is over, beside `previous`
  codec.number("sequence", row.sequence, 0, kAny64);
  codec.time("time", row.time);
  codec.text("operator", row.operator_name, kName);
  codec.text("order", row.order, kName);
  codec.text("act", row.act, kShort);
  codec.text("details", row.details, kDetails);
}

template <typename Codec, Is<LedgerHeader> Row>
void fields(Codec& codec, Row& row) {  // the schema stands before the CBOR
  codec.bytes("ledger_id", row.ledger_id.bytes);
  codec.text("environment", row.environment, kShort);
  codec.number("wrap_key_version", row.wrap_key_version, 1, kAny16);
  codec.blob("wrapped_data_key", row.wrapped_data_key, 16384);
  codec.time("created", row.created);
}

namespace {

template <typename Row>
Result<std::vector<std::uint8_t>> to_cbor(const Row& row) {
  FieldWriter writer;
  fields(writer, row);
  if (!writer.good())
    return fail(ErrorCode::kRefused, "the value is too long, too large or out of its range",
                writer.bad(), "give a shorter or smaller one");
  return writer.encoded();
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
  FUGO_ASSIGN(auto encoded, to_cbor(row));
  return WipedBytes(std::move(encoded));
}

template <typename Row>
Result<Row> decode_row(ByteView content) {
  Row row{};
  FUGO_TRY(from_cbor(content, row));
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
  FUGO_ASSIGN(const auto rest, to_cbor(row));
  const std::array<ByteView, 2> parts{row.previous, rest};
  FUGO_ASSIGN(const auto hash, sha256(parts));
  WipedBytes content(kHashes + rest.size());
  auto at = std::copy(row.previous.begin(), row.previous.end(), content.bytes().begin());
  at = std::copy(hash.begin(), hash.end(), at);
  std::copy(rest.begin(), rest.end(), at);
  return content;
}

template <>
Result<JournalEntry> decode_row(ByteView content) {
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
  FUGO_TRY(from_cbor(hashed.subspan(kMagic.size() + 4), header));
  return header;
}

}  // namespace fugo::keystore
