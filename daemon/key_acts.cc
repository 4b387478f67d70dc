// The acts of daemon/key_registry.h: creating and retiring keys.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "daemon/command/names.h"
#include "daemon/key_making.h"
#include "daemon/key_newness.h"
#include "daemon/key_registry.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

using hsm::KeyName;
using hsm::KeyPurpose;
using keystore::KeyRow;
using keystore::KeyState;

std::vector<std::string> labels_of(const std::vector<KeyName>& names) {
  std::vector<std::string> labels;
  std::transform(names.begin(), names.end(), std::back_inserter(labels), hsm::key_label);
  return labels;
}

// KeyCreator makes keys in three steps: their names are committed, the ceremony is held, what it
// made is committed. Whoever dies in between leaves rows in state making, for the next one.
class KeyCreator {
 public:
  KeyCreator(const Settings& settings, const KeyCreation& wanted, std::string& applied)
      : settings_(settings), wanted_(wanted), applied_(applied) {}

  Result<CreatedKeys> create() {
    FUGO_ASSIGN(auto administration, KeyAdministration::open(settings_));
    FUGO_TRY(administration.check_can_make());
    if (wanted_.past_unknown)
      FUGO_TRY(skip_unknown(settings_, administration, wanted_.actor).map([](auto&&) {}));
    FUGO_TRY(check_next_are_new(settings_, administration));
    FUGO_TRY(begin(administration));
    auto made = administration.make(names_, package_name(), dead_);
    if (!made) {
      applied_ = "no key was made; the version that was tried is not used again";
      return tl::unexpected<Error>(std::move(made).error());
    }
    applied_ = "the keys were made, but are not in the registry: the next call removes them";
    FUGO_TRY(enter(*made));
    return CreatedKeys{std::move(made->rows), std::move(made->wrapped_data_key),
                       std::move(made->recovery_package)};
  }

 private:
  // begin commits the names. Every token is tried before: an approval is used by this.
  Status begin(KeyAdministration& administration) {
    FUGO_TRY(administration.try_tokens());
    FUGO_ASSIGN(const auto site,
                open_ledger(settings_, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
    FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
    FUGO_ASSIGN(names_, next_keys(registry, wanted_.purposes));
    FUGO_ASSIGN(dead_, own_remains(*site.ledger));
    const KeyAct act{"keys.create", labels_of(names_)};
    FUGO_ASSIGN(approval_, check_approvals(settings_, *site.ledger, act, wanted_.approval));
    FUGO_ASSIGN(const auto update, site.ledger->begin());
    for (const auto& name : names_) FUGO_TRY(update->put_key(making_row(name)));
    nlohmann::ordered_json details = {{"keys", labels_of(names_)}};
    details.update(approval_);
    FUGO_TRY(update->append_journal(wanted_.actor, "keys.create.start", details.dump()));
    return update->commit();
  }

  // enter commits what the ceremony made. Whatever was dead is out of all tokens now.
  Status enter(const MadeKeys& made) {
    FUGO_ASSIGN(const auto site,
                open_ledger(settings_, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
    FUGO_ASSIGN(const auto rows, site.ledger->key_rows());
    FUGO_ASSIGN(const auto update, site.ledger->begin());
    for (auto row : rows) {
      if (std::find(dead_.begin(), dead_.end(), name_of(row)) == dead_.end()) continue;
      row.state = KeyState::kDestroyed;
      FUGO_TRY(update->put_key(row));
    }
    for (const auto& row : made.rows) FUGO_TRY(update->put_key(row));
    nlohmann::ordered_json details = {{"keys", labels_of(names_)},
                                      {"recovery_package", made.recovery_package.filename()}};
    if (!dead_.empty()) details["broken_off"] = labels_of(dead_);
    details.update(approval_);
    FUGO_TRY(update->append_journal(wanted_.actor, "keys.create", details.dump()));
    return update->commit();
  }

  // package_name is "linkage-v2+data-wrap-v3" unless the caller has another.
  [[nodiscard]] std::string package_name() const {
    if (!wanted_.package_name.empty()) return wanted_.package_name;
    std::string text;
    for (const auto& name : names_) {
      if (leading_purpose(name.purpose) != name.purpose) continue;
      const auto part = fmt::format("{}-v{}", purpose_name(name.purpose), name.version);
      if (text.find(part) == std::string::npos) text += (text.empty() ? "" : "+") + part;
    }
    return text;
  }

  const Settings& settings_;
  const KeyCreation& wanted_;
  std::string& applied_;
  std::vector<KeyName> names_, dead_;
  nlohmann::ordered_json approval_;
};

std::string list_of(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, "; "));
}

// successor_of is the pending journal key that can take the place of the active one.
const KeyRow* successor_of(const KeyRegistry& registry, const KeyRow& row) {
  if (name_of(row).purpose != KeyPurpose::kJournal || row.state != KeyState::kActive)
    return nullptr;
  const KeyRow* newest = nullptr;
  for (const auto& other : registry.keys)
    if (name_of(other).purpose == KeyPurpose::kJournal && other.state == KeyState::kPending &&
        (newest == nullptr || other.version > newest->version))
      newest = &other;
  return newest;
}

}  // namespace

Result<CreatedKeys> create_keys(const Settings& settings, const KeyCreation& wanted,
                                std::string& applied) {
  return KeyCreator(settings, wanted, applied).create();
}

Result<std::vector<KeyChange>> retire_key(keystore::Ledger& ledger, const std::string& label,
                                          const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto registry, read_key_registry(ledger));
  FUGO_ASSIGN(auto row, find_key_row(registry, label));
  const auto* const successor = successor_of(registry, row);
  const auto dependants = dependants_of(registry, row);
  if (row.state == KeyState::kRetired || row.state == KeyState::kDestroyed)
    return fail(ErrorCode::kRefused, fmt::format("{} is {} already", label, state_name(row.state)),
                "key registry");
  if (successor == nullptr && !dependants.empty())
    return fail(ErrorCode::kRefused,
                fmt::format("{} cannot be retired: {}", label, list_of(dependants)), "key registry",
                name_of(row).purpose == KeyPurpose::kJournal
                    ? "make the next one first: fugo keys create --purpose journal"
                    : "a regeneration takes keys out of use");
  FUGO_ASSIGN(const auto update, ledger.begin());
  if (update->state().registry_version != registry.state.registry_version ||
      update->state().open_run != registry.state.open_run)
    return fail(ErrorCode::kRefused, "the registries were changed meanwhile", "key registry",
                "run it again");
  std::vector<KeyChange> changes;
  nlohmann::ordered_json details = {{"key", label}};
  row.state = KeyState::kRetired;
  FUGO_TRY(update->put_key(row));
  changes.push_back({label, row.state});
  if (successor != nullptr) {
    KeyRow next = *successor;
    next.state = KeyState::kActive;
    FUGO_TRY(update->put_key(next));
    changes.push_back({next.label, next.state});
    details["successor"] = next.label;
  }
  FUGO_TRY(update->append_journal(actor, "keys.retire", details.dump()));
  FUGO_TRY(update->commit());
  return changes;
}

}  // namespace fugo::daemon
