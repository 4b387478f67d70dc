// fugo digest: one value for the ledger's content.
#include <memory>

#include "daemon/command/commands.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

Result<Outcome> run(Context& context, bool with_times) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto state, site->ledger().state());
  FUGO_ASSIGN(const auto text, site->ledger().content_digest()->text(state, with_times));
  return Outcome{{{"digest", text},
                  {"times", with_times},
                  {"people", state.next_person},
                  {"issuances", state.issuances}},
                 text + "\n"};
}

}  // namespace

void add_digest(CLI::App& app, Context& context) {
  auto without_times = std::make_shared<bool>(false);
  auto* command = app.add_subcommand(
      "digest", "One keyed digest of all people and issuances, whatever order they came in");
  command->add_flag("--without-times", *without_times, "Leave the times of issue out");
  command->callback([&context, without_times] {
    context.command = [without_times](Context& c) { return run(c, !*without_times); };
  });
}

}  // namespace fugo::daemon
