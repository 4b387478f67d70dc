// fugo outbox: answers that wait, and their destruction when they were received.
#include "daemon/service/outbox.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/table.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

struct OutboxArguments {
  std::string id, agency;
};

Result<Outcome> list(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto answers, list_outbox(settings.daemon.outbox));
  Outcome outcome;
  outcome.document = {{"answers", Json::array()}};
  Table table({"JOB", "AGENCY", "BYTES", "SINCE"});
  for (const auto& answer : answers) {
    outcome.document["answers"].push_back({{"id", answer.id},
                                           {"agency", answer.agency},
                                           {"bytes", answer.bytes},
                                           {"since", format_time(answer.modified)}});
    table.add({answer.id, answer.agency, grouped(answer.bytes), format_time(answer.modified)});
  }
  outcome.text = table.text();
  return outcome;
}

Result<Outcome> ack(Context& context, const OutboxArguments& given) {
  context.applied = "nothing was destroyed";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kAppend));
  FUGO_ASSIGN(const bool destroyed,
              acknowledge(site->ledger(), settings.daemon.outbox, given.id, given.agency, actor));
  Outcome outcome;
  outcome.document = {{"id", given.id}, {"agency", given.agency}, {"destroyed", destroyed}};
  outcome.text = fmt::format("answer {} of {} {} destroyed\n", given.agency, given.id,
                             destroyed ? "is" : "had been acknowledged before and is");
  return outcome;
}

}  // namespace

void add_outbox(CLI::App& app, Context& context) {
  auto given = std::make_shared<OutboxArguments>();
  auto* group = app.add_subcommand("outbox", "Answers that wait to be received");
  group->require_subcommand(1);
  group->add_subcommand("list", "List them")->callback([&context] {
    context.command = [](Context& c) { return list(c); };
  });
  auto* command = group->add_subcommand("ack", "Destroy an answer that was received");
  command->add_option("ID", given->id, "Id of the request")->required();
  command->add_option("AGENCY", given->agency, "Code of the agency, or rejects")->required();
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return ack(c, *given); }; });
}

}  // namespace fugo::daemon
