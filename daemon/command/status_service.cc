#include "daemon/command/status_service.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/progress.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;

// Line is "NAME" in a column of its own, as the other lines of `fugo status` have it.
std::string line(const char* name, const std::string& text) {
  return fmt::format("{:<16}{}\n", name, text);
}

std::string since(std::int64_t time) {
  return fmt::format("{} ({} ago)", format_time(time),
                     duration_text(static_cast<double>(unix_now() - time)));
}

std::string job_text(const RunningJob& job) {
  auto text = fmt::format("{} ({}), {}", job.id, kind_name(job.kind),
                          job.stage.empty() ? "started" : job.stage);
  if (job.rows_total == 0) return text;
  text += fmt::format(": {} of {} rows", grouped(job.rows_done), grouped(job.rows_total));
  if (job.rows_per_second > 0)
    text += fmt::format(", {}/s", grouped(static_cast<std::uint64_t>(job.rows_per_second)));
  if (const auto left = job.seconds_left()) text += ", " + duration_text(*left) + " left";
  return text;
}

std::string hsm_text(const HsmStatus& hsm) {
  std::string text = hsm_state_name(hsm.state);
  if (hsm.state == HsmState::kPinRefused)
    text = "the PIN was refused: correct the PIN file, then reload or restart the daemon";
  if (hsm.breaker == BreakerState::kOpen && hsm.next_try != 0)
    text += ", tried again at " + format_time(hsm.next_try);
  if (!hsm.error.empty()) text += ": " + hsm.error;
  return text;
}

std::string files_text(const FilesStatus& files) {
  std::string text;
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) {
    const auto& counts = files.kinds[kind];
    if (counts == KindFiles{}) continue;
    text += fmt::format("{}{}: {} waiting, {} in work, {} held, {} refused",
                        text.empty() ? "" : "; ", kind_name(static_cast<JobKind>(kind)),
                        counts.waiting, counts.working, counts.held, counts.refused);
  }
  return text.empty() ? "none" : text;
}

Json time_or_null(std::int64_t time) { return time == 0 ? Json(nullptr) : Json(format_time(time)); }

Json job_document(const RunningJob& job) {
  const auto left = job.seconds_left();
  return {{"id", job.id},
          {"kind", kind_name(job.kind)},
          {"stage", job.stage},
          {"rows_done", job.rows_done},
          {"rows", job.rows_total},
          {"rows_per_second", job.rows_per_second},
          {"seconds_left", left ? Json(*left) : Json(nullptr)},
          {"started", format_time(job.started)}};
}

Json files_document(const FilesStatus& files) {
  Json document = Json::object();
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) {
    const auto& counts = files.kinds[kind];
    document[kind_name(static_cast<JobKind>(kind))] = {{"waiting", counts.waiting},
                                                       {"working", counts.working},
                                                       {"held", counts.held},
                                                       {"refused", counts.refused}};
  }
  document["oldest_unanswered"] = time_or_null(files.oldest_unanswered);
  document["oldest_held"] = time_or_null(files.oldest_held);
  return document;
}

}  // namespace

Json service_document(const SeenStatus& seen) {
  Json document = {{"running", seen.running}};
  if (!seen.status) return document;
  const auto& status = *seen.status;
  document["process"] = status.pid;
  document["version"] = status.version;
  document["phase"] = phase_name(status.phase);
  document["started"] = format_time(status.started);
  document["written"] = format_time(status.written);
  document["job"] = status.job ? job_document(*status.job) : Json(nullptr);
  document["hsm"] = {{"state", hsm_state_name(status.hsm.state)},
                     {"breaker", breaker_state_name(status.hsm.breaker)},
                     {"next_try", time_or_null(status.hsm.next_try)},
                     {"error", status.hsm.error}};
  document["requests"] = files_document(status.files);
  document["last_success"] = time_or_null(status.last_success);
  document["last_error"] = nullptr;
  if (const auto& error = status.last_error)
    document["last_error"] = {
        {"time", format_time(error->time)}, {"text", error->text}, {"job", error->job}};
  return document;
}

std::string service_text(const SeenStatus& seen) {
  if (!seen.status)
    return line("daemon", seen.running ? "starting" : "does not run, and never did here");
  const auto& status = *seen.status;
  std::string text;
  if (seen.running)
    text +=
        line("daemon", fmt::format("{}: fugod {}, process {}, since {}", phase_name(status.phase),
                                   status.version, status.pid, format_time(status.started)));
  else
    text += line("daemon",
                 fmt::format("does not run; what follows is what process {} wrote at {}{}",
                             status.pid, format_time(status.written),
                             status.phase == Phase::kStopped ? ", when it stopped"
                                                             : "; it was killed, or crashed"));
  if (status.job) text += line("job", job_text(*status.job));
  text += line("daemon's HSM", hsm_text(status.hsm));
  text += line("request files", files_text(status.files));
  if (status.files.oldest_unanswered != 0)
    text += line("oldest waiting", since(status.files.oldest_unanswered));
  if (status.files.oldest_held != 0) text += line("oldest held", since(status.files.oldest_held));
  if (status.last_success != 0) text += line("last answered", since(status.last_success));
  if (const auto& error = status.last_error)
    text +=
        line("last error", fmt::format("{}: {}{}", format_time(error->time),
                                       error->job.empty() ? "" : error->job + ": ", error->text));
  return text;
}

}  // namespace fugo::daemon
