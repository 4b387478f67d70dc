// fugo verify: whether the ledger and the keys hold together.
#include <fmt/format.h>

#include "daemon/command/commands.h"
#include "daemon/progress.h"
#include "daemon/site_verify.h"

namespace fugo::daemon {
namespace {

Outcome describe(const VerifyOutcome& verified) {
  Outcome outcome;
  const bool sound = verified.findings.empty();
  outcome.exit_code = sound ? ExitCode::kDone : ExitCode::kDamaged;
  auto findings = Json::array();
  for (const auto& found : verified.findings) {
    findings.push_back({{"where", found.where}, {"what", found.what}, {"hint", found.hint}});
    outcome.text += fmt::format("DAMAGED {}\n", found.message());
  }
  outcome.document = {{"sound", sound},
                      {"checked",
                       {{"pages", verified.pages},
                        {"tables", verified.tables},
                        {"content", verified.content},
                        {"tokens", verified.tokens}}},
                      {"people", verified.people},
                      {"issuances", verified.issuances},
                      {"agencies", verified.agencies},
                      {"journal_entries", verified.journal_entries},
                      {"files", verified.files},
                      {"findings", findings}};
  if (sound) {
    outcome.text = fmt::format(
        "sound: {} people, {} issuances, {} agencies, {} journal entries, {} bulk files\n",
        grouped(verified.people), grouped(verified.issuances), grouped(verified.agencies),
        grouped(verified.journal_entries), verified.files);
    for (const auto* token : verified.tokens)
      outcome.text += fmt::format("sound: keys of the {} token\n", token);
  } else {
    // Damage in an early part keeps the later ones from being looked at.
    const char* skipped = !verified.pages           ? "; tables, content and keys were not checked"
                          : !verified.tables        ? "; content and keys were not checked"
                          : verified.tokens.empty() ? "; keys were not checked"
                                                    : "";
    outcome.text +=
        fmt::format("places that are damaged: {}{}\n", verified.findings.size(), skipped);
  }
  return outcome;
}

Result<Outcome> run(Context& context) {
  FUGO_ASSIGN(const auto settings, context.settings());
  Progress progress("", true);
  const VerifyStage stage = [&](const char* name, std::uint64_t done, std::uint64_t total) {
    progress.stage(name);
    progress.update(done, total);
  };
  FUGO_ASSIGN(const auto verified, verify_site(settings, stage));
  return describe(verified);
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("verify", "Check every record, index, registry, journal entry and key");
  command->callback([&context] { context.command = run; });
}

}  // namespace fugo::daemon
