// fugo backup and fugo restore.
#include "daemon/backup/backup.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "daemon/command/commands.h"
#include "daemon/progress.h"

namespace fugo::daemon {
namespace {

std::uint64_t bytes_of(const Inventory& inventory) {
  std::uint64_t bytes = 0;
  for (const auto& file : inventory.files) bytes += file.bytes;
  return bytes;
}

Json document_for(const Inventory& inventory) {
  return {{"ledger", inventory.ledger_id},
          {"commits", inventory.commits},
          {"people", inventory.people},
          {"issuances", inventory.issuances},
          {"journal_entries", inventory.journal_entries},
          {"digest", inventory.digest},
          {"digest_without_times", inventory.digest_without_times},
          {"files", inventory.files.size()},
          {"bytes", bytes_of(inventory)}};
}

std::string counts_of(const Inventory& inventory) {
  return fmt::format("  people     {}\n  issuances  {}\n  journal    {} entries\n  digest     {}\n",
                     grouped(inventory.people), grouped(inventory.issuances),
                     grouped(inventory.journal_entries), inventory.digest);
}

struct BackupArguments {
  std::string directory;
  bool unverified = false;
};

Result<Outcome> back_up(Context& context, const BackupArguments& given) {
  context.applied = "there is no backup";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto target, absolute_path("DIR", given.directory));
  FUGO_ASSIGN(const auto settings, context.settings());
  Progress progress("", true);
  const BackupStage stage = [&](const char* name, std::uint64_t done, std::uint64_t total) {
    progress.stage(name);
    progress.update(done, total);
  };
  FUGO_ASSIGN(const auto inventory, make_backup(settings, target, actor, !given.unverified, stage));
  Outcome outcome;
  outcome.document = document_for(inventory);
  outcome.document["directory"] = target.string();
  outcome.document["verified"] = !given.unverified;
  outcome.text =
      fmt::format("The ledger is in {}: {} files, {} bytes{}\n\n{}", target.string(),
                  inventory.files.size(), grouped(bytes_of(inventory)),
                  given.unverified ? ", NOT verified" : ", verified", counts_of(inventory));
  outcome.text += "\nIt holds no key: it is of use with a token of this site only.\n";
  return outcome;
}

struct RestoreArguments {
  std::string backup, directory;
};

Result<Outcome> restore(Context& context, const RestoreArguments& given) {
  context.applied = "nothing was restored";
  FUGO_ASSIGN(const auto actor, context.actor());
  FUGO_ASSIGN(const auto backup, absolute_path("DIR", given.backup));
  FUGO_ASSIGN(const auto target, absolute_path("--dir", given.directory));
  FUGO_ASSIGN(const auto settings, context.settings());
  Progress progress("", true);
  const BackupStage stage = [&](const char* name, std::uint64_t done, std::uint64_t total) {
    progress.stage(name);
    progress.update(done, total);
  };
  FUGO_ASSIGN(const auto restored, restore_backup(settings, backup, target, actor, stage));
  Outcome outcome;
  outcome.document = document_for(restored.inventory);
  outcome.document["directory"] = restored.directory.string();
  outcome.document["configuration"] = restored.configuration.string();
  outcome.document["taken"] = document_of(restored.inventory)["taken"];
  outcome.text = fmt::format(
      "Restored and verified in {}, as of {}\n\n{}", restored.directory.string(),
      document_of(restored.inventory)["taken"].get<std::string>(), counts_of(restored.inventory));
  outcome.text += fmt::format(
      "\nWhat was done after that time is not in it: see docs/backup.md before you go on with\n"
      "  fugo --config {}\n",
      restored.configuration.string());
  return outcome;
}

}  // namespace

void add_backup(CLI::App& app, Context& context) {
  auto given = std::make_shared<BackupArguments>();
  auto* command = app.add_subcommand("backup", "Copy the ledger, while it is used, and verify it");
  command->add_option("DIR", given->directory, "Directory of the backup, absent or empty")
      ->required();
  command->add_flag("--unverified", given->unverified,
                    "Do not verify the copy now; fugo restore does in any case");
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return back_up(c, *given); }; });

  auto wanted = std::make_shared<RestoreArguments>();
  auto* restoring = app.add_subcommand(
      "restore", "Make a site from a backup, with the tokens of the configuration");
  restoring->add_option("DIR", wanted->backup, "Directory of the backup")->required();
  restoring->add_option("--dir", wanted->directory, "Directory of the new site, absent or empty")
      ->required();
  restoring->callback([&context, wanted] {
    context.command = [wanted](Context& c) { return restore(c, *wanted); };
  });
}

}  // namespace fugo::daemon
