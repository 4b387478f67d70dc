// fugo stats: totals by day, agency, symbol version and result.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "daemon/command/commands.h"
#include "daemon/command/table.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

Result<Outcome> run(Context& context, bool csv) {
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto rows, site->ledger().stats());
  std::map<keystore::AgencyNumber, std::string> codes;
  for (const auto& agency : site->agencies()) codes[agency.number] = agency.code;
  Outcome outcome;
  outcome.document = {{"stats", Json::array()}};
  Table table({"DAY", "AGENCY", "VERSION", "NEW", "EXISTING", "REJECTED"});
  std::string lines = "day,agency_code,symbol_version,new,existing,rejected\n";
  std::uint64_t count_new = 0, count_existing = 0, count_rejected = 0;
  for (const auto& row : rows) {
    const std::string code = row.agency == 0 ? "" : codes[row.agency];
    outcome.document["stats"].push_back({{"day", row.day},
                                         {"agency", code},
                                         {"symbol_version", row.generation},
                                         {"new", row.count_new},
                                         {"existing", row.count_existing},
                                         {"rejected", row.count_rejected}});
    table.add({row.day, code.empty() ? "(unknown)" : code, std::to_string(row.generation),
               grouped(row.count_new), grouped(row.count_existing), grouped(row.count_rejected)});
    lines += fmt::format("{},{},{},{},{},{}\n", row.day, code, row.generation, row.count_new,
                         row.count_existing, row.count_rejected);
    count_new += row.count_new;
    count_existing += row.count_existing;
    count_rejected += row.count_rejected;
  }
  outcome.document["total"] = {
      {"new", count_new}, {"existing", count_existing}, {"rejected", count_rejected}};
  table.add(
      {"total", "", "", grouped(count_new), grouped(count_existing), grouped(count_rejected)});
  outcome.text = csv ? lines : table.text();
  return outcome;
}

}  // namespace

void add_stats(CLI::App& app, Context& context) {
  auto csv = std::make_shared<bool>(false);
  auto* command = app.add_subcommand("stats", "Totals by day, agency, symbol version and result");
  command->add_flag("--csv", *csv, "As CSV");
  command->callback(
      [&context, csv] { context.command = [csv](Context& c) { return run(c, *csv); }; });
}

}  // namespace fugo::daemon
