// fugo status: what there is, and how it fares.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/job_output.h"
#include "daemon/command/names.h"
#include "daemon/command/second_site_text.h"
#include "daemon/command/status_service.h"
#include "daemon/command/table.h"
#include "daemon/jobs/job_control.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"
#include "engine/regenerate/run_plan.h"

namespace fugo::daemon {
namespace {

// DiskUse is what lies under a directory, and what room there is.
struct DiskUse {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t free_bytes = 0;
};

DiskUse disk_use(const std::filesystem::path& directory) {
  DiskUse use;
  std::error_code error;
  for (auto at = std::filesystem::recursive_directory_iterator(directory, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    ++use.files;
    use.bytes += at->file_size(error);
  }
  const auto space = std::filesystem::space(directory, error);
  if (!error) use.free_bytes = space.available;
  return use;
}

JobReport report_of(const keystore::JobRow& job) {
  JobReport report;
  fill_report(job, report);
  return report;
}

Json document_of(const keystore::JobRow& job) {
  Json document = {{"id", job.id},
                   {"kind", kind_name(job.kind)},
                   {"state", state_name(job.state)},
                   {"time", format_time(job.time)},
                   {"operator", job.operator_name},
                   {"order", job.order},
                   {"rows", job.rows},
                   {"rows_done", job.rows_done},
                   {"rejected", job.count_rejected},
                   {"output", job.output_directory}};
  for (const auto& [name, value] : job_figures(report_of(job))) document[name] = value;
  return document;
}

// What came of a job in the words of its kind: "new 20, existing 3".
std::string result_text(const keystore::JobRow& job) {
  std::string text;
  for (const auto& [name, value] : job_figures(report_of(job)))
    if (std::string_view(name) != "people_new")
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, grouped(value));
  return text;
}

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

std::string job_table(const std::vector<keystore::JobRow>& jobs, std::size_t first) {
  Table table({"JOB", "KIND", "STATE", "TIME", "ROWS", "DONE", "RESULT", "REJECTED"});
  for (std::size_t i = first; i < jobs.size(); ++i) {
    const auto& job = jobs[i];
    table.add({job.id, kind_name(job.kind), state_name(job.state), format_time(job.time),
               grouped(job.rows), grouped(job.rows_done), result_text(job),
               grouped(job.count_rejected)});
  }
  return table.text();
}

// What the ledger holds back, and why: jobs that wait for somebody.
std::string waiting_jobs(const std::vector<keystore::JobRow>& jobs) {
  std::string text;
  for (const auto& job : jobs) {
    const bool held = job.state == keystore::JobState::kHeld;
    if (!held && !(job.paused && job.state == keystore::JobState::kRunning)) continue;
    text +=
        fmt::format("{:<16}{}: {}\n", held ? "held" : "paused", job.id,
                    !held                     ? "fugo jobs resume " + job.id
                    : job.approved_by.empty() ? job.hold_reason + ": fugo jobs approve or refuse"
                                              : "approved by " + job.approved_by);
  }
  return text;
}

std::string frozen_text(const keystore::LedgerState& state) {
  std::string text;
  if (!state.freeze_issue.empty())
    text += fmt::format("{:<16}issue: {}\n", "frozen", state.freeze_issue);
  if (!state.freeze_link.empty())
    text += fmt::format("{:<16}link: {}\n", "frozen", state.freeze_link);
  return text;
}

std::string open_job_text(const std::vector<keystore::JobRow>& jobs, const std::string& id,
                          bool daemon_runs) {
  if (id.empty()) return "none";
  if (daemon_runs) return id;
  for (const auto& job : jobs)
    if (job.id == id)
      return id + ": " +
             (job.own_request ? "the daemon finishes it when it is started"
                              : how_to_go_on(job) + " to finish it");
  return id;
}

// Ledger is what `status` reads of it at one time.
struct LedgerView {
  keystore::LedgerState state;
  std::vector<keystore::JobRow> jobs;
  std::string open_job;
};

Result<LedgerView> look(keystore::Ledger& ledger) {
  LedgerView view;
  FUGO_ASSIGN(view.state, ledger.state());
  FUGO_ASSIGN(view.jobs, ledger.jobs());
  for (const auto& job : view.jobs)
    if (job.number == view.state.open_job) view.open_job = job.id;
  return view;
}

Json jobs_document(const std::vector<keystore::JobRow>& jobs, std::size_t first) {
  Json document = Json::array();
  for (std::size_t i = first; i < jobs.size(); ++i) document.push_back(document_of(jobs[i]));
  return document;
}

Json held_document(const std::vector<keystore::JobRow>& jobs) {
  Json held = Json::array();
  for (const auto& job : jobs)
    if (job.state == keystore::JobState::kHeld)
      held.push_back({{"id", job.id},
                      {"kind", kind_name(job.kind)},
                      {"reason", job.hold_reason},
                      {"approved_by", job.approved_by}});
  return held;
}

// The unfinished regeneration, or null.
Json regeneration_document(const keystore::Ledger& ledger, const keystore::LedgerState& state) {
  if (state.open_run == 0) return nullptr;
  const auto run = engine::find_run(ledger, "");
  if (!run) return nullptr;  // it was ended meanwhile
  return {{"run", run->id},
          {"state", state_name(run->state)},
          {"what", engine::what_names(run->what)},
          {"from", run->from},
          {"to", run->to}};
}

std::string regeneration_text(const Json& document) {
  if (document.is_null()) return {};
  return fmt::format("regeneration    {} is {}: {}\n", document["run"].get<std::string>(),
                     document["state"].get<std::string>(), document["what"].get<std::string>());
}

Result<Outcome> describe(engine::Site& site, const Settings& settings, std::uint64_t last,
                         bool daemon_runs) {
  FUGO_ASSIGN(const auto view, look(site.ledger()));
  const auto& state = view.state;
  const auto use = disk_use(settings.ledger_directory);
  const auto first = view.jobs.size() - std::min<std::uint64_t>(view.jobs.size(), last);
  const auto& header = site.ledger().header();
  Outcome outcome;
  outcome.document = {{"environment", header.environment},
                      {"schema", header.schema},
                      {"created", format_time(header.created)},
                      {"ledger", settings.ledger_directory.string()},
                      {"people", state.next_person - state.deleted_people},
                      {"issuances", state.issuances},
                      {"agencies", site.agencies().size()},
                      {"symbol_version", site.active_generation().number},
                      {"segments", state.next_segment - 1},
                      {"journal_entries", state.journal_entries},
                      {"hsm", site.token().description()},
                      {"files", use.files},
                      {"bytes", use.bytes},
                      {"free_bytes", use.free_bytes},
                      {"open_job", view.open_job.empty() ? Json(nullptr) : Json(view.open_job)},
                      {"regeneration", regeneration_document(site.ledger(), state)},
                      {"frozen", {{"issue", state.freeze_issue}, {"link", state.freeze_link}}},
                      {"held", held_document(view.jobs)},
                      {"jobs", jobs_document(view.jobs, first)}};
  outcome.text = fmt::format(
      "environment     {}\nledger          {} (schema {}, made {})\n"
      "people          {}\nissuances       {}\nagencies        {}\nsymbol version  {}\n"
      "HSM             {}\ndisk            {} in {} files, {} free\nopen job        {}\n",
      header.environment, settings.ledger_directory.string(), header.schema,
      format_time(header.created), grouped(state.next_person - state.deleted_people),
      grouped(state.issuances), grouped(site.agencies().size()), site.active_generation().number,
      site.token().description(), mebibytes(use.bytes), use.files, mebibytes(use.free_bytes),
      open_job_text(view.jobs, view.open_job, daemon_runs));
  outcome.document["sites"] = site_document(settings.ledger_directory);
  outcome.text += site_text(settings.ledger_directory);
  outcome.text += regeneration_text(outcome.document["regeneration"]);
  outcome.text += frozen_text(state) + waiting_jobs(view.jobs);
  if (first < view.jobs.size()) outcome.text += "\n" + job_table(view.jobs, first);
  return outcome;
}

Result<Outcome> look_at_site(const Settings& settings, std::uint64_t last, bool daemon_runs) {
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  return describe(*site, settings, last, daemon_runs);
}

// While the daemon runs its own account is worth having, even when the token that opens the ledger
// is away: just then people ask.
Result<Outcome> run(Context& context, std::uint64_t last) {
  FUGO_ASSIGN(const auto settings, context.settings());
  const auto seen = read_status(settings.status_file());
  const bool runs = seen && seen->running;
  auto outcome = look_at_site(settings, last, runs);
  if (!outcome && !runs) return outcome;
  Outcome all = outcome ? std::move(*outcome) : Outcome{};
  if (!outcome) {
    all.exit_code = exit_code_of(outcome.error().code);
    all.document = {{"ledger_error", outcome.error().message()}};
    all.text = fmt::format("{:<16}cannot be read: {}\n", "ledger", outcome.error().message());
  }
  all.document["daemon"] =
      seen ? service_document(*seen) : Json{{"status_error", seen.error().message()}};
  all.text =
      (seen ? service_text(*seen) : fmt::format("{:<16}{}\n", "daemon", seen.error().message())) +
      all.text;
  return all;
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  auto last = std::make_shared<std::uint64_t>(20);
  auto* command = app.add_subcommand("status", "The daemon, totals, jobs, HSM and disk");
  command->add_option("--last", *last, "How many jobs to show, the latest (default 20)");
  command->callback(
      [&context, last] { context.command = [last](Context& c) { return run(c, *last); }; });
}

}  // namespace fugo::daemon
