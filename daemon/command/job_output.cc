#include "daemon/command/job_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/command/table.h"

namespace fugo::daemon {

BulkProgress::BulkProgress(bool enabled) : bar_(std::make_unique<Progress>("", enabled)) {}

void BulkProgress::update(const char* stage, std::uint64_t done, std::uint64_t total) {
  bar_->stage(stage);
  bar_->update(done, total);
}

JobOptions job_options(const Settings& settings) {
  JobOptions options;
  options.check_digits = settings.check_digits;
  options.segment_rows = settings.segment_rows;
  options.quota = settings.quota;
  options.reject_limit_rows = settings.reject_limit_rows;
  options.reject_limit_percent = settings.reject_limit_percent;
  options.delete_reasons = settings.delete_reasons;
  options.records_directory = settings.daemon.records;
  options.exchange = settings.exchange;
  return options;
}

std::string applied_since(const keystore::LedgerState& before, engine::Site& site) {
  const auto state = site.ledger().state();
  const bool same =
      state && state->next_job == before.next_job && state->open_job == before.open_job &&
      state->next_segment == before.next_segment && state->deleted_people == before.deleted_people;
  // A job that was begun before has its own row, which a commit may have changed.
  if (state && (state->commits == before.commits || (same && before.open_job == 0)))
    return "nothing was applied";
  return "what was committed stays; running it again goes on from there";
}

JobFigures job_figures(const JobReport& report) {
  switch (report.kind) {
    case keystore::JobKind::kChange:
      return {{"changed", report.count_changed}, {"joined", report.count_joined}};
    case keystore::JobKind::kDelete:
      return {{"deleted", report.count_deleted}};
    case keystore::JobKind::kMerge:
      return {{"new", report.count_new},
              {"existing", report.count_existing},
              {"superseded", report.count_superseded}};
    case keystore::JobKind::kIssue:
      break;
  }
  return {{"new", report.count_new},
          {"existing", report.count_existing},
          {"people_new", report.people_new}};
}

namespace {

Json path_or_null(const std::filesystem::path& path) {
  return path.empty() ? Json(nullptr) : Json(path.string());
}

Json document_of(const JobReport& report, bool checked_only) {
  Json document = {{"id", report.id}, {"kind", job_kind_name(report.kind)}, {"rows", report.rows}};
  for (const auto& [name, count] : job_figures(report)) document[name] = count;
  document["rejected"] = report.count_rejected;
  document["rejects"] = Json::object();
  for (const auto& [reason, count] : report.rejects) document["rejects"][reason] = count;
  document["agencies"] = report.agencies;
  document["symbol_version"] = report.symbol_version;
  document["answers"] = path_or_null(report.answers);
  if (report.kind != keystore::JobKind::kIssue) document["records"] = path_or_null(report.records);
  document["repeated"] = report.repeated;
  document["resumed"] = report.resumed;
  document["held"] = report.held;
  document["hold_reason"] = report.hold_reason;
  document["applied"] = !checked_only && !report.repeated;
  document["sender"] = report.sender.empty() ? Json(nullptr) : Json(report.sender);
  document["seconds"] = report.seconds;
  if (!checked_only) return document;
  document["unfinished"] = report.unfinished;
  document["other_open"] = report.other_open.empty() ? Json(nullptr) : Json(report.other_open);
  document["first_rejects"] = Json::array();
  for (const auto& [line, reason] : report.first_rejects)
    document["first_rejects"].push_back({{"line", line}, {"reason", reason}});
  return document;
}

std::string approvals_text(const JobReport& report) {
  std::string text;
  const auto needs = [&](const char* reason) {
    return ("," + report.hold_reason + ",").find("," + std::string(reason) + ",") !=
           std::string::npos;
  };
  if (needs("rejects"))
    text += fmt::format("That is more than the limit: fugo {} would need --accept-rejects.\n",
                        job_kind_name(report.kind));
  if (needs("join")) text += "The file says join=yes: fugo change would need --approve-join.\n";
  if (needs("delete"))
    text += fmt::format("People would go for good: fugo delete would need --confirm {}.\n",
                        report.rows);
  return text;
}

// What stands between the request and its answers; of a check.
std::string outlook(const JobReport& report) {
  std::string text;
  if (report.unfinished)
    text += "It was started and is not finished: run it again to end it.\n";
  else if (report.repeated)
    text += "A request with this id and content was processed before.\n";
  if (!report.other_open.empty())
    text +=
        fmt::format("Request {} was started and has to be finished first.\n", report.other_open);
  return text + approvals_text(report);
}

std::string headline(const JobReport& report, bool checked_only) {
  if (checked_only)
    return fmt::format("request {}: {} rows, {} would be rejected; nothing was applied\n",
                       report.id, grouped(report.rows), grouped(report.count_rejected));
  std::string text = fmt::format("request {}: {} rows", report.id, grouped(report.rows));
  for (const auto& [name, count] : job_figures(report)) {
    if (std::string_view(name) != "people_new")
      text += fmt::format(", {} {}", grouped(count), name);
  }
  text += fmt::format(", {} rejected", grouped(report.count_rejected));
  if (report.kind == keystore::JobKind::kIssue)
    text += fmt::format(", {} new people", grouped(report.people_new));
  return text + "\n";
}

}  // namespace

Outcome describe_job(const JobReport& report, bool checked_only) {
  Outcome outcome;
  outcome.exit_code = report.count_rejected > 0 ? ExitCode::kSomeRejected : ExitCode::kDone;
  outcome.document = document_of(report, checked_only);
  auto& text = outcome.text;
  text = headline(report, checked_only);
  if (checked_only) text += outlook(report);
  if (!checked_only && report.repeated)
    text += "It had been answered before: nothing was applied now.\n";
  if (!report.sender.empty()) text += fmt::format("signed by {}\n", report.sender);
  if (report.resumed) text += "An earlier run of it had stopped; this one finished it.\n";
  for (const auto& [reason, count] : report.rejects)
    text += fmt::format("  {:>12}  {}\n", grouped(count), reason);
  for (const auto& [line, reason] : report.first_rejects)
    text += fmt::format("  line {}: {}\n", line, reason);
  if (checked_only && report.first_rejects.size() < report.count_rejected)
    text += fmt::format("  and {} more\n",
                        grouped(report.count_rejected - report.first_rejects.size()));
  if (report.seconds > 0 && !checked_only)
    text += fmt::format(
        "{:.1f} s, {} rows/s\n", report.seconds,
        grouped(static_cast<std::uint64_t>(static_cast<double>(report.rows) / report.seconds)));
  if (!report.answers.empty())
    text +=
        fmt::format("{} answer files in {}\n", grouped(report.agencies), report.answers.string());
  if (!report.records.empty())
    text += fmt::format("aliases of record symbols in {}\n", report.records.string());
  return outcome;
}

}  // namespace fugo::daemon
