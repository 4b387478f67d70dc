// fugo check: what processing a request file would find wrong; nothing is applied, but the journal
// has that it was asked.
#include <memory>

#include "daemon/command/commands.h"
#include "daemon/command/job_output.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

Result<Outcome> run(Context& context, const std::string& request) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  auto options = job_options(settings);
  options.request = request;
  options.actor = actor;
  FUGO_ASSIGN(const auto site,
              open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend));
  BulkProgress progress(true);
  options.progress = [&progress](const char* stage, std::uint64_t done, std::uint64_t total) {
    progress.update(stage, done, total);
  };
  FUGO_ASSIGN(const auto report, check_job(*site, options));
  return describe_job(report, true);
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  auto request = std::make_shared<std::string>();
  auto* command =
      app.add_subcommand("check", "Tell what is wrong with a request file; apply nothing");
  command->add_option("REQUEST", *request, "Request file")->required();
  command->callback([&context, request] {
    context.command = [request](Context& c) { return run(c, *request); };
  });
}

}  // namespace fugo::daemon
