// fugo journal: who did what when.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>

#include "base/text.h"
#include "daemon/command/commands.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();

Json document_of(const keystore::JournalEntry& entry) {
  auto details = Json::parse(entry.details, nullptr, false);
  if (details.is_discarded()) details = entry.details;
  return {{"sequence", entry.sequence},
          {"time", format_time(entry.time)},
          {"operator", entry.operator_name},
          {"order", entry.order},
          {"act", entry.act},
          {"details", details},
          {"hash", hex(entry.hash)}};
}

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
    outcome.document["entries"].push_back(document_of(entry));
    outcome.text += fmt::format(
        "{} {} {}{}{} {} {}\n", entry.sequence, format_time(entry.time), entry.operator_name,
        entry.order.empty() ? "" : " order=", entry.order, entry.act, entry.details);
  }
  return outcome;
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
}

}  // namespace fugo::daemon
