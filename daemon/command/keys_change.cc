// fugo keys create, retire, destroy, request: acts on the key registry.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "daemon/approvals.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/key_destruction.h"
#include "daemon/key_making.h"
#include "daemon/key_recovery.h"
#include "daemon/key_registry.h"
#include "daemon/service/folders.h"
#include "daemon/service/orders.h"
#include "daemon/site_access.h"
#include "daemon/time_text.h"

namespace fugo::daemon {
namespace {

constexpr std::int64_t kDefaultExpiry = 7 * 24 * 3600;

struct KeyArguments {
  std::string purposes;
  std::vector<std::string> labels;
  std::string out, expires;
  std::string role;
  ApprovalFiles approval;
  bool second_site_has_it = false, past_unknown = false;
};

Result<std::vector<hsm::KeyPurpose>> read_purposes(const std::string& text) {
  std::vector<hsm::KeyPurpose> purposes;
  for (std::size_t at = 0; at <= text.size();) {
    const auto comma = std::min(text.find(',', at), text.size());
    const auto purpose = find_purpose(text.substr(at, comma - at));
    if (!purpose)
      return fail(ErrorCode::kUsage, "is not a purpose of keys: " + text.substr(at, comma - at),
                  "--purpose", "linkage, agency, record, data-wrap or journal");
    purposes.push_back(*purpose);
    at = comma + 1;
  }
  return purposes;
}

Result<Outcome> create(Context& context, const KeyArguments& given) {
  context.applied = "no key was made";
  KeyCreation wanted;
  FUGO_ASSIGN(wanted.purposes, read_purposes(given.purposes));
  FUGO_ASSIGN(wanted.actor, context.actor());
  wanted.approval = given.approval;
  wanted.past_unknown = given.past_unknown;
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto made, create_keys(settings, wanted, context.applied));
  Outcome outcome;
  outcome.document = {{"keys", Json::array()},
                      {"recovery_package", made.recovery_package.string()}};
  for (const auto& row : made.rows) {
    outcome.document["keys"].push_back({{"label", row.label}, {"state", state_name(row.state)}});
    outcome.text += fmt::format("{} is {}\n", row.label, state_name(row.state));
  }
  outcome.text += fmt::format("recovery package: {}\nTake a copy of it to where the others are.\n",
                              made.recovery_package.string());
  wake_daemon(settings.daemon);
  return outcome;
}

Result<Outcome> retire(Context& context, const KeyArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const auto changes, retire_key(*site.ledger, given.labels.front(), actor));
  Outcome outcome;
  outcome.document = {{"keys", Json::array()}};
  for (const auto& change : changes) {
    outcome.document["keys"].push_back(
        {{"label", change.label}, {"state", state_name(change.state)}});
    outcome.text += fmt::format("{} is {}\n", change.label, state_name(change.state));
  }
  wake_daemon(settings.daemon);
  return outcome;
}

Outcome describe(const KeyDestructionOutcome& done, const KeyDestruction& wanted) {
  const bool complete = done.left.empty();
  Outcome outcome;
  outcome.document = {{"keys", wanted.labels},
                      {"destroyed", complete},
                      {"tokens", Json::array()},
                      {"left", done.left},
                      {"recovery_packages", done.packages},
                      {"statement", complete ? Json(wanted.statement.string()) : Json(nullptr)}};
  for (const auto& visit : done.visits) {
    if (visit.error) continue;
    outcome.document["tokens"].push_back(role_name(visit.role));
    outcome.text +=
        fmt::format("absent from the {} token: {}\n", role_name(visit.role), visit.token);
  }
  for (const auto& left : done.left) outcome.text += fmt::format("left: {}\n", left);
  if (!complete)
    outcome.text += "The keys stay retired. Run it again when the token is there: it goes on.\n";
  for (const auto& package : done.packages)
    outcome.text += fmt::format("still wrapped in the recovery package {}\n", package);
  if (complete) outcome.text += fmt::format("statement: {}\n", wanted.statement.string());
  outcome.exit_code = complete ? ExitCode::kDone : ExitCode::kFailed;
  return outcome;
}

Result<Outcome> destroy(Context& context, const KeyArguments& given) {
  context.applied = "nothing was applied";
  KeyDestruction wanted;
  wanted.labels = given.labels;
  wanted.approval = given.approval;
  wanted.second_site_has_it = given.second_site_has_it;
  FUGO_ASSIGN(wanted.statement, absolute_path("--out", given.out));
  FUGO_ASSIGN(wanted.actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto done, destroy_keys(settings, wanted, context.applied));
  return describe(done, wanted);
}

// request writes what custodians sign. `act_of` makes the act from what the registry says.
template <typename ActOf>
Result<Outcome> request(Context& context, const KeyArguments& given, const ActOf& act_of) {
  FUGO_ASSIGN(const auto path, absolute_path("--out", given.out));
  auto expires = unix_now() + kDefaultExpiry;
  FUGO_ASSIGN(const auto settings, context.settings());
  if (!given.expires.empty()) {
    FUGO_ASSIGN(expires, parse_time(given.expires));
  }
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto registry, read_key_registry(*site.ledger));
  FUGO_ASSIGN(const KeyAct act, act_of(registry));
  FUGO_ASSIGN(const auto text, approval_request(*site.ledger, act, expires));
  FUGO_TRY(write_durably(path, as_bytes(text), 0644));
  Outcome outcome;
  outcome.document = {{"act", act.act},
                      {"keys", act.keys},
                      {"expires", format_time(expires)},
                      {"request", path.string()}};
  outcome.text = fmt::format(
      "{}\nEach of two custodians signs {} as it is, with a key of their own:\n"
      "  openssl dgst -sha256 -sign KEY.pem -out NAME.sig FILE\n"
      "  openssl pkeyutl -sign -rawin -inkey KEY.pem -out NAME.sig -in FILE   (Ed25519)\n",
      text, path.string());
  return outcome;
}

Result<Outcome> request_create(Context& context, const KeyArguments& given) {
  FUGO_ASSIGN(const auto purposes, read_purposes(given.purposes));
  return request(context, given, [&](const KeyRegistry& registry) -> Result<KeyAct> {
    FUGO_ASSIGN(const auto names, next_keys(registry, purposes));
    KeyAct act{"keys.create", {}};
    for (const auto& name : names) act.keys.push_back(created_key(hsm::key_label(name)));
    return act;
  });
}

Result<Outcome> request_destroy(Context& context, const KeyArguments& given) {
  return request(context, given, [&](const KeyRegistry& registry) -> Result<KeyAct> {
    KeyAct act{"keys.destroy", {}};
    for (const auto& label : given.labels) {
      FUGO_ASSIGN(const auto row, find_key_row(registry, label));
      FUGO_TRY(check_can_destroy(registry, row));
      act.keys.push_back(destroyed_key(row));
    }
    return act;
  });
}

Result<Outcome> request_recover(Context& context, const KeyArguments& given) {
  FUGO_ASSIGN(const auto role, read_role(given.role));
  return request(context, given,
                 [&](const KeyRegistry&) -> Result<KeyAct> { return recover_act(role); });
}

using Act = Result<Outcome> (*)(Context&, const KeyArguments&);
using Arguments = std::shared_ptr<KeyArguments>;

CLI::App* offer(CLI::App& group, Context& context, const Arguments& given, const char* name,
                const char* about, Act act) {
  auto* command = group.add_subcommand(name, about);
  command->callback([&context, given, act] {
    context.command = [given, act](Context& c) { return act(c, *given); };
  });
  return command;
}

void add_purpose(CLI::App& command, const Arguments& given) {
  command
      .add_option("--purpose", given->purposes,
                  "linkage, agency, record, data-wrap or journal; several with commas between them")
      ->required();
}

void add_approvals(CLI::App& command, const Arguments& given) {
  command.add_option("--request", given->approval.request,
                     "What custodians have approved: the file of fugo keys request");
  command
      .add_option("--approval", given->approval.approvals,
                  "CUSTODIAN=FILE with that custodian's signature; two are needed")
      ->allow_extra_args(false);
}

}  // namespace

void add_key_changes(CLI::App& group, Context& context) {
  const auto given = std::make_shared<KeyArguments>();
  auto* making = offer(group, context, given, "create",
                       "Make the next version of keys in all tokens, pending", create);
  add_purpose(*making, given);
  making->add_flag("--past-unknown", given->past_unknown,
                   "Pass over versions that are in a token and not in the registry");
  add_approvals(*making, given);
  offer(group, context, given, "retire", "Take a key out of use that nothing depends on", retire)
      ->add_option("LABEL", given->labels, "Label of the key")
      ->required()
      ->expected(1);
  auto* destroying = offer(group, context, given, "destroy",
                           "Destroy retired keys in every token, with a signed statement", destroy);
  destroying->add_option("LABEL", given->labels, "Labels of the keys")->required();
  destroying->add_option("--out", given->out, "File of the statement")->required();
  destroying->add_flag("--second-site-has-it", given->second_site_has_it,
                       "The second site has applied what was sent last");
  add_approvals(*destroying, given);
  auto* asking = group.add_subcommand("request", "Write what two custodians are to approve");
  asking->require_subcommand(1);
  auto* ask_create =
      offer(*asking, context, given, "create", "For fugo keys create", request_create);
  add_purpose(*ask_create, given);
  auto* ask_destroy =
      offer(*asking, context, given, "destroy", "For fugo keys destroy", request_destroy);
  ask_destroy->add_option("LABEL", given->labels, "Labels of the keys")->required();
  auto* ask_recover =
      offer(*asking, context, given, "recover", "For fugo keys recover", request_recover);
  ask_recover->add_option("--role", given->role, "issuing, linking or standby")->required();
  for (auto* command : {ask_create, ask_destroy, ask_recover}) {
    command->add_option("--out", given->out, "File that is to be signed")->required();
    command->add_option("--expires", given->expires,
                        "RFC 3339 time after which it is void (default: in 7 days)");
  }
}

}  // namespace fugo::daemon
