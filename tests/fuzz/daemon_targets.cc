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
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::daemon;
using fugo::fuzz::as_file;
using fugo::fuzz::must;
using fugo::fuzz::text_of;

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

// A journal key of a public point, so that signatures are looked at.
const std::vector<keystore::KeyRow>& journal_keys() {
  static const std::vector<keystore::KeyRow> rows = [] {
    keystore::KeyRow row;
    row.purpose = 7;
    row.algorithm = 3;
    row.version = 1;
    row.state = keystore::KeyState::kActive;
    row.label = "fugo-journal-p256-v1";
    // DER of an OCTET STRING with the generator of P-256.
    const auto point = unhex(
        "0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    row.public_key.assign(point->begin(), point->end());
    return std::vector<keystore::KeyRow>{row};
  }();
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
  Segment segment;
  const auto read = (*request)->read(*survey, options.rules, 0, 100'000, segment);
  if (read) must(segment.size() + survey->rejects.size() >= survey->rows, "each row is in one");
}

FUGO_FUZZ(request_head) {
  const auto text = text_of(input);
  if (const auto head = parse_head(text, "f")) must(is_request_id(head->id), "an id of the form");
  for (const auto kind :
       {keystore::JobKind::kIssue, keystore::JobKind::kChange, keystore::JobKind::kDelete})
    (void)check_header(text, kind, "f");
}

FUGO_FUZZ(request_row) {
  const auto text = text_of(input);
  for (const auto kind :
       {keystore::JobKind::kIssue, keystore::JobKind::kChange, keystore::JobKind::kDelete}) {
    RequestRow row;
    if (check_row(text, rules_of(kind), row)) must(row.code < 100'000'000'000, "eleven digits");
  }
  (void)may_hold_resident_code(text);
  (void)hide_resident_codes(text);
}

FUGO_FUZZ(encoding) {
  const auto text = text_of(input);
  const auto bad = first_bad_utf8(text);
  must(bad == std::string::npos || bad < text.size(), "a place in the text, or none");
  (void)guess_encoding(text);
  (void)check_start(text, "f");
}

FUGO_FUZZ(agency_file) {
  Mistakes mistakes;
  for (const auto& agency : parse_agency_file(text_of(input), mistakes))
    check_new_agency(agency, true, mistakes);
}

// fugo.toml, and with it the URIs of tokens.
FUGO_FUZZ(configuration) { (void)parse_settings(text_of(input), "/site/fugo.toml"); }

FUGO_FUZZ(token_uri) {
  std::string text = text_of(input);
  for (char& c : text)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20) c = '%';
  (void)parse_settings(
      "environment = \"test\"\n[ledger]\ndirectory = \"l\"\n[hsm]\nmodule = \"/m.so\"\n"
      "[hsm.issuing]\nuri = \"" +
          text + "\"\npin_file = \"p\"\n",
      "/site/fugo.toml");
}

FUGO_FUZZ(approval_time) { (void)parse_time(text_of(input)); }

FUGO_FUZZ(custodian_key) { (void)CustodianKey::read(as_file(input)); }

FUGO_FUZZ(journal_line) {
  const auto entry = parse_entry_line(text_of(input), "f");
  if (!entry) return;
  const auto again = parse_entry_line(entry_line(*entry), "f");
  must(again && again->hash == entry->hash, "an entry is read as it is written");
}

FUGO_FUZZ(checkpoint) {
  (void)open_checkpoint(text_of(input), "fugo.invalid/ledger/00", journal_keys(), "f");
}

// A statement: the first byte is the length of the signature, which is in front of the text.
FUGO_FUZZ(statement) {
  const std::size_t length = input.empty() ? 0 : std::min<std::size_t>(input[0], input.size() - 1);
  const auto signature = input.empty() ? input : input.subspan(1, length);
  (void)as_file(signature, ".json.sig");
  const auto path = as_file(input.empty() ? input : input.subspan(1 + length), ".json");
  must(!read_statement(journal_keys(), path, 1U << 16U), "nobody has the key that would sign");
}

FUGO_FUZZ(inventory) {
  const auto inventory = parse_inventory(text_of(input), "f");
  if (!inventory) return;
  for (const auto& file : inventory->files)
    must(std::string(file.name).find("..") == std::string::npos, "no name leads elsewhere");
}

FUGO_FUZZ(link_file) {
  const auto text = text_of(input);
  for (const auto line : symbol_lines(text)) (void)decode_symbol(line);
}

FUGO_FUZZ(usage_file) {
  const auto summary = decode_summary(text_of(input));
  if (summary) must(decode_summary(encode_summary(*summary)).has_value(), "there and back");
}
