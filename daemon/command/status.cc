// fugo status: what there is, and how it fares.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/names.h"
#include "daemon/command/table.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"

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

Json document_of(const keystore::JobRow& job) {
  return {{"id", job.id},
          {"kind", kind_name(job.kind)},
          {"state", state_name(job.state)},
          {"time", format_time(job.time)},
          {"operator", job.operator_name},
          {"order", job.order},
          {"rows", job.rows},
          {"rows_done", job.rows_done},
          {"new", job.count_new},
          {"existing", job.count_existing},
          {"rejected", job.count_rejected},
          {"people_new", job.people_new},
          {"output", job.output_directory}};
}

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

std::string job_table(const std::vector<keystore::JobRow>& jobs, std::size_t first) {
  Table table({"JOB", "KIND", "STATE", "TIME", "ROWS", "DONE", "NEW", "EXISTING", "REJECTED"});
  for (std::size_t i = first; i < jobs.size(); ++i) {
    const auto& job = jobs[i];
    table.add({job.id, kind_name(job.kind), state_name(job.state), format_time(job.time),
               grouped(job.rows), grouped(job.rows_done), grouped(job.count_new),
               grouped(job.count_existing), grouped(job.count_rejected)});
  }
  return table.text();
}

Result<Outcome> describe(engine::Site& site, const Settings& settings, std::uint64_t last) {
  FUGO_ASSIGN(const auto state, site.ledger().state());
  FUGO_ASSIGN(const auto jobs, site.ledger().jobs());
  std::string open_job;
  for (const auto& job : jobs)
    if (job.number == state.open_job) open_job = job.id;
  const auto use = disk_use(settings.ledger_directory);
  const auto first = jobs.size() - std::min<std::uint64_t>(jobs.size(), last);
  const auto& header = site.ledger().header();
  Outcome outcome;
  auto& document = outcome.document;
  document = {{"environment", header.environment},
              {"schema", header.schema},
              {"created", format_time(header.created)},
              {"ledger", settings.ledger_directory.string()},
              {"people", state.next_person},
              {"issuances", state.issuances},
              {"agencies", site.agencies().size()},
              {"symbol_version", site.active_generation().number},
              {"segments", state.next_segment - 1},
              {"journal_entries", state.journal_entries},
              {"hsm", site.token().description()},
              {"files", use.files},
              {"bytes", use.bytes},
              {"free_bytes", use.free_bytes},
              {"open_job", open_job.empty() ? Json(nullptr) : Json(open_job)},
              {"jobs", Json::array()}};
  for (std::size_t i = first; i < jobs.size(); ++i)
    document["jobs"].push_back(document_of(jobs[i]));
  outcome.text = fmt::format(
      "environment     {}\nledger          {} (schema {}, made {})\n"
      "people          {}\nissuances       {}\nagencies        {}\nsymbol version  {}\n"
      "HSM             {}\ndisk            {} in {} files, {} free\nopen job        {}\n",
      header.environment, settings.ledger_directory.string(), header.schema,
      format_time(header.created), grouped(state.next_person), grouped(state.issuances),
      grouped(site.agencies().size()), site.active_generation().number, site.token().description(),
      mebibytes(use.bytes), use.files, mebibytes(use.free_bytes),
      open_job.empty() ? "none"
                       : open_job + ": run fugo issue with its request file again to finish it");
  if (first < jobs.size()) outcome.text += "\n" + job_table(jobs, first);
  return outcome;
}

Result<Outcome> run(Context& context, std::uint64_t last) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  return describe(*site, settings, last);
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
  auto last = std::make_shared<std::uint64_t>(20);
  auto* command = app.add_subcommand("status", "Totals, jobs, HSM and disk");
  command->add_option("--last", *last, "How many jobs to show, the latest (default 20)");
  command->callback(
      [&context, last] { context.command = [last](Context& c) { return run(c, *last); }; });
}

}  // namespace fugo::daemon
