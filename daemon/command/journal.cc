// fugo journal: who did what when.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/command/site_commands.h"
#include "daemon/journal/checkpoint.h"
#include "daemon/journal/entry_line.h"
#include "daemon/journal/journal_check.h"
#include "daemon/journal/live_copy.h"
#include "daemon/journal/signed_checkpoint.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"
#include "daemon/utf8.h"

namespace fugo::daemon {
namespace {

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

// last_from reads the number of entries; nothing was given: all.
Result<std::uint64_t> last_from(const std::string& text) {
  if (text.empty()) return kAll;
  std::uint64_t last = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), last);
  if (error != std::errc() || end != text.data() + text.size() || last == 0)
    return fail(ErrorCode::kUsage, "must be a whole number, 1 or more", "--last");
  return last;
}

Result<Outcome> show(Context& context, const std::string& given) {
  FUGO_ASSIGN(const auto last, last_from(given));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto state, site->ledger().state());
  const auto count = std::min(last, state.journal_entries);
  FUGO_ASSIGN(const auto entries, site->ledger().journal(state.journal_entries - count, count));
  Outcome outcome;
  outcome.document = {{"entries", Json::array()}};
  for (const auto& entry : entries) {
    outcome.document["entries"].push_back(entry_document(entry));
    outcome.text += fmt::format(
        "{} {} {}{}{} {} {}\n", entry.sequence, format_time(entry.time), entry.operator_name,
        entry.order.empty() ? "" : " order=", entry.order, entry.act, entry.details);
  }
  return outcome;
}

// refuse_existing: what was kept may be the only witness of what this ledger has lost.
Status refuse_existing(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) return {};
  return fail(ErrorCode::kRefused, "exists already", file.string(), "choose another name");
}

// write_export writes entries as lines, durably, and gives their number.
Result<std::uint64_t> write_export(const keystore::Ledger& ledger, std::uint64_t first,
                                   const std::filesystem::path& file) {
  const auto temporary = file.parent_path() / ("." + file.filename().string() + ".tmp");
  std::uint64_t count = 0;
  FUGO_TRY(refuse_existing(file));
  FUGO_ASSIGN(const auto out, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  FUGO_TRY(for_each_entry(ledger, first, [&](const auto& entry) -> Status {
    ++count;
    return write_all(out.get(), as_bytes(entry_line(entry) + "\n"), temporary);
  }));
  FUGO_TRY(sync_file(out.get(), temporary));
  FUGO_TRY(rename_durably(temporary, file));
  return count;
}

struct ExportArguments {
  std::string file;
  std::uint64_t from = 0;
};

Result<Outcome> export_journal(Context& context, const ExportArguments& given) {
  FUGO_ASSIGN(const auto file, absolute_path("--out", given.file));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto count, write_export(*site.ledger, given.from, file));
  return Outcome{{{"file", file.string()}, {"from", given.from}, {"entries", count}},
                 fmt::format("{} entries are in {}\n", grouped(count), file.string())};
}

Result<Outcome> make_checkpoint(Context& context, const std::string& out) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto site,
              open_ledger(settings, hsm::TokenRole::kIssuing, keystore::Access::kRead));
  FUGO_ASSIGN(const auto made, sign_site_checkpoint(*site.token, *site.ledger, settings));
  const Checkpoint& checkpoint = made.checkpoint;
  Outcome outcome;
  outcome.document = {{"origin", checkpoint.origin},
                      {"size", checkpoint.size},
                      {"root", hex(checkpoint.root)},
                      {"extensions", checkpoint.extensions}};
  outcome.text = made.note;
  if (out.empty()) return outcome;
  FUGO_ASSIGN(const auto file, absolute_path("--out", out));
  FUGO_TRY(refuse_existing(file));
  FUGO_ASSIGN(const auto pem, public_key_pem(made.key));
  FUGO_TRY(write_durably(file.string() + ".pem", as_bytes(pem), 0644));
  FUGO_TRY(write_durably(file, as_bytes(made.note), 0644));
  outcome.document["file"] = file.string();
  outcome.text =
      fmt::format("{} entries are signed for in {}\n", grouped(checkpoint.size), file.string());
  return outcome;
}

struct VerifyArguments {
  std::vector<std::string> copies, checkpoints;
};

// tell_parting says what a copy has that the ledger has not: it was done, and may have to be done
// again.
void tell_parting(const JournalParting& parting, const std::string& file, Outcome& outcome) {
  outcome.exit_code = ExitCode::kDamaged;
  auto missing = Json::array();
  outcome.text += fmt::format(
      "DAMAGED {}: the ledger's journal {} entry {}; the copy goes on with {} entries:\n", file,
      parting.ledger_ends ? "ends before" : "has another", parting.at, grouped(parting.count));
  for (const auto& entry : parting.missing) {
    missing.push_back(entry_document(entry));
    outcome.text += fmt::format("  {} {} {} {}\n", entry.sequence, format_time(entry.time),
                                presentable(entry.act), presentable(entry.details));
  }
  outcome.document["partings"].push_back({{"file", file},
                                          {"at", parting.at},
                                          {"ledger_ends", parting.ledger_ends},
                                          {"count", parting.count},
                                          {"missing", missing}});
}

// verify_live compares a copy that acts go to, which others may be writing: as far as it is whole.
Status verify_live(const keystore::Ledger& ledger, const std::filesystem::path& folder,
                   Outcome& outcome) {
  const auto file = folder / kLiveCopy;
  FUGO_ASSIGN(const auto entries, live_copy_entries(folder));
  FUGO_ASSIGN(const auto state, ledger.state());
  ComparedCopy copy;
  if (entries != 0) {
    CopyWishes wishes;
    wishes.most = entries;
    FUGO_ASSIGN(copy, compare_copy(ledger, file, wishes));
  }
  if (copy.parting) {
    tell_parting(*copy.parting, file.string(), outcome);
    return {};
  }
  outcome.document["copies"].push_back({{"file", file.string()}, {"entries", entries}});
  outcome.text += fmt::format("sound: {}, {} entries{}\n", file.string(), grouped(entries),
                              entries < state.journal_entries ? "; it lacks what came last" : "");
  return {};
}

// tell_unread says of a copy that it could not be compared; what else was found is told all the
// same, and damage stays the outcome.
void tell_unread(const std::filesystem::path& folder, const Error& error, Outcome& outcome) {
  const auto code = exit_code_of(error.code);
  if (outcome.exit_code != ExitCode::kDamaged)
    outcome.exit_code = code == ExitCode::kDamaged ? code : ExitCode::kFailed;
  outcome.document["copies"].push_back(
      {{"file", (folder / kLiveCopy).string()}, {"error", error.message()}});
  outcome.text += fmt::format("{}: {}\n", code == ExitCode::kDamaged ? "DAMAGED" : "NOT COMPARED",
                              error.message());
}

// compare_exports compares copies that were named.
Status compare_exports(const keystore::Ledger& ledger, const std::vector<std::string>& names,
                       Outcome& outcome) {
  for (const auto& name : names) {
    FUGO_ASSIGN(const auto file, absolute_path("--export", name));
    FUGO_ASSIGN(const auto copy, compare_copy(ledger, file));
    if (copy.parting)
      tell_parting(*copy.parting, name, outcome);
    else
      outcome.text += fmt::format("sound: {}\n", name);
    if (!copy.torn) continue;
    outcome.document["torn"].push_back(name);
    outcome.text += fmt::format(
        "{} ends with a piece of a line behind its {} entries: who wrote it died, or still "
        "writes\n",
        name, grouped(copy.entries));
  }
  return {};
}

const char* text_of(ContentCheck content) {
  switch (content) {
    case ContentCheck::kSame:
      return "as it was signed for";
    case ContentCheck::kEntriesSince:
      return "not compared, since there are entries since";
    case ContentCheck::kJobIsOpen:
      return "not compared, since a job is open";
  }
  return "";
}

Result<Outcome> verify(Context& context, const VerifyArguments& given) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_ledger(settings, role, keystore::Access::kRead));
  std::uint64_t count = 0;
  FUGO_TRY(for_each_entry(*site.ledger, 0, [&](const auto&) -> Status {
    ++count;
    return {};
  }));
  Outcome outcome;
  outcome.document = {{"entries", count},
                      {"partings", Json::array()},
                      {"checkpoints", Json::array()},
                      {"copies", Json::array()},
                      {"torn", Json::array()}};
  outcome.text = fmt::format("sound: the ledger's own journal, {} entries\n", grouped(count));
  for (const auto& name : given.checkpoints) {
    FUGO_ASSIGN(const auto file, absolute_path("--checkpoint", name));
    FUGO_ASSIGN(const auto checkpoint, compare_checkpoint(*site.ledger, file));
    FUGO_ASSIGN(const auto content, compare_content(*site.ledger, checkpoint, file));
    const char* const told = text_of(content);
    outcome.document["checkpoints"].push_back(
        {{"file", name}, {"entries", checkpoint.size}, {"content", told}});
    outcome.text +=
        fmt::format("sound: {} of {} entries; content: {}\n", name, grouped(checkpoint.size), told);
  }
  FUGO_TRY(compare_exports(*site.ledger, given.copies, outcome));
  for (const auto& folder : settings.journal_copies) {
    const auto told = verify_live(*site.ledger, folder, outcome);
    if (!told) tell_unread(folder, told.error(), outcome);
  }
  return outcome;
}

void add_export(CLI::App& group, Context& context) {
  auto given = std::make_shared<ExportArguments>();
  auto* command = group.add_subcommand("export", "Write the journal as JSON lines");
  command->add_option("--out", given->file, "File to be written")->required();
  command->add_option("--from", given->from, "The first entry, by sequence (0 unless given)");
  command->callback([&context, given] {
    context.command = [given](Context& c) { return export_journal(c, *given); };
  });
}

void add_checkpoint(CLI::App& group, Context& context) {
  auto out = std::make_shared<std::string>();
  auto* command = group.add_subcommand(
      "checkpoint", "Sign what the journal and the ledger are now, to be kept elsewhere");
  command->add_option("--out", *out,
                      "File to be written, FILE.pem with the public key beside (standard output "
                      "unless given)");
  command->callback([&context, out] {
    context.command = [out](Context& c) { return make_checkpoint(c, *out); };
  });
}

void add_verify_journal(CLI::App& group, Context& context) {
  auto given = std::make_shared<VerifyArguments>();
  auto* command = group.add_subcommand(
      "verify", "Check the journal's chain, and compare it with what was kept elsewhere");
  command->add_option("--export", given->copies, "Files that journal export wrote");
  command->add_option("--checkpoint", given->checkpoints, "Files that journal checkpoint wrote");
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return verify(c, *given); }; });
}

}  // namespace

void add_journal(CLI::App& app, Context& context) {
  auto last = std::make_shared<std::string>();
  auto* group = app.add_subcommand("journal", "Who did what when");
  group->require_subcommand(1);
  auto* command = group->add_subcommand("show", "Print the journal, oldest entry first");
  command->add_option("--last", *last, "Only the last N entries");
  command->callback(
      [&context, last] { context.command = [last](Context& c) { return show(c, *last); }; });
  add_export(*group, context);
  add_checkpoint(*group, context);
  add_verify_journal(*group, context);
  add_journal_copy(*group, context);
  add_accept_clock(*group, context);
}

}  // namespace fugo::daemon
