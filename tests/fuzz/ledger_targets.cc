// What is read beside a ledger: approvals, copies of the journal and notes about it, shipments and
// the marks that they leave. Signatures and hashes are made by the target, so that what lies behind
// them is reached; the first byte may ask for the input as it is.
#include <fmt/format.h>

#include "base/text.h"
#include "daemon/approvals.h"
#include "daemon/journal/entry_line.h"
#include "daemon/journal/journal_check.h"
#include "daemon/journal/reconcile.h"
#include "daemon/journal/signature.h"
#include "daemon/second_site/compare.h"
#include "daemon/second_site/received.h"
#include "daemon/second_site/ship.h"
#include "daemon/second_site/standby_mark.h"
#include "keystore/rows.h"
#include "keystore/standby.h"
#include "tests/fuzz/cursor.h"
#include "tests/fuzz/open_key.h"
#include "tests/fuzz/target.h"

using namespace fugo;
using namespace fugo::daemon;
using namespace fugo::fuzz;

namespace {

namespace fs = std::filesystem;

const keystore::Ledger& ledger() {
  static const auto opened = [] {
    keystore::LedgerHeader header;
    header.ledger_id.bytes = {1, 2, 3, 4};
    header.environment = "test";
    header.wrapped_data_key = {9, 8, 7};
    header.created = 1'700'000'000;
    const auto place = folder() / "ledger";
    fs::create_directory(place);
    const SecretBytes<32> key;
    const auto made = keystore::Ledger::create(place, header, key, [](keystore::Update& update) {
      const keystore::Actor actor{"tester", ""};
      return update.put_generation(keystore::GenerationRow{})
          .and_then([&] { return update.put_key(open_journal_key(OpenKey::kOne)); })
          .and_then([&] { return update.append_journal(actor, "init", "{}"); })
          .and_then([&] { return update.append_journal(actor, "freeze", R"({"what":"link"})"); })
          .and_then([&] { return update.append_journal(actor, "thaw", R"({"what":"link"})"); });
    });
    must(made.has_value(), "a ledger can be made");
    auto ledger = keystore::Ledger::open(place, keystore::Access::kRead, key);
    must(ledger.has_value(), "and opened");
    return std::move(*ledger);
  }();
  return *opened;
}

const keystore::LedgerState& state() {
  static const keystore::LedgerState now = *ledger().state();
  return now;
}

// with_places puts what a valid text must have in the places of what no input can know.
std::string with_places(std::string text) {
  const std::pair<const char*, std::string> places[] = {
      {"@LEDGER@", hex(ledger().header().ledger_id.bytes)},
      {"@HEAD@", hex(state().journal_head)},
      {"@ENTRIES@", std::to_string(state().journal_entries)}};
  for (const auto& [place, value] : places)
    for (auto at = text.find(place); at != std::string::npos; at = text.find(place, at))
      text.replace(at, std::string_view(place).size(), value);
  return text;
}

// Two custodians, and a third who has the key of the first.
const Settings& settings() {
  static const Settings made = [] {
    Settings settings;
    settings.file = put_file("fugo.toml", as_bytes("environment = \"test\"\n"));
    for (const auto& [name, key] :
         {std::pair{"ada", OpenKey::kOne}, std::pair{"ben", OpenKey::kTwo},
          std::pair{"cay", OpenKey::kOne}}) {
      const auto pem = public_key_pem(open_journal_key(key));
      settings.custodians.push_back({name, put_file(std::string(name) + ".pem", as_bytes(*pem))});
    }
    return settings;
  }();
  return made;
}

std::string approval(const char* custodian, ByteView signature) {
  const std::string name = std::string(custodian) + ".sig";
  return std::string(custodian) + "=" + put_file(name, signature).string();
}

}  // namespace

// The first byte chooses who signs; the second whether the signatures are made, or are what stands
// before the first zero byte.
FUGO_FUZZ(approval) {
  Cursor cursor(input);
  const auto who = cursor.byte();
  const bool real = cursor.byte() != 'r';
  const std::string given = real ? std::string() : cursor.line(0);
  const std::string text = with_places(text_of(cursor.rest()));
  const auto sign = [&](OpenKey key) {
    const auto made = openly_signed(key, as_bytes(text));
    return real ? made : std::vector<std::uint8_t>(given.begin(), given.end());
  };
  ApprovalFiles files{put_file("approval", as_bytes(text)).string(), {}};
  if ((who & 1U) != 0) files.approvals.push_back(approval("ada", sign(OpenKey::kOne)));
  if ((who & 2U) != 0) files.approvals.push_back(approval("ben", sign(OpenKey::kTwo)));
  if ((who & 4U) != 0) files.approvals.push_back(approval("cay", sign(OpenKey::kOne)));
  if ((who & 8U) != 0) files.approvals.push_back(text.substr(0, 40));
  const KeyAct act{"keys.create", {"fugo-agency-aes256-v2", "fugo-wrap-aes256-v2"}};
  const auto approved = check_approvals(settings(), ledger(), act, files);
  if (!approved) return;
  reached();
  const auto names = who & 15U;  // the first and the third have one key
  must(real && (names == 3 || names == 6), "two custodians, and no other way");
  must(text.find("\nact=keys.create\n") != std::string::npos, "of this act");
}

// Lines of "ACT DETAILS" that go on from the ledger's journal, or with 'r' in front a whole copy.
FUGO_FUZZ(journal_copy) {
  Cursor cursor(input);
  std::string copy;
  if (cursor.byte() == 'r') {
    copy = with_places(text_of(cursor.rest()));
  } else {
    keystore::JournalEntry entry;
    entry.sequence = state().journal_entries;
    entry.previous = state().journal_head;
    entry.operator_name = "tester";
    while (!cursor.at_end()) {
      const auto line = cursor.line();
      const auto space = std::min(line.find(' '), line.size());
      entry.act = line.substr(0, space);
      entry.details = line.substr(std::min(space + 1, line.size()));
      entry.time = 1'700'000'000 + static_cast<std::int64_t>(entry.sequence);
      const auto hash = keystore::journal_hash(entry);
      if (!hash) return;
      entry.hash = *hash;
      copy += entry_line(entry) + "\n";
      ++entry.sequence;
      entry.previous = entry.hash;
    }
  }
  const auto path = put_file("copy.jsonl", as_bytes(copy));
  (void)compare_copy(ledger(), path);
  const auto found = reconcile(ledger(), {path}, {});
  if (found) reached();
  if (found) must(found->jobs.size() <= found->entries, "a job is of an entry");
}

// A checkpoint's number of entries and its further lines, signed; or with 'r' in front a whole
// note.
FUGO_FUZZ(note) {
  Cursor cursor(input);
  std::string note;
  const bool raw = cursor.byte() == 'r';
  if (raw) {
    note = with_places(text_of(cursor.rest()));
  } else {
    const auto now = checkpoint_now(ledger(), settings().file);
    must(now.has_value(), "a checkpoint can be made");
    Checkpoint checkpoint = *now;
    checkpoint.size = cursor.byte();
    checkpoint.extensions.clear();
    while (!cursor.at_end()) checkpoint.extensions.push_back(with_places(cursor.line()));
    OpenToken token;
    const auto made = sign_checkpoint(token, open_journal_key(OpenKey::kOne), checkpoint);
    must(made.has_value(), "a checkpoint can be signed");
    note = *made;
  }
  const auto path = put_file("note", as_bytes(note));
  const auto there = compare_checkpoint(ledger(), path);
  if (there) reached();
  if (there) must(!raw && there->size == state().journal_entries, "nobody else signed");
  const auto compared = compare_sites(ledger(), settings().file, path);
  if (compared)  // as the command prints it
    (void)document_of(*compared).dump(2, ' ', false,
                                      nlohmann::ordered_json::error_handler_t::replace);
}

// An inventory, signed; with 'r' in front the signature is what stands before the first zero byte.
FUGO_FUZZ(shipment) {
  Cursor cursor(input);
  const bool raw = cursor.byte() == 'r';
  const auto given = raw ? cursor.line(0) : std::string();
  const auto text = text_of(cursor.rest());
  auto signature = openly_signed(OpenKey::kOne, as_bytes(text));
  if (raw) signature.assign(given.begin(), given.end());
  const auto file = put_file("shipment/shipment.json", as_bytes(text));
  put_file("shipment/shipment.json.sig", signature);
  OpenToken token;
  const auto read = read_shipment(token, file.parent_path());
  if (!read) return;
  reached();
  must(!raw, "nobody else signed");
  for (const auto& name : file_names(read->shipment))
    must(is_ledger_file(name) && name.find("..") == std::string::npos, "no name leads elsewhere");
  StandbyMark mark = mark_of(*read);
  (void)check_follows(*read, mark);
  mark.number -= 1;
  mark.sha256 = read->shipment.previous_sha256;
  (void)check_follows(*read, mark);
  const auto again = document_of(read->shipment)
                         .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  put_file("shipment/shipment.json", as_bytes(again));
  put_file("shipment/shipment.json.sig", openly_signed(OpenKey::kOne, as_bytes(again)));
  must(read_shipment(token, file.parent_path()).has_value(), "what was read can be written");
}

// What a ledger's directory remembers of shipments that came, and of those that were sent.
FUGO_FUZZ(shipment_memory) {
  const auto mark_file = put_file(std::string("standby/") + keystore::kStandbyMark, input);
  const auto place = mark_file.parent_path();
  if (const auto mark = read_mark(place); mark && *mark) {
    reached();
    (void)(*mark)->matches(state());
    must(write_mark(place, **mark).has_value(), "a mark that was read can be written");
    must(read_mark(place).has_value(), "and read again");
  }
  put_file("standby/shipments/last.json", input);
  (void)last_shipment(place);
}
