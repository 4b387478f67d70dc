// Requests, registries, configuration, and what journal, backup and links leave in files.
#include <fstream>

#include "base/text.h"
#include "daemon/agency_file.h"
#include "daemon/approvals.h"
#include "daemon/backup/inventory.h"
#include "daemon/config.h"
#include "daemon/custodian_key.h"
#include "daemon/files/encoding.h"
#include "daemon/files/head.h"
#include "daemon/files/request.h"
#include "daemon/files/row.h"
#include "daemon/journal/checkpoint.h"
#include "daemon/journal/entry_line.h"
#include "daemon/link_file.h"
#include "daemon/link_usage.h"
#include "daemon/statement.h"
#include "daemon/time_text.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/open_key.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::daemon;
using namespace fugo::fuzz;

namespace {

const AgencyTable& agencies() {
  static const AgencyTable table = [] {
    std::vector<keystore::Agency> made(3);
    const char* const codes[] = {"131016", "472018", "A"};
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i].number = static_cast<keystore::AgencyNumber>(i + 1);
      made[i].code = codes[i];
    }
    made[1].state = keystore::AgencyState::kSuspended;
    return std::move(*AgencyTable::create(made));
  }();
  return table;
}

RowRules rules_of(keystore::JobKind kind) {
  RowRules rules;
  rules.agencies = &agencies();
  rules.reasons = {"clerical_error"};
  rules.kind = kind;
  return rules;
}

// Keys that signatures are looked at with.
const std::vector<keystore::KeyRow>& journal_keys() {
  static const std::vector<keystore::KeyRow> rows = {open_journal_key(OpenKey::kOne)};
  return rows;
}

}  // namespace

FUGO_FUZZ(request) {
  static const SecretBytes<32> key;
  const auto path = as_file(input);
  auto request = Request::open(path);
  if (!request) return;
  SurveyOptions options;
  options.rules = rules_of((*request)->head().kind);
  options.environment = "test";
  options.hmac_key = &key;
  options.spill_key = &key;
  options.temporary_directory = path.parent_path();
  options.threads = 1;
  options.memory_in_bytes = 1U << 20U;
  const auto survey = (*request)->survey(options);
  if (!survey) return;
  reached();
  Segment segment;
  const auto read = (*request)->read(*survey, options.rules, 0, 100'000, segment);
  if (read) must(segment.size() + survey->rejects.size() >= survey->rows, "each row is in one");
}

FUGO_FUZZ(request_head) {
  const auto text = text_of(input);
  if (const auto head = parse_head(text, "f")) {
    reached();
    must(is_request_id(head->id), "an id of the form");
  }
  for (const auto kind :
       {keystore::JobKind::kIssue, keystore::JobKind::kChange, keystore::JobKind::kDelete})
    (void)check_header(text, kind, "f");
}

FUGO_FUZZ(request_row) {
  const auto text = text_of(input);
  for (const auto kind :
       {keystore::JobKind::kIssue, keystore::JobKind::kChange, keystore::JobKind::kDelete}) {
    RequestRow row;
    if (!check_row(text, rules_of(kind), row)) continue;
    reached();
    must(row.code < 100'000'000'000, "eleven digits");
  }
  (void)may_hold_resident_code(text);
  (void)hide_resident_codes(text);
}

FUGO_FUZZ(encoding) {
  const auto text = text_of(input);
  const auto bad = first_bad_utf8(text);
  if (bad == std::string::npos) reached();
  must(bad == std::string::npos || bad < text.size(), "a place in the text, or none");
  (void)guess_encoding(text);
  (void)check_start(text, "f");
}

FUGO_FUZZ(agency_file) {
  Mistakes mistakes;
  for (const auto& agency : parse_agency_file(text_of(input), mistakes))
    check_new_agency(agency, true, mistakes);
  if (mistakes.empty()) reached();
}

// fugo.toml, and with it the URIs of tokens.
FUGO_FUZZ(configuration) {
  if (parse_settings(text_of(input), "/site/fugo.toml")) reached();
}

FUGO_FUZZ(token_uri) {
  std::string text = text_of(input);
  for (char& c : text)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '%';
  const auto read = parse_settings(
      "environment = \"test\"\n[ledger]\ndirectory = \"l\"\n[hsm]\nmodule = \"/m.so\"\n"
      "[hsm.issuing]\nuri = \"" +
          text + "\"\npin_file = \"p\"\n",
      "/site/fugo.toml");
  if (read) reached();
}

FUGO_FUZZ(approval_time) {
  if (parse_time(text_of(input))) reached();
}

FUGO_FUZZ(custodian_key) {
  const auto key = CustodianKey::read(as_file(input));
  if (!key) return;
  reached();
  must(!key->verify("text", as_file(input)), "nobody has its other half");
}

FUGO_FUZZ(journal_line) {
  const auto entry = parse_entry_line(text_of(input), "f");
  if (!entry) return;
  reached();
  const auto again = parse_entry_line(entry_line(*entry), "f");
  must(again && again->hash == entry->hash, "an entry is read as it is written");
}

FUGO_FUZZ(checkpoint) {
  const auto text = text_of(input);
  const auto origin = text.substr(0, text.find('\n'));
  const auto opened = open_checkpoint(text, origin, journal_keys(), "f");
  if (opened || opened.error().what.starts_with("is not signed")) reached();
}

// A statement: the first byte is the length of the signature, which is in front of the text. Where
// it is 0, the text is signed.
FUGO_FUZZ(statement) {
  Cursor cursor(input);
  const std::size_t length = cursor.byte();
  const auto given = cursor.take(length);
  const auto text = cursor.rest();
  const auto made = openly_signed(OpenKey::kOne, text);
  (void)as_file(length == 0 ? ByteView(made) : given, ".json.sig");
  static const auto pem = *public_key_pem(journal_keys().front());
  (void)as_file(as_bytes(pem), ".json.pem");
  const auto read = read_statement(journal_keys(), as_file(text, ".json"), 1U << 20U);
  if (read) reached();
  must(read.has_value() == (length == 0), "nobody has the key that would sign");
}

FUGO_FUZZ(inventory) {
  const auto inventory = parse_inventory(text_of(input), "f");
  if (!inventory) return;
  reached();
  for (const auto& file : inventory->files)
    must(std::string(file.name).find("..") == std::string::npos, "no name leads elsewhere");
}

FUGO_FUZZ(link_file) {
  const auto text = text_of(input);
  for (const auto line : symbol_lines(text))
    if (decode_symbol(line)) reached();
}

FUGO_FUZZ(usage_file) {
  (void)is_use_name(text_of(input));
  const auto summary = decode_summary(text_of(input));
  if (summary) reached();
  if (!summary) return;
  const auto text = encode_summary(*summary);
  const auto again = decode_summary(text);
  must(again.has_value() && encode_summary(*again) == text, "there and back");
}
