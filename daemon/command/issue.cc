// fugo issue, change, delete: each processes one request file now.
#include <filesystem>
#include <memory>
#include <optional>

#include "daemon/command/commands.h"
#include "daemon/command/job_output.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

struct RequestArguments {
  keystore::JobKind kind = keystore::JobKind::kIssue;
  std::string request, output;
  bool accept_rejects = false, approve_join = false;
  std::optional<std::uint64_t> confirm;
};

Result<Outcome> run(Context& context, const RequestArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  auto options = job_options(settings);
  options.only_kind = given.kind;
  options.request = given.request;
  FUGO_ASSIGN(options.output_directory, absolute_path("--out", given.output));
  options.actor = std::move(actor);
  options.accept_rejects = given.accept_rejects;
  options.approve_join = given.approve_join;
  options.confirm_rows = given.confirm;
  FUGO_ASSIGN(const auto site,
              open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite));
  FUGO_ASSIGN(const auto before, site->ledger().state());
  BulkProgress progress(true);
  options.progress = [&progress](const char* stage, std::uint64_t done, std::uint64_t total) {
    progress.update(stage, done, total);
  };
  const auto report = run_job(*site, options);
  if (!report) {
    context.applied = applied_since(before, *site);
    return tl::unexpected<Error>(report.error());
  }
  return describe_job(*report, false);
}

CLI::App* add(CLI::App& app, Context& context, const char* name, const char* description,
              const std::shared_ptr<RequestArguments>& given) {
  auto* command = app.add_subcommand(name, description);
  command->add_option("REQUEST", given->request, "Request file; it stays where it is")->required();
  command->add_option("--out", given->output, "Answers appear in OUT/<id>/")->required();
  command->add_flag("--accept-rejects", given->accept_rejects,
                    "Go on although more rows are rejected than the limit allows");
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return run(c, *given); }; });
  return command;
}

}  // namespace

void add_issue(CLI::App& app, Context& context) {
  add(app, context, "issue", "Process a request file of kind issue now",
      std::make_shared<RequestArguments>());
}

void add_change(CLI::App& app, Context& context) {
  auto given = std::make_shared<RequestArguments>();
  given->kind = keystore::JobKind::kChange;
  add(app, context, "change", "Process a request file of kind change now: new resident codes",
      given)
      ->add_flag("--approve-join", given->approve_join,
                 "Approve a file that says join=yes: two people may become one, for good");
}

void add_delete(CLI::App& app, Context& context) {
  auto given = std::make_shared<RequestArguments>();
  given->kind = keystore::JobKind::kDelete;
  add(app, context, "delete", "Process a request file of kind delete now: people go, for good",
      given)
      ->add_option("--confirm", given->confirm, "Number of rows of the file, to approve it");
}

}  // namespace fugo::daemon
