// fugo compare, reconcile and journal copy: this site beside what is kept elsewhere.
#include "daemon/second_site/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "daemon/command/site_commands.h"
#include "daemon/journal/entry_line.h"
#include "daemon/journal/live_copy.h"
#include "daemon/journal/reconcile.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"
#include "daemon/statement.h"
#include "daemon/utf8.h"

namespace fugo::daemon {
namespace {

struct CompareArguments {
  std::string checkpoint, out;
};

std::string verdict_of(const Comparison& comparison) {
  if (comparison.equal() && comparison.since.empty()) return "EQUAL: journal and content";
  if (comparison.equal())
    return fmt::format("EQUAL: this journal goes on with {} acts that change nothing",
                       comparison.since.size());
  if (!comparison.same_journal) return "NOT EQUAL: this site is behind the other";
  if (comparison.harmless) return "NOT EQUAL: the digests differ";
  return "NOT EQUAL: this site went on after the other's last entry";
}

std::string table_of(const Comparison& comparison) {
  const auto& here = comparison.here;
  const auto& there = comparison.there;
  return fmt::format(
      "                {:<64}  {}\ntime            {:<64}  {}\njournal         {:<64}  {}\n"
      "root            {:<64}  {}\ndigest          {:<64}  {}\nwithout times   {:<64}  {}\n",
      "THIS SITE", "THE OTHER", here.time, there.time, grouped(here.journal_entries),
      grouped(there.journal_entries), here.journal_root, there.journal_root, here.digest,
      there.digest, here.digest_without_times, there.digest_without_times);
}

// state_it writes the signed statement of a comparison.
Status state_it(const Context& context, const OpenLedger& site, const Comparison& comparison,
                const std::filesystem::path& file) {
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto keys, site.ledger->key_rows());
  FUGO_ASSIGN(const auto key, signing_key(keys));
  Json statement = {{"format", "fugo-statement"},
                    {"version", 1},
                    {"act", "compare"},
                    {"meaning",
                     "equal is true when both sites held the same people, issuances and "
                     "times, and the same journal, at the times that are given"},
                    {"ledger", hex(site.ledger->header().ledger_id.bytes)},
                    {"environment", site.ledger->header().environment},
                    {"time", format_time(unix_now())},
                    {"operator", actor.operator_name},
                    {"order", actor.order}};
  statement.update(document_of(comparison));
  return write_statement(*site.token, key, statement, file);
}

Result<Outcome> compare(Context& context, const CompareArguments& given) {
  FUGO_ASSIGN(const auto checkpoint, absolute_path("CHECKPOINT", given.checkpoint));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto comparison, compare_sites(*site.ledger, settings.file, checkpoint));
  Outcome outcome;
  outcome.document = document_of(comparison);
  outcome.text = table_of(comparison) + "\n" + verdict_of(comparison) + "\n";
  outcome.exit_code = comparison.equal() ? ExitCode::kDone : ExitCode::kFailed;
  if (given.out.empty()) return outcome;
  FUGO_ASSIGN(const auto file, absolute_path("--out", given.out));
  FUGO_TRY(state_it(context, site, comparison, file));
  outcome.document["statement"] = file.string();
  outcome.text += fmt::format("statement: {}\n", file.string());
  return outcome;
}

Json document_of(const LostJob& job) {
  return {{"id", job.id},
          {"kind", job.kind},
          {"first_entry", job.first},
          {"time", format_time(job.time)},
          {"known_here", job.known_here},
          {"end", job.end},
          {"segments", job.segments},
          {"rows", job.rows},
          {"new", job.made},
          {"existing", job.existing}};
}

std::string text_of(const LostJob& job) {
  return fmt::format("  {} {} {}: {}, {} rows, {} new, {} existing{}\n", format_time(job.time),
                     job.kind, presentable(job.id), job.end, grouped(job.rows), grouped(job.made),
                     grouped(job.existing), job.known_here ? " (goes on where it is)" : "");
}

// torn_text tells of acts that a copy has the beginning of.
std::string torn_text(const Reconciliation& found) {
  std::string text;
  for (const auto& file : found.torn)
    text += fmt::format(
        "{} ends with a piece of a line: of one more act, which may have been done, only that was "
        "written.\n",
        file.string());
  return text;
}

std::string text_of(const Reconciliation& found) {
  const auto trust =
      found.signed_entries == 0
          ? std::string(
                "Not compared with a signed checkpoint (--checkpoint): whoever can write "
                "the copies can have added entries, or taken the last ones away.\n")
          : fmt::format("The first {} entries are those of a signed checkpoint.\n",
                        grouped(found.signed_entries));
  if (found.entries == 0)
    return "This ledger has every entry of these copies.\n" + trust + torn_text(found);
  std::string text = trust + torn_text(found) +
                     fmt::format("This ledger lacks {} entries{}.\n", grouped(found.entries),
                                 found.parted ? ", and went on by itself: two sites went on" : "");
  if (found.unlisted != 0)
    text += fmt::format("The last {} of them are not listed, for they are too many\n",
                        grouped(found.unlisted));
  text += fmt::format("\nRequests to be given again, in this order ({}):\n", found.jobs.size());
  for (const auto& job : found.jobs) text += text_of(job);
  text +=
      fmt::format("\nOther acts to be done again, in their places ({}):\n", found.others.size());
  for (const auto& entry : found.others)
    text += fmt::format("  {} {} {} {}\n", entry.sequence, format_time(entry.time),
                        presentable(entry.act), presentable(entry.details));
  text += found.obstacles.empty()
              ? "\nThe same request gives the same symbols again: keys and agencies are the same.\n"
              : "\nNOT every symbol will be the same:\n";
  for (const auto& obstacle : found.obstacles) text += "  " + obstacle + "\n";
  return text;
}

struct ReconcileArguments {
  std::vector<std::string> copies, checkpoints;
};

Result<std::vector<std::filesystem::path>> paths_of(const char* argument,
                                                    const std::vector<std::string>& given) {
  std::vector<std::filesystem::path> paths;
  for (const auto& name : given) {
    FUGO_ASSIGN(auto path, absolute_path(argument, name));
    paths.push_back(std::move(path));
  }
  return paths;
}

Result<Outcome> tell_lost(Context& context, const ReconcileArguments& given) {
  FUGO_ASSIGN(const auto copies, paths_of("COPY", given.copies));
  FUGO_ASSIGN(const auto checkpoints, paths_of("--checkpoint", given.checkpoints));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto found, reconcile(*site.ledger, copies, checkpoints));
  Outcome outcome;
  outcome.document = {{"entries", found.entries},
                      {"unlisted", found.unlisted},
                      {"parted", found.parted},
                      {"same_symbols", found.obstacles.empty()},
                      {"signed_entries", found.signed_entries},
                      {"obstacles", found.obstacles},
                      {"torn", Json::array()},
                      {"jobs", Json::array()},
                      {"others", Json::array()}};
  for (const auto& file : found.torn) outcome.document["torn"].push_back(file.string());
  for (const auto& job : found.jobs) outcome.document["jobs"].push_back(document_of(job));
  for (const auto& entry : found.others)
    outcome.document["others"].push_back(entry_document(entry));
  outcome.text = text_of(found);
  outcome.exit_code = found.entries == 0 ? ExitCode::kDone : ExitCode::kFailed;
  return outcome;
}

// copy_to catches up in a folder that every act goes to.
Result<JournalCopy> copy_to(const Settings& settings, const keystore::Ledger& ledger,
                            const std::filesystem::path& folder) {
  const auto& live = settings.journal_copies;
  const auto same = [&](const auto& one) {
    std::error_code ignored;
    return std::filesystem::equivalent(one, folder, ignored);
  };
  if (std::none_of(live.begin(), live.end(), same)) return copy_journal(ledger, folder);
  FUGO_ASSIGN(const auto caught, catch_up(ledger, folder));
  return JournalCopy{folder / kLiveCopy, caught.first, caught.entries};
}

Result<Outcome> copy(Context& context, const std::string& given) {
  FUGO_ASSIGN(const auto folder, absolute_path("DIR", given));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto copied, copy_to(settings, *site.ledger, folder));
  Outcome outcome;
  outcome.document = {{"file", copied.file.empty() ? Json(nullptr) : Json(copied.file.string())},
                      {"from", copied.first},
                      {"entries", copied.entries}};
  outcome.text = copied.entries == 0 ? "Nothing was done since the last copy\n"
                                     : fmt::format("{} entries are in {}\n",
                                                   grouped(copied.entries), copied.file.string());
  return outcome;
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  auto given = std::make_shared<CompareArguments>();
  auto* command = app.add_subcommand(
      "compare", "Prove that this site and the one that signed a checkpoint hold the same");
  command->add_option("CHECKPOINT", given->checkpoint, "What journal checkpoint wrote there")
      ->required();
  command->add_option("--out", given->out, "File of a signed statement");
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return compare(c, *given); }; });

  auto wanted = std::make_shared<ReconcileArguments>();
  command = app.add_subcommand("reconcile",
                               "What was done after this ledger's state, by copies of the journal");
  command->add_option("COPY", wanted->copies, "Files of journal export or copy, or folders of them")
      ->required();
  command->add_option("--checkpoint", wanted->checkpoints,
                      "Files that journal checkpoint wrote: ledger and copies must make their "
                      "journal");
  command->callback([&context, wanted] {
    context.command = [wanted](Context& c) { return tell_lost(c, *wanted); };
  });
}

void add_journal_copy(CLI::App& journal, Context& context) {
  auto folder = std::make_shared<std::string>();
  auto* command = journal.add_subcommand(
      "copy", "Write what the journal has and a folder has not, into a file there");
  command->add_option("DIR", *folder, "Folder outside of the ledger's disk, kept for good")
      ->required();
  command->callback(
      [&context, folder] { context.command = [folder](Context& c) { return copy(c, *folder); }; });
}

}  // namespace fugo::daemon
