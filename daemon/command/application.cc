#include "daemon/command/application.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/lock_report.h"
#include "daemon/command/commands.h"
#include "daemon/command/context.h"
#include "daemon/command/site_commands.h"
#include "daemon/command/usage.h"
#include "daemon/journal/live_copy.h"

namespace fugo::daemon {
namespace {

constexpr auto kDescription =
    "fugo: issues, keeps and links symbols of people, derived inside an HSM.";
constexpr auto kFooter =
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or configuration; 3 done, but some "
    "rows\nwere rejected; 4 the HSM is not available; 5 the ledger or journal is damaged.";

using AddCommand = void (*)(CLI::App&, Context&);
constexpr std::array<AddCommand, 21> kCommands = {
    add_init,   add_agency, add_issue,  add_change,  add_delete,   add_check,       add_jobs,
    add_outbox, add_freeze, add_link,   add_keys,    add_exchange, add_regenerate,  add_status,
    add_stats,  add_verify, add_digest, add_journal, add_backup,   add_second_site, add_compare};

// Messages go to standard error, for standard output carries results only.
void log_to_standard_error() {
  auto logger = spdlog::stderr_color_mt("fugo");
  logger->set_pattern("%n: %^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

void add_command_line(CLI::App& app, Context& context) {
  app.description(kDescription);
  app.require_subcommand(1);
  app.fallthrough();  // global options are understood behind the command too
  app.footer(kFooter);
  app.set_version_flag("--version", "fugo " FUGO_VERSION);
  app.add_option("--config", context.config,
                 "Configuration file (default: $FUGO_CONFIG, else ./fugo.toml)");
  app.add_flag("--json", context.json, "One JSON document on standard output");
  app.add_option("--operator", context.operator_option,
                 "Who acts, for the journal (default: the OS user)");
  app.add_option("--order", context.order, "Number of the work order, for the journal");
  // Commands are offered in the order in which people meet them.
  for (const auto add : kCommands) add(app, context);
}

namespace {

int print_outcome(const Outcome& outcome, const Context& context) {
  if (context.json)
    fmt::print("{}\n", outcome.document.dump(2, ' ', false, Json::error_handler_t::replace));
  else
    fmt::print("{}", outcome.text);
  if (std::fflush(stdout) != 0) {
    report_failure(fail_errno("cannot write the result", "standard output", errno).value(),
                   context.applied, false);
    return static_cast<int>(ExitCode::kFailed);
  }
  return static_cast<int>(outcome.exit_code);
}

// Whatever the command was: it may have been one that links, not only one that issues.
void warn_of_unlocked_secrets() {
  const auto bytes = static_cast<double>(most_unlocked_bytes());
  if (bytes == 0) return;
  spdlog::warn(
      "{:.1f} MiB of secrets could not be locked into memory and may have been swapped out: raise "
      "the limit (ulimit -l), or be refused instead with lock_memory = \"required\"",
      bytes / (1024.0 * 1024.0));
}

// command_path is the chosen command as it was typed: "jobs approve".
std::string command_path(const CLI::App& app) {
  std::string path;
  for (auto chosen = app.get_subcommands(); !chosen.empty();
       chosen = chosen.front()->get_subcommands())
    path += (path.empty() ? "" : " ") + chosen.front()->get_name();
  return path;
}

// A command that opened the ledger in the moment in which a regeneration's finish gave it new keys,
// and applied nothing, is given again.
Result<Outcome> run_until_it_fits(Context& context) {
  constexpr int kTries = 4;
  auto outcome = context.command(context);
  for (int tried = 1; tried < kTries && !outcome; ++tried) {
    const bool nothing = context.applied.starts_with("nothing was applied") ||
                         context.applied.starts_with("there is no backup");
    if (outcome.error().code != ErrorCode::kStale || !nothing) break;
    outcome = context.command(context);
  }
  return outcome;
}

// Who was refused is for the system's log: the journal cannot be written without a token.
Result<Outcome> run_if_allowed(Context& context) {
  if (const auto allowed = context.allowed(); !allowed) {
    ::openlog("fugo", LOG_PID, LOG_AUTHPRIV);
    ::syslog(LOG_NOTICE, "%s", allowed.error().message().c_str());
    ::closelog();
    return tl::unexpected(allowed.error());
  }
  return run_until_it_fits(context);
}

// tell_failing_copies: what was done stands, but its entry is not in every copy of the journal.
int tell_failing_copies(int exit_code) {
  const auto failing = failing_copies();
  for (const auto& [folder, error] : failing)
    fmt::print(stderr, "fugo: {}; what was asked for was done, and the copy lacks it\n",
               error.message());
  const bool done = exit_code == static_cast<int>(ExitCode::kDone);
  return failing.empty() || !done ? exit_code : static_cast<int>(ExitCode::kFailed);
}

int run_command(Context& context) {
  const auto outcome = run_if_allowed(context);
  warn_of_unlocked_secrets();
  if (outcome) return tell_failing_copies(print_outcome(*outcome, context));
  report_failure(outcome.error(), context.applied, context.json);
  return static_cast<int>(exit_code_of(outcome.error().code));
}

}  // namespace

int run_application(int argc, const char* const* argv) {
  log_to_standard_error();
  Context context;
  CLI::App app("", "fugo");
  add_command_line(app, context);
  // Where the arguments are wrong, --json may not have been read yet.
  const bool json_asked =
      std::any_of(argv, argv + argc, [](std::string_view a) { return a == "--json"; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    report_failure(usage_error(error, {argv + 1, argv + argc}, app.remaining(true)), {},
                   json_asked);
    return static_cast<int>(ExitCode::kUsage);
  }
  context.command_path = command_path(app);
  return run_command(context);
}

}  // namespace fugo::daemon
