// fugo keys: the key registry.
#include <fmt/format.h>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/key_making.h"
#include "daemon/key_registry.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

// Presence is how the token answers for one key.
struct Presence {
  std::string text;
  bool as_expected = true;
};

Presence presence_of(hsm::Token& token, const keystore::KeyRow& row) {
  if (row.state == keystore::KeyState::kMaking) return {"not known", true};
  auto key = expected_key(row);
  const auto faults = token.verify_keys({&key, 1});
  if (!faults.empty() && row.state != keystore::KeyState::kDestroyed)
    return {faults.front().message(), false};
  if (!hsm::placement_of(key.name, token.role()).present) return {"absent, as it must be", true};
  // Of these it is no fault to be absent; whether they are is told by asking for them.
  key.may_be_absent = false;
  const bool present = token.verify_keys({&key, 1}).empty();
  if (row.state == keystore::KeyState::kDestroyed)
    return {present ? "present, though it was destroyed" : "absent, as it must be", !present};
  return {present ? "present" : "absent", true};
}

Json document_of(const keystore::KeyRow& row, const Presence& presence,
                 const std::vector<std::string>& needed_by) {
  const bool fingerprinted = expected_key(row).fingerprint.has_value();
  return {{"label", row.label},
          {"purpose", purpose_name(name_of(row).purpose)},
          {"version", row.version},
          {"state", state_name(row.state)},
          {"created", row.created == 0 ? Json(nullptr) : Json(format_time(row.created))},
          {"fingerprint", fingerprinted ? Json(hex(row.fingerprint.bytes)) : Json(nullptr)},
          {"in_token", presence.text},
          {"as_expected", presence.as_expected},
          {"needed_by", needed_by}};
}

Result<Outcome> list(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
  Outcome outcome;
  outcome.document = {{"token", role_name(role)}, {"keys", Json::array()}};
  Table table({"KEY", "STATE", "CREATED", "FINGERPRINT",
               fmt::format("IN THE {} TOKEN", role == hsm::TokenRole::kIssuing   ? "ISSUING"
                                              : role == hsm::TokenRole::kLinking ? "LINKING"
                                                                                 : "STANDBY"),
               "NEEDED BY"});
  for (const auto& row : registry.keys) {
    const auto presence = presence_of(*site.token, row);
    const auto needed_by = dependants_of(registry, row);
    outcome.document["keys"].push_back(document_of(row, presence, needed_by));
    table.add({row.label, state_name(row.state), row.created == 0 ? "-" : format_time(row.created),
               expected_key(row).fingerprint ? hex(row.fingerprint.bytes) : "-", presence.text,
               needed_by.empty() ? "nothing" : fmt::format("{}", fmt::join(needed_by, "; "))});
    if (!presence.as_expected) outcome.exit_code = ExitCode::kFailed;
  }
  outcome.text = table.text();
  return outcome;
}

}  // namespace

void add_keys(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("keys", "The key registry and its life cycle");
  group->require_subcommand(1);
  auto* command = group->add_subcommand(
      "list", "Keys, their states, whether the token has them, what needs them");
  command->callback([&context] { context.command = list; });
  add_key_changes(*group, context);
  add_key_recovery(*group, context);
}

}  // namespace fugo::daemon
