// The fields of each row that is stored as CBOR: names, types and ranges, once for writing and
// reading. Part of rows.cc.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "keystore/codec.h"
#include "keystore/rows.h"

namespace fugo::keystore {

inline constexpr std::uint64_t kAny8 = 0xFF, kAny16 = 0xFFFF, kAny32 = 0xFFFFFFFF, kAny64 = ~0ULL;
inline constexpr std::size_t kName = 1024, kShort = 64, kDetails = 65536, kCertificate = 16384,
                             kMostInDay = 1U << 20U, kMostKeyBlocks = 4096;

// Each of the functions below is for a FieldWriter, where the row is const, and for a FieldReader.
// A sum is stored as a 256-bit big-endian number.
template <typename Codec, typename Sum>
void sum_field(Codec& codec, const char* name, Sum& sum) {
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < 4; ++i) store_be(&bytes[8 * i], sum.limbs[3 - i]);
  codec.bytes(name, bytes);
  if constexpr (!std::is_const_v<Sum>)
    for (std::size_t i = 0; i < 4; ++i) sum.limbs[3 - i] = load_be<std::uint64_t>(&bytes[8 * i]);
}

// Is<Row, T>: Row is T, const or not.
template <typename Row, typename T>
concept Is = std::is_same_v<std::remove_const_t<Row>, T>;

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
  codec.number("may_end", row.may_end, 0, kAny32);
  codec.text("freeze_issue", row.freeze_issue, kName);
  codec.text("freeze_link", row.freeze_link, kName);
  sum_field(codec, "people_digest", row.people_digest);
  sum_field(codec, "issued_digest", row.issued_digest);
  sum_field(codec, "times_digest", row.times_digest);
  codec.number("journal_entries", row.journal_entries, 0, kAny64);
  codec.bytes("journal_head", row.journal_head);
  codec.time("journal_time", row.journal_time);
  codec.number("quota_day", row.quota_day, 0, kAny32);
  codec.number("quota_rows", row.quota_rows, 0, kAny64);
  codec.number("quota_checked", row.quota_checked, 0, kAny64);
  codec.numbers("blocks", row.blocks, kMostKeyBlocks);
  codec.number("unexplained_blocks", row.unexplained_blocks, 0, kAny64);
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
  codec.blob("certificate", row.certificate, kCertificate);
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
  codec.bytes("request_key", row.request_key);
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
  codec.number("row_quota", row.row_quota, 0, kAny64);
  codec.numbers("blocks", row.blocks, kMostKeyBlocks);
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
  codec.number("old_wrap_key_version", row.old_wrap_key_version, 0, kAny16);
  codec.number("planned_people", row.planned_people, 0, kAny64);
  codec.number("planned_symbols", row.planned_symbols, 0, kAny64);
  codec.number("planned_agencies", row.planned_agencies, 0, kAny64);
  codec.number("planned_records", row.planned_records, 0, kAny64);
  codec.number("people_added", row.tally.people_added, 0, kAny64);
  codec.number("people_deleted", row.tally.people_deleted, 0, kAny64);
  codec.number("symbols_added", row.tally.symbols_added, 0, kAny64);
  codec.number("symbols_deleted", row.tally.symbols_deleted, 0, kAny64);
  codec.number("old_symbols_deleted", row.tally.old_symbols_deleted, 0, kAny64);
  codec.text("output_directory", row.output_directory, 4096);
  codec.number("people_done", row.people_done, 0, kNoPerson);
  codec.number("people_made", row.people_made, 0, kAny64);
  codec.number("people_rebased", row.people_rebased, 0, kAny64);
  codec.number("codes_rejected", row.codes_rejected, 0, kAny64);
  codec.number("codes_unknown", row.codes_unknown, 0, kAny64);
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
  codec.number("new", row.count_new, 0, kAny32);
  codec.number("existing", row.count_existing, 0, kAny32);
  codec.number("rejected", row.count_rejected, 0, kAny32);
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
  codec.text("role", row.role, kShort);
  codec.text("account", row.account, kName);
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

}  // namespace fugo::keystore
