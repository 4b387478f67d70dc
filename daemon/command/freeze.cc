// fugo freeze and fugo thaw: issuing or linking stops at once, whoever does it.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "daemon/command/commands.h"
#include "daemon/service/folders.h"
#include "daemon/service/orders.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

struct FreezeArguments {
  std::string what, reason;
};

struct FreezableRow {
  Freezable what;
  const char* name;
};
constexpr std::array<FreezableRow, 2> kFreezables = {
    {{Freezable::kIssue, "issue"}, {Freezable::kLink, "link"}}};

Result<Outcome> run(Context& context, const FreezeArguments& given, bool freezing) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  Outcome outcome;
  outcome.document = {{freezing ? "frozen" : "thawed", Json::array()}};
  for (const auto& row : kFreezables) {
    if (!given.what.empty() && given.what != row.name) continue;
    FUGO_ASSIGN(const bool changed, freezing ? freeze(site->ledger(), row.what, given.reason, actor)
                                             : thaw(site->ledger(), row.what, actor));
    if (changed) outcome.document[freezing ? "frozen" : "thawed"].push_back(row.name);
    if (changed || !given.what.empty())
      outcome.text += fmt::format("{} {} {}\n", row.name, changed ? "is" : "was already",
                                  freezing ? "frozen" : "thawed");
  }
  if (outcome.text.empty()) outcome.text = "nothing was frozen\n";
  wake_daemon(settings.daemon);
  return outcome;
}

}  // namespace

void add_freeze(CLI::App& app, Context& context) {
  auto given = std::make_shared<FreezeArguments>();
  const auto words = CLI::IsMember(std::vector<std::string>{"issue", "link"});
  auto* freezing = app.add_subcommand("freeze", "Stop issuing or linking at once");
  freezing->add_option("WHAT", given->what, "issue (change and delete too), or link")
      ->required()
      ->check(words);
  freezing->add_option("--reason", given->reason, "Why; everybody who is stopped is told")
      ->required();
  freezing->callback([&context, given] {
    context.command = [given](Context& c) { return run(c, *given, true); };
  });
  auto* thawing = app.add_subcommand("thaw", "End a freeze");
  thawing->add_option("WHAT", given->what, "issue or link; both unless given")->check(words);
  thawing->callback([&context, given] {
    context.command = [given](Context& c) { return run(c, *given, false); };
  });
}

}  // namespace fugo::daemon
