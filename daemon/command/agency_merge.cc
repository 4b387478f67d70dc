// fugo agency merge: one agency takes over another's people, and the other is closed.
#include <fmt/format.h>

#include <memory>

#include "daemon/command/commands.h"
#include "daemon/command/job_output.h"
#include "daemon/files/answer_folder.h"
#include "daemon/jobs/merge_job.h"
#include "daemon/site_access.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

struct MergeArguments {
  MergedAgencies agencies;
  std::string output;
};

Outcome describe_merger(const JobReport& report, const MergedAgencies& agencies) {
  Outcome outcome;
  outcome.document = {{"id", report.id},
                      {"from", agencies.from},
                      {"to", agencies.into},
                      {"symbols", report.rows},
                      {"new", report.count_new},
                      {"existing", report.count_existing},
                      {"superseded", report.count_superseded},
                      {"symbol_version", report.symbol_version},
                      {"answers", report.answers.string()},
                      {"repeated", report.repeated},
                      {"resumed", report.resumed},
                      {"applied", !report.repeated},
                      {"seconds", report.seconds}};
  auto& text = outcome.text;
  text = fmt::format(
      "{} is merged into {} and closed: {} symbols translated ({} new for {}, {} existing, {} of "
      "superseded people)\n",
      agencies.from, agencies.into, grouped(report.rows), grouped(report.count_new), agencies.into,
      grouped(report.count_existing), grouped(report.count_superseded));
  if (report.repeated) text += "It had been done before: nothing was applied now.\n";
  if (report.resumed) text += "An earlier run of it had stopped; this one finished it.\n";
  text += fmt::format("old and new symbols in {}\n",
                      find_answer(report.answers, agencies.into).string());
  return outcome;
}

// fugod holds the ledger for as long as it runs, so that waiting for it is no advice.
Error say_who_writes(const Settings& settings, Error error) {
  if (error.code != ErrorCode::kRefused) return error;
  const auto lock = keystore::take_writer_lock(settings.ledger_directory);
  if (!lock && lock.error().code == ErrorCode::kRefused)
    error.hint = "stop fugod (or wait until the other command ends), merge, then start fugod again";
  return error;
}

Result<Outcome> merge(Context& context, const MergeArguments& given) {
  context.applied = "nothing was applied";
  FUGO_ASSIGN(auto actor, context.actor());
  FUGO_ASSIGN(const auto settings, context.settings());
  auto options = job_options(settings);
  FUGO_ASSIGN(options.output_directory, absolute_path("--out", given.output));
  options.actor = std::move(actor);
  auto opened = open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite);
  if (!opened) return tl::unexpected<Error>(say_who_writes(settings, opened.error()));
  engine::Site& site = **opened;
  FUGO_ASSIGN(const auto before, site.ledger().state());
  BulkProgress progress(true);
  options.progress = [&progress](const char* stage, std::uint64_t done, std::uint64_t total) {
    progress.update(stage, done, total);
  };
  const auto report = run_merge(site, options, given.agencies);
  if (!report) {
    context.applied = applied_since(before, site);
    return tl::unexpected<Error>(report.error());
  }
  return describe_merger(*report, given.agencies);
}

}  // namespace

void add_agency_merge(CLI::App& agency, Context& context) {
  auto given = std::make_shared<MergeArguments>();
  auto* command = agency.add_subcommand(
      "merge", "Let one agency take over all people of another, which is closed for good");
  command->add_option("--from", given->agencies.from, "Code of the agency that is closed")
      ->required();
  command->add_option("--to", given->agencies.into, "Code of the agency that takes over")
      ->required();
  command->add_option("--out", given->output, "Old and new symbols appear in OUT/merge+FROM+TO/")
      ->required();
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return merge(c, *given); }; });
}

}  // namespace fugo::daemon
