// fugo stats: totals by any of day, month, agency, symbol version and result.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <span>

#include "daemon/command/commands.h"
#include "daemon/command/table.h"
#include "daemon/progress.h"
#include "daemon/site_access.h"

namespace fugo::daemon {
namespace {

struct Options {
  std::vector<std::string> by = {"day", "agency", "version"};
  std::string from, to;
  bool csv = false;
};

// Results of rows, in the order of Counts.
constexpr std::array<const char*, 3> kResults = {"new", "existing", "rejected"};
using Counts = std::array<std::uint64_t, kResults.size()>;

// Row is one counted row of the ledger, with what it can be grouped by.
struct Row {
  const keystore::StatRow* stat;
  std::string agency;
};

// Dimension is a word of --by. `result` is not among them: it splits the counts.
struct Dimension {
  const char* word;
  const char* json_key;
  const char* csv_name;
  const char* title;
  std::string (*value)(const Row& row);
};
constexpr std::array<Dimension, 4> kDimensions = {
    {{"day", "day", "day", "DAY", [](const Row& row) { return row.stat->day; }},
     {"month", "month", "month", "MONTH",
      [](const Row& row) { return row.stat->day.substr(0, sizeof("2026-11") - 1); }},
     {"agency", "agency", "agency_code", "AGENCY", [](const Row& row) { return row.agency; }},
     {"version", "symbol_version", "symbol_version", "VERSION",
      [](const Row& row) { return std::to_string(row.stat->generation); }}}};
constexpr auto kResult = "result";

// Grouping is what --by says.
struct Grouping {
  std::vector<const Dimension*> dimensions;
  bool by_result = false;
};
using Groups = std::map<std::vector<std::string>, Counts>;

Result<Grouping> parse_by(const std::vector<std::string>& words) {
  Grouping grouping;
  for (const auto& word : words) {
    const auto found = std::find_if(kDimensions.begin(), kDimensions.end(),
                                    [&](const auto& known) { return word == known.word; });
    if (std::count(words.begin(), words.end(), word) > 1)
      return fail(ErrorCode::kUsage, fmt::format("{} is given twice", word), "--by");
    if (word == kResult)
      grouping.by_result = true;
    else if (found != kDimensions.end())
      grouping.dimensions.push_back(&*found);
    else
      return fail(ErrorCode::kUsage,
                  fmt::format("\"{}\" is none of day, month, agency, version, result", word),
                  "--by");
  }
  return grouping;
}

// A day "2026-11-20" or a month "2026-11"; empty: no limit.
Status check_date(const std::string& date, const char* option) {
  constexpr std::string_view kForm = "0000-00-00";
  bool good = date.empty() || date.size() == 7 || date.size() == kForm.size();
  for (std::size_t i = 0; good && i < date.size(); ++i)
    good = kForm[i] == '-' ? date[i] == '-' : (date[i] >= '0' && date[i] <= '9');
  if (good) return {};
  return fail(ErrorCode::kUsage, "must be a day such as 2026-11-20 or a month such as 2026-11",
              option);
}

bool within(const std::string& day, const Options& options) {
  return day >= options.from && day.substr(0, options.to.size()) <= options.to;
}

Result<Groups> group(engine::Site& site, const Options& options, const Grouping& grouping) {
  FUGO_ASSIGN(const auto stats, site.ledger().stats());
  std::map<keystore::AgencyNumber, std::string> codes;
  for (const auto& agency : site.agencies()) codes[agency.number] = agency.code;
  Groups groups;
  for (const auto& stat : stats) {
    if (!within(stat.day, options)) continue;
    const Row row{&stat, stat.agency == 0 ? "" : codes[stat.agency]};
    std::vector<std::string> key;
    for (const auto* dimension : grouping.dimensions) key.push_back(dimension->value(row));
    auto& counts = groups[key];
    counts[0] += stat.count_new;
    counts[1] += stat.count_existing;
    counts[2] += stat.count_rejected;
  }
  return groups;
}

// csv_field is a field as RFC 4180 has it.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const auto& field : fields)
    line += (&field == &fields.front() ? "" : ",") + csv_field(field);
  return line + "\n";
}

// Line is a row of the result: its values by dimension, then its counts.
struct Line {
  std::vector<std::string> values;
  std::vector<std::uint64_t> counts;
};

// lines_of has one line a group, or one for each result that occurs in it.
std::vector<Line> lines_of(const Groups& groups, const Grouping& grouping) {
  std::vector<Line> lines;
  for (const auto& [key, counts] : groups) {
    if (!grouping.by_result) {
      lines.push_back({key, {counts.begin(), counts.end()}});
      continue;
    }
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      auto values = key;
      values.emplace_back(kResults[i]);
      lines.push_back({std::move(values), {counts[i]}});
    }
  }
  return lines;
}

Json document_of(const std::vector<Line>& lines, const Grouping& grouping, const Counts& total) {
  Json rows = Json::array();
  for (const auto& line : lines) {
    Json row = Json::object();
    for (std::size_t i = 0; i < grouping.dimensions.size(); ++i) {
      const auto& value = line.values[i];
      const bool number = std::string_view(grouping.dimensions[i]->word) == "version";
      row[grouping.dimensions[i]->json_key] = number ? Json(std::stoul(value)) : Json(value);
    }
    if (grouping.by_result) {
      row[kResult] = line.values.back();
      row["rows"] = line.counts.front();
    } else {
      for (std::size_t i = 0; i < kResults.size(); ++i) row[kResults[i]] = line.counts[i];
    }
    rows.push_back(std::move(row));
  }
  Json totals = Json::object();
  for (std::size_t i = 0; i < kResults.size(); ++i) totals[kResults[i]] = total[i];
  return {{"stats", std::move(rows)}, {"total", std::move(totals)}};
}

std::string csv_of(const std::vector<Line>& lines, const Grouping& grouping) {
  std::vector<std::string> header;
  for (const auto* dimension : grouping.dimensions) header.emplace_back(dimension->csv_name);
  if (grouping.by_result)
    header.insert(header.end(), {kResult, "rows"});
  else
    header.insert(header.end(), kResults.begin(), kResults.end());
  std::string text = csv_line(header);
  for (const auto& line : lines) {
    auto fields = line.values;
    for (const auto count : line.counts) fields.push_back(std::to_string(count));
    text += csv_line(fields);
  }
  return text;
}

std::string table_of(const std::vector<Line>& lines, const Grouping& grouping,
                     const Counts& total) {
  std::vector<std::string> header;
  for (const auto* dimension : grouping.dimensions) header.emplace_back(dimension->title);
  if (grouping.by_result)
    header.insert(header.end(), {"RESULT", "ROWS"});
  else
    header.insert(header.end(), {"NEW", "EXISTING", "REJECTED"});
  Table table(header);
  for (const auto& line : lines) {
    std::vector<std::string> cells;
    for (const auto& value : line.values) cells.push_back(value.empty() ? "(unknown)" : value);
    for (const auto count : line.counts) cells.push_back(grouped(count));
    table.add(std::move(cells));
  }
  std::vector<std::string> last(grouping.dimensions.size() + (grouping.by_result ? 1 : 0));
  if (!last.empty()) last.front() = "total";
  if (grouping.by_result)
    last.push_back(grouped(total[0] + total[1] + total[2]));
  else
    for (const auto count : total) last.push_back(grouped(count));
  table.add(std::move(last));
  return table.text();
}

Result<Outcome> run(Context& context, const Options& options) {
  FUGO_ASSIGN(const auto grouping, parse_by(options.by));
  FUGO_TRY(check_date(options.from, "--from"));
  FUGO_TRY(check_date(options.to, "--to"));
  FUGO_ASSIGN(const auto settings, context.settings());
  FUGO_ASSIGN(const auto role, any_role(settings));
  FUGO_ASSIGN(const auto site, open_site(settings, role, keystore::Access::kRead));
  FUGO_ASSIGN(const auto groups, group(*site, options, grouping));
  Counts total{};
  for (const auto& [key, counts] : groups)
    for (std::size_t i = 0; i < counts.size(); ++i) total[i] += counts[i];
  const auto lines = lines_of(groups, grouping);
  Outcome outcome;
  outcome.document = document_of(lines, grouping, total);
  outcome.text = options.csv ? csv_of(lines, grouping) : table_of(lines, grouping, total);
  return outcome;
}

}  // namespace

void add_stats(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("stats", "Totals by day, agency, symbol version and result");
  command
      ->add_option("--by", options->by,
                   "Any of day, month, agency, version, result, with commas between them "
                   "(default: day,agency,version)")
      ->delimiter(',');
  command->add_option("--from", options->from, "First day or month, in the site's time zone");
  command->add_option("--to", options->to, "Last day or month");
  command->add_flag("--csv", options->csv, "As CSV");
  command->callback([&context, options] {
    context.command = [options](Context& c) { return run(c, *options); };
  });
}

}  // namespace fugo::daemon
