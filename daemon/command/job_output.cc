#include "daemon/command/job_output.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/secret.h"
#include "daemon/command/table.h"

namespace fugo::daemon {

BulkProgress::BulkProgress(bool enabled) : bar_(std::make_unique<Progress>("", enabled)) {}

BulkProgress::~BulkProgress() {
  bar_.reset();  // the warning must not be drawn into the bar
  if (most_unlocked_ > 0)
    spdlog::warn(
        "{} of secrets could not be locked into memory and may have been swapped out: raise the "
        "limit (ulimit -l), or be refused instead with lock_memory = \"required\"",
        fmt::format("{:.1f} MiB", static_cast<double>(most_unlocked_) / (1024.0 * 1024.0)));
}

void BulkProgress::update(const char* stage, std::uint64_t done, std::uint64_t total) {
  most_unlocked_ = std::max(most_unlocked_, unlocked_bytes());
  bar_->stage(stage);
  bar_->update(done, total);
}

JobOptions job_options(const Settings& settings) {
  JobOptions options;
  options.check_digits = settings.check_digits;
  options.segment_rows = settings.segment_rows;
  options.reject_limit_rows = settings.reject_limit_rows;
  options.reject_limit_percent = settings.reject_limit_percent;
  return options;
}

Outcome describe_job(const JobReport& report, bool checked_only) {
  Outcome outcome;
  outcome.exit_code = report.count_rejected > 0 ? ExitCode::kSomeRejected : ExitCode::kDone;
  auto& document = outcome.document;
  document = {{"id", report.id},
              {"rows", report.rows},
              {"new", report.count_new},
              {"existing", report.count_existing},
              {"rejected", report.count_rejected},
              {"people_new", report.people_new},
              {"rejects", Json::object()},
              {"agencies", report.agencies},
              {"symbol_version", report.symbol_version},
              {"answers", report.answers.empty() ? Json(nullptr) : Json(report.answers.string())},
              {"repeated", report.repeated},
              {"resumed", report.resumed},
              {"held", report.held},
              {"applied", !checked_only && !report.repeated},
              {"seconds", report.seconds}};
  for (const auto& [reason, count] : report.rejects) document["rejects"][reason] = count;
  if (checked_only) {
    document["unfinished"] = report.unfinished;
    document["other_open"] = report.other_open.empty() ? Json(nullptr) : Json(report.other_open);
    document["first_rejects"] = Json::array();
    for (const auto& [line, reason] : report.first_rejects)
      document["first_rejects"].push_back({{"line", line}, {"reason", reason}});
  }

  auto& text = outcome.text;
  if (checked_only) {
    text = fmt::format("request {}: {} rows, {} would be rejected; nothing was applied\n",
                       report.id, grouped(report.rows), grouped(report.count_rejected));
    if (report.unfinished)
      text += "It was started and is not finished: run it again to end it.\n";
    else if (report.repeated)
      text += "A request with this id and content was processed before.\n";
    if (!report.other_open.empty())
      text +=
          fmt::format("Request {} was started and has to be finished first.\n", report.other_open);
    if (report.held)
      text += "That is more than the limit: fugo issue would need --accept-rejects.\n";
  } else {
    text = fmt::format("request {}: {} rows, {} new, {} existing, {} rejected, {} new people\n",
                       report.id, grouped(report.rows), grouped(report.count_new),
                       grouped(report.count_existing), grouped(report.count_rejected),
                       grouped(report.people_new));
    if (report.repeated) text += "It had been answered before: nothing was applied now.\n";
    if (report.resumed) text += "An earlier run of it had stopped; this one finished it.\n";
  }
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
  return outcome;
}

}  // namespace fugo::daemon
