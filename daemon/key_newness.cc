#include "daemon/key_newness.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

using hsm::KeyName;
using hsm::KeyPurpose;
using keystore::JournalEntry;
using keystore::KeyState;

constexpr std::array kPurposes = {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kRecord,
                                  KeyPurpose::kDataWrap, KeyPurpose::kJournal};
// How many versions ahead are looked for: some may have been made and destroyed since.
constexpr unsigned kAhead = 8;

// begun tells whether an entry that `is_it` picks comes after the last act that put the ledger
// back.
Result<bool> begun(const keystore::Ledger& ledger,
                   const std::function<bool(const JournalEntry&)>& is_it) {
  constexpr std::uint64_t kPiece = 4096;
  FUGO_ASSIGN(const auto state, ledger.state());
  for (std::uint64_t end = state.journal_entries; end > 0;) {
    const std::uint64_t first = end > kPiece ? end - kPiece : 0;
    FUGO_ASSIGN(const auto piece, ledger.journal(first, end - first));
    for (auto entry = piece.rbegin(); entry != piece.rend(); ++entry) {
      if (entry->act == "restore" || entry->act == "takeover") return false;
      if (is_it(*entry)) return true;
    }
    end = first;
  }
  return false;
}

bool names(const JournalEntry& entry, const std::string& text) {
  return entry.details.find('"' + text + '"') != std::string::npos;
}

// The next versions of every purpose, kAhead of them.
Result<std::vector<KeyName>> coming_keys(const KeyRegistry& registry) {
  std::vector<KeyName> coming;
  for (const KeyPurpose purpose : kPurposes) {
    FUGO_ASSIGN(const auto next, next_keys(registry, {purpose}));
    for (unsigned ahead = 0; ahead < kAhead && next.front().version + ahead <= 0xFFFF; ++ahead)
      for (KeyName name : next) {
        name.version = static_cast<std::uint16_t>(name.version + ahead);
        coming.push_back(name);
      }
  }
  return coming;
}

Result<KeyRegistry> read_registry(const Settings& settings) {
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead));
  return read_key_registry(*site.ledger);
}

// Every version of a purpose up to the newest that is there.
Result<std::vector<KeyName>> up_to_newest(const KeyAdministration& administration,
                                          const std::vector<KeyName>& coming) {
  std::map<KeyPurpose, std::uint16_t> newest;
  for (const KeyName& name : coming) {
    const auto absent = administration.check_unknown({name});
    if (absent) continue;
    if (absent.error().code != ErrorCode::kRefused) return tl::unexpected<Error>(absent.error());
    auto& version = newest[leading_purpose(name.purpose)];
    version = std::max(version, name.version);
  }
  std::vector<KeyName> found;
  for (const KeyName& name : coming)
    if (const auto version = newest.find(leading_purpose(name.purpose));
        version != newest.end() && name.version <= version->second)
      found.push_back(name);
  return found;
}

}  // namespace

Status check_next_are_new(const Settings& settings, const KeyAdministration& administration) {
  FUGO_ASSIGN(const auto registry, read_registry(settings));
  FUGO_ASSIGN(const auto coming, coming_keys(registry));
  return administration.check_unknown(coming);
}

Result<std::vector<std::string>> skip_unknown(const Settings& settings,
                                              const KeyAdministration& administration,
                                              const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto registry, read_registry(settings));
  FUGO_ASSIGN(const auto coming, coming_keys(registry));
  FUGO_ASSIGN(const auto found, up_to_newest(administration, coming));
  std::vector<std::string> labels;
  if (found.empty()) return labels;
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto update, site.ledger->begin());
  for (const KeyName& name : found) {
    FUGO_TRY(update->put_key(making_row(name)));
    labels.push_back(hsm::key_label(name));
  }
  FUGO_TRY(update->append_journal(actor, "keys.unknown", nlohmann::json{{"keys", labels}}.dump()));
  FUGO_TRY(update->commit());
  return labels;
}

Result<std::vector<KeyName>> own_remains(const keystore::Ledger& ledger) {
  FUGO_ASSIGN(const auto rows, ledger.key_rows());
  std::vector<KeyName> own;
  for (const auto& row : rows) {
    if (row.state != KeyState::kMaking) continue;
    FUGO_ASSIGN(const bool here, begun(ledger, [&](const JournalEntry& entry) {
                  return entry.act == "keys.create.start" && names(entry, row.label);
                }));
    if (here) own.push_back(name_of(row));
  }
  return own;
}

Result<bool> begun_here(const keystore::Ledger& ledger, const keystore::RunRow& run) {
  return begun(ledger, [&](const JournalEntry& entry) {
    return entry.act == "regenerate.planning" && names(entry, run.id);
  });
}

}  // namespace fugo::daemon
