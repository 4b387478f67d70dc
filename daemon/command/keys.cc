// fugo keys: the key registry.
#include <fmt/format.h>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

// presence tells how the token answers for one key, in a word or two.
std::string presence(hsm::Token& token, const keystore::KeyRow& row, bool& as_expected) {
  const auto key = expected_key(row);
  const auto faults = token.verify_keys({&key, 1});
  as_expected = faults.empty();
  if (!faults.empty()) return faults.front().message();
  return hsm::placement_of(key.name, token.role()).present ? "present" : "absent, as it must be";
}

Result<Outcome> list(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto rows, site.ledger->key_rows());
  Outcome outcome;
  outcome.document = {{"token", role_name(role)}, {"keys", Json::array()}};
  Table table({"KEY", "STATE", "CREATED", "FINGERPRINT",
               fmt::format("IN THE {} TOKEN", role == hsm::TokenRole::kIssuing   ? "ISSUING"
                                              : role == hsm::TokenRole::kLinking ? "LINKING"
                                                                                 : "STANDBY")});
  for (const auto& row : rows) {
    const char* state_text = state_name(row.state);
    const bool fingerprinted = expected_key(row).fingerprint.has_value();
    bool as_expected = false;
    const auto where = presence(*site.token, row, as_expected);
    outcome.document["keys"].push_back(
        {{"label", row.label},
         {"version", row.version},
         {"state", state_text},
         {"created", format_time(row.created)},
         {"fingerprint", fingerprinted ? Json(hex(row.fingerprint.bytes)) : Json(nullptr)},
         {"in_token", where},
         {"as_expected", as_expected}});
    table.add({row.label, state_text, format_time(row.created),
               fingerprinted ? hex(row.fingerprint.bytes) : "-", where});
    if (!as_expected) outcome.exit_code = ExitCode::kFailed;
  }
  outcome.text = table.text();
  return outcome;
}

}  // namespace

void add_keys(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("keys", "The key registry");
  group->require_subcommand(1);
  auto* command =
      group->add_subcommand("list", "Keys, their state, and whether the token has them");
  command->callback([&context] { context.command = list; });
}

}  // namespace fugo::daemon
