// fugo link: from one agency's symbols to another's, in the linking role.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "daemon/command/commands.h"
#include "daemon/link_file.h"
#include "daemon/link_usage.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

// Whoever owns the ledger journals the act; the linking account, which only reads it, leaves the
// counts for the daemon.
bool may_write_ledger(const Settings& settings) {
  const auto file = settings.ledger_directory / "data.mdb";
  return ::faccessat(AT_FDCWD, file.c_str(), W_OK, AT_EACCESS) == 0;
}

Result<Outcome> run(Context& context, const LinkRequest& given) {
  context.applied = "no answer was written";
  auto request = given;
  FUGO_ASSIGN(request.output, absolute_path("--out", request.output));
  FUGO_ASSIGN(request.actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  std::unique_ptr<UsageSpool> spool;
  if (!may_write_ledger(settings)) {
    FUGO_ASSIGN(spool, UsageSpool::open(settings.link_usage, "fugo link",
                                        request.actor.operator_name, request.actor.order));
  }
  request.spool = spool.get();
  request.most_rows = settings.link_rows_per_file;
  FUGO_ASSIGN(auto calendar, Calendar::of(settings.link.time_zone));
  LinkDay day(settings.link_usage, std::move(calendar));
  request.quota_per_day = settings.link.quota_per_day;
  request.day = &day;
  FUGO_ASSIGN(const auto site,
              open_site(settings, hsm::TokenRole::kLinking,
                        spool ? keystore::Access::kRead : keystore::Access::kAppend));
  FUGO_ASSIGN(const auto report, link_file(*site, request));
  const auto ok = report.by_status[static_cast<std::size_t>(engine::LinkStatus::kOk)];
  Outcome outcome;
  outcome.exit_code = ok == report.symbols ? ExitCode::kDone : ExitCode::kSomeRejected;
  outcome.document = {{"from", request.from},
                      {"to", request.to},
                      {"symbols", report.symbols},
                      {"by_status", Json::object()},
                      {"output", request.output.string()}};
  outcome.text =
      fmt::format("{} symbols of {} to {}:\n", grouped(report.symbols), request.from, request.to);
  for (std::size_t status = 1; status < report.by_status.size(); ++status) {
    const std::string name(engine::link_status_name(static_cast<engine::LinkStatus>(status)));
    outcome.document["by_status"][name] = report.by_status[status];
    if (report.by_status[status] > 0)
      outcome.text += fmt::format("  {:>12}  {}\n", grouped(report.by_status[status]), name);
  }
  outcome.text += fmt::format("answer in {}\n", request.output.string());
  return outcome;
}

}  // namespace

void add_link(CLI::App& app, Context& context) {
  auto given = std::make_shared<LinkRequest>();
  auto* command = app.add_subcommand("link", "Convert one agency's symbols to another's");
  command->add_option("SYMBOLS", given->symbols, "File with one symbol a line")->required();
  command->add_option("--from", given->from, "Code of the agency whose symbols they are")
      ->required();
  command->add_option("--to", given->to, "Code of the agency whose symbols are wanted")->required();
  command->add_option("--out", given->output, "CSV to write: symbol,status,linked_symbol")
      ->required();
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return run(c, *given); }; });
}

}  // namespace fugo::daemon
