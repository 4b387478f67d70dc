#include "daemon/key_destruction.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/second_site/ship.h"
#include "daemon/site_access.h"
#include "daemon/site_setup.h"
#include "daemon/statement.h"
#include "hsm/recovery_package.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;
using keystore::KeyRow;
using keystore::KeyState;

constexpr std::uint64_t kPiece = 4096;  // entries that are looked at at once

constexpr const char* kMeaning =
    "Every object with the label or the id of these keys was destroyed in each of these tokens; "
    "then all were searched for, and were absent. Whether a device has erased their bytes is not "
    "known.";

Json keys_json(const std::vector<KeyRow>& rows) {
  auto keys = Json::array();
  for (const auto& row : rows)
    keys.push_back({{"label", row.label},
                    {"fingerprint", hex(row.fingerprint.bytes)},
                    {"created", format_time(row.created)}});
  return keys;
}

Json tokens_json(const std::vector<TokenVisit>& visits) {
  auto tokens = Json::array();
  for (const auto& visit : visits)
    if (!visit.error)
      tokens.push_back({{"role", role_name(visit.role)},
                        {"token", visit.token},
                        {"absent_at", format_time(visit.time)}});
  return tokens;
}

// packages_with lists the site's recovery packages that hold one of the keys.
std::vector<std::string> packages_with(const Settings& settings, const std::vector<KeyRow>& rows) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(settings.recovery.package_directory, error)) {
    if (entry.path().extension() != ".json") continue;
    const auto package = hsm::read_recovery_package(entry.path());
    if (!package) continue;
    const bool holds =
        std::any_of(package->keys.begin(), package->keys.end(), [&](const auto& held) {
          return std::any_of(rows.begin(), rows.end(),
                             [&](const KeyRow& row) { return name_of(row) == held.name; });
        });
    if (holds) found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// left_after lists the tokens that may have one of the keys and were not seen without it.
std::vector<std::string> left_after(const std::vector<KeyRow>& rows,
                                    const std::vector<TokenVisit>& visits) {
  std::vector<std::string> left;
  for (const auto& [role, name] : kSetupRoles) {
    const bool may_have = std::any_of(rows.begin(), rows.end(), [role = role](const KeyRow& row) {
      return hsm::placement_of(name_of(row), role).present;
    });
    if (!may_have) continue;
    const auto visit = std::find_if(visits.begin(), visits.end(),
                                    [role = role](const auto& one) { return one.role == role; });
    if (visit == visits.end())
      left.push_back(fmt::format("the {} token: there is no section [hsm.{}]", name, name));
    else if (visit->error)
      left.push_back(fmt::format("the {} token: {}", name, visit->error->message()));
  }
  return left;
}

// A statement is made from the journal's entry alone, so that it can be made again.
Json statement_of(const keystore::LedgerHeader& header, const keystore::JournalEntry& entry) {
  const auto details = Json::parse(entry.details, nullptr, false);
  Json approval = nullptr;
  if (details.contains("custodians"))
    approval = {{"request_sha256", details["request"]}, {"custodians", details["custodians"]}};
  return {{"format", "fugo-statement"},
          {"version", 1},
          {"act", entry.act},
          {"meaning", kMeaning},
          {"ledger", hex(header.ledger_id.bytes)},
          {"environment", header.environment},
          {"time", format_time(entry.time)},
          {"operator", entry.operator_name},
          {"order", entry.order},
          {"approval", approval},
          {"keys", details["keys"]},
          {"tokens", details["tokens"]},
          {"journal", {{"entry", entry.sequence}, {"hash", hex(entry.hash)}}}};
}

class KeyDestroyer {
 public:
  KeyDestroyer(const Settings& settings, const KeyDestruction& wanted, std::string& applied)
      : settings_(settings), wanted_(wanted), applied_(applied) {}

  Result<KeyDestructionOutcome> destroy() {
    FUGO_TRY(check_statement());
    FUGO_ASSIGN(auto administration, KeyAdministration::open(settings_));
    FUGO_TRY(begin());
    outcome_.packages = packages_with(settings_, rows_);
    if (!done_before_) {
      applied_ = "the keys may be gone from some tokens; run it again, it goes on";
      std::vector<hsm::KeyName> names;
      std::transform(rows_.begin(), rows_.end(), std::back_inserter(names), name_of);
      FUGO_ASSIGN(outcome_.visits, administration.remove(names));
      outcome_.left = left_after(rows_, outcome_.visits);
      FUGO_TRY(enter());
      if (!outcome_.left.empty()) return std::move(outcome_);
    }
    applied_ = "the keys are destroyed; run it again for the statement";
    FUGO_TRY(state());
    return std::move(outcome_);
  }

 private:
  Status check_statement() const {
    std::error_code error;
    const auto& path = wanted_.statement;
    if (!std::filesystem::is_directory(path.parent_path(), error))
      return fail(ErrorCode::kUsage, "its directory is not there", path.string());
    if (std::filesystem::exists(path, error))
      return fail(ErrorCode::kRefused, "is there already", path.string(), "name another file");
    return {};
  }

  // open is with a token that has the journal key, which signs the statement.
  Result<OpenLedger> open() const {
    return open_ledger_with(settings_, {hsm::TokenRole::kIssuing, hsm::TokenRole::kStandby},
                            keystore::Access::kAppend);
  }

  Status begin() {
    FUGO_ASSIGN(const auto site, open());
    FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
    FUGO_TRY(signing_key(registry.keys));
    std::set<std::string> labels;
    for (const auto& label : wanted_.labels) {
      FUGO_ASSIGN(auto row, find_key_row(registry, label));
      if (labels.insert(label).second) rows_.push_back(std::move(row));
    }
    done_before_ = std::all_of(rows_.begin(), rows_.end(),
                               [](const KeyRow& row) { return row.state == KeyState::kDestroyed; });
    if (done_before_) return {};
    for (const auto& row : rows_) FUGO_TRY(check_can_destroy(registry, row));
    FUGO_TRY(check_shipped(*site.ledger));
    KeyAct act{"keys.destroy", {}};
    std::transform(rows_.begin(), rows_.end(), std::back_inserter(act.keys), destroyed_key);
    FUGO_ASSIGN(approval_, check_approvals(settings_, *site.ledger, act, wanted_.approval));
    return journal(*site.ledger, "keys.destroy.start", approval_);
  }

  // check_shipped: a second site must know that the keys are out of use before they go. Whether it
  // was sent that is known here; whether it has applied it, people must have seen there.
  Status check_shipped(const keystore::Ledger& ledger) const {
    FUGO_ASSIGN(const auto last, sent_last(ledger));
    if (!last) return {};
    FUGO_ASSIGN(const auto state, ledger.state());
    for (auto first = last->journal_entries; first < state.journal_entries; first += kPiece) {
      FUGO_ASSIGN(const auto piece, ledger.journal(first, kPiece));
      for (const auto& entry : piece)
        if (names_one(entry))
          return fail(
              ErrorCode::kRefused,
              "a key was taken out of use after the last shipment to the second site, which "
              "cannot open what it has without it",
              fmt::format("journal entry {}", entry.sequence), "fugo ship, and fugo follow there");
    }
    if (wanted_.second_site_has_it) return {};
    return fail(ErrorCode::kRefused,
                fmt::format("the second site needs these keys until it has applied shipment {}",
                            last->number),
                "shipments", "when fugo status has told so there, give --second-site-has-it");
  }

  // sent_last is what is remembered of the last shipment, or else the journal's entry of it: a
  // ledger that was restored has only that.
  Result<std::optional<LastShipment>> sent_last(const keystore::Ledger& ledger) const {
    FUGO_ASSIGN(auto last, last_shipment(settings_.ledger_directory));
    if (last) return last;
    FUGO_ASSIGN(const auto state, ledger.state());
    for (std::uint64_t end = state.journal_entries; end > 0;) {
      const auto first = end > kPiece ? end - kPiece : 0;
      FUGO_ASSIGN(const auto piece, ledger.journal(first, end - first));
      for (auto entry = piece.rbegin(); entry != piece.rend(); ++entry) {
        if (entry->act == "takeover") return last;  // by this site: the other one is no more
        if (entry->act != "ship") continue;
        const auto details = Json::parse(entry->details, nullptr, false);
        last.emplace();
        last->journal_entries = entry->sequence;
        if (const auto number = details.find("number");
            details.is_object() && number != details.end() && number->is_number_unsigned())
          last->number = *number;
        return last;
      }
      end = first;
    }
    return last;
  }

  // names_one tells whether an entry is about one of the keys, but for their destruction.
  [[nodiscard]] bool names_one(const keystore::JournalEntry& entry) const {
    return entry.act.rfind("keys.destroy", 0) != 0 &&
           std::any_of(rows_.begin(), rows_.end(), [&](const KeyRow& row) {
             return entry.details.find('"' + row.label + '"') != std::string::npos;
           });
  }

  Status journal(keystore::Ledger& ledger, const std::string& act, const Json& more) const {
    FUGO_ASSIGN(const auto update, ledger.begin());
    FUGO_TRY(append(*update, act, more));
    return update->commit();
  }

  Status append(keystore::Update& update, const std::string& act, const Json& more) const {
    Json details = {{"keys", keys_json(rows_)}};
    details.update(more);
    return update.append_journal(wanted_.actor, act, details.dump());
  }

  // enter commits what is known now: all of it, or which tokens are left.
  Status enter() {
    FUGO_ASSIGN(const auto site, open());
    Json more = {{"tokens", tokens_json(outcome_.visits)}};
    if (!outcome_.left.empty()) {
      more["left"] = outcome_.left;
      return journal(*site.ledger, "keys.destroy.partly", more);
    }
    FUGO_ASSIGN(const auto update, site.ledger->begin());
    for (KeyRow row : rows_) {
      row.state = KeyState::kDestroyed;
      FUGO_TRY(update->put_key(row));
    }
    more.update(approval_);
    FUGO_TRY(append(*update, "keys.destroy", more));
    return update->commit();
  }

  // is_ours tells whether an entry is the destruction of exactly these keys.
  [[nodiscard]] bool is_ours(const keystore::JournalEntry& entry) const {
    if (entry.act != "keys.destroy") return false;
    const auto details = Json::parse(entry.details, nullptr, false);
    std::set<std::string> labels, wanted(wanted_.labels.begin(), wanted_.labels.end());
    for (const auto& key : details["keys"]) labels.insert(key["label"].get<std::string>());
    return labels == wanted;
  }

  Status state() const {
    FUGO_ASSIGN(const auto site, open());
    FUGO_ASSIGN(const auto ledger, site.ledger->state());
    FUGO_ASSIGN(const auto rows, site.ledger->key_rows());
    FUGO_ASSIGN(const auto key, signing_key(rows));
    for (std::uint64_t end = ledger.journal_entries; end > 0;) {
      const auto first = end > kPiece ? end - kPiece : 0;
      FUGO_ASSIGN(const auto piece, site.ledger->journal(first, end - first));
      for (auto entry = piece.rbegin(); entry != piece.rend(); ++entry)
        if (is_ours(*entry))
          return write_statement(*site.token, key, statement_of(site.ledger->header(), *entry),
                                 wanted_.statement);
      end = first;
    }
    return fail(ErrorCode::kRefused, "these keys were not destroyed together", "journal",
                "name the keys of one act: see fugo journal show");
  }

  const Settings& settings_;
  const KeyDestruction& wanted_;
  std::string& applied_;
  std::vector<KeyRow> rows_;
  bool done_before_ = false;
  Json approval_ = Json::object();
  KeyDestructionOutcome outcome_;
};

}  // namespace

Status check_can_destroy(const KeyRegistry& registry, const KeyRow& row) {
  const auto dependants = dependants_of(registry, row);
  if (!dependants.empty())
    return fail(ErrorCode::kRefused,
                fmt::format("{} cannot be destroyed: {}", row.label, fmt::join(dependants, "; ")),
                "key registry", "a regeneration takes keys out of use");
  if (row.state == KeyState::kRetired) return {};
  return fail(
      ErrorCode::kRefused,
      fmt::format("{} is {}; only a retired key is destroyed", row.label, state_name(row.state)),
      "key registry",
      row.state == KeyState::kDestroyed ? "" : "fugo keys retire takes it out of use");
}

Result<KeyDestructionOutcome> destroy_keys(const Settings& settings, const KeyDestruction& wanted,
                                           std::string& applied) {
  return KeyDestroyer(settings, wanted, applied).destroy();
}

}  // namespace fugo::daemon
