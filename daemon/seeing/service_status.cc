#include "daemon/seeing/service_status.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "daemon/command/names.h"

namespace fugo::daemon {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;  // of the document; raised when a reader would misunderstand

constexpr std::array<const char*, 5> kHsmStates = {"unknown", "ok", "recovering", "failed",
                                                   "pin_refused"};
constexpr std::array<const char*, 3> kBreakerStates = {"closed", "half_open", "open"};

// parse finds the value of a word; the first one for a word of a newer version.
template <typename Enum, std::size_t size>
Enum parse(const std::array<const char*, size>& words, const Json& word) {
  for (std::size_t i = 0; i < size; ++i)
    if (word == words[i]) return static_cast<Enum>(i);
  return Enum{};
}

Json json_of(const RunningJob& job) {
  const auto left = job.seconds_left();
  return {{"id", job.id},
          {"kind", kind_name(job.kind)},
          {"stage", job.stage},
          {"rows_done", job.rows_done},
          {"rows", job.rows_total},
          {"rows_per_second", job.rows_per_second},
          {"seconds_left", left ? Json(*left) : Json(nullptr)},
          {"started", job.started}};
}

RunningJob job_from(const Json& json) {
  RunningJob job;
  job.id = json.at("id");
  for (std::size_t kind = 1; kind < kFileKinds; ++kind)
    if (json.at("kind") == kind_name(static_cast<keystore::JobKind>(kind)))
      job.kind = static_cast<keystore::JobKind>(kind);
  job.stage = json.at("stage");
  job.rows_done = json.at("rows_done");
  job.rows_total = json.at("rows");
  job.rows_per_second = json.at("rows_per_second");
  job.started = json.at("started");
  return job;
}

Json json_of(const FilesStatus& files) {
  Json kinds = Json::object();
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) {
    const auto& counts = files.kinds[kind];
    kinds[kind_name(static_cast<keystore::JobKind>(kind))] = {{"waiting", counts.waiting},
                                                              {"working", counts.working},
                                                              {"held", counts.held},
                                                              {"refused", counts.refused}};
  }
  return {{"kinds", kinds},
          {"oldest_unanswered", files.oldest_unanswered},
          {"oldest_held", files.oldest_held}};
}

FilesStatus files_from(const Json& json) {
  FilesStatus files;
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) {
    const auto& counts = json.at("kinds").at(kind_name(static_cast<keystore::JobKind>(kind)));
    files.kinds[kind] = {counts.at("waiting"), counts.at("working"), counts.at("held"),
                         counts.at("refused")};
  }
  files.oldest_unanswered = json.at("oldest_unanswered");
  files.oldest_held = json.at("oldest_held");
  return files;
}

ServiceStatus status_from(const Json& json) {
  ServiceStatus status;
  status.version = json.at("fugod");
  status.pid = json.at("pid");
  status.started = json.at("started");
  status.written = json.at("written");
  status.phase = parse<Phase>(kPhaseNames, json.at("phase"));
  if (!json.at("job").is_null()) status.job = job_from(json.at("job"));
  const auto& hsm = json.at("hsm");
  status.hsm = {parse<HsmState>(kHsmStates, hsm.at("state")),
                parse<BreakerState>(kBreakerStates, hsm.at("breaker")), hsm.at("next_try"),
                hsm.at("error")};
  status.files = files_from(json.at("files"));
  status.freeze_issue = json.at("frozen").at("issue");
  status.freeze_link = json.at("frozen").at("link");
  status.frozen_since = json.at("frozen").at("since");
  status.last_success = json.at("last_success");
  if (const auto& error = json.at("last_error"); !error.is_null())
    status.last_error = ReportedError{error.at("time"), error.at("text"), error.at("job")};
  return status;
}

}  // namespace

const char* phase_name(Phase phase) { return kPhaseNames.at(static_cast<std::size_t>(phase)); }

Phase phase_after(ErrorCode error) {
  switch (error) {
    case ErrorCode::kHsm:
      return Phase::kWaitingForHsm;
    case ErrorCode::kIo:
      return Phase::kWaitingForDisk;
    case ErrorCode::kDamaged:
      return Phase::kStoppedByDamage;
    case ErrorCode::kUsage:
      return Phase::kStoppedBySetup;
    case ErrorCode::kRefused:
    case ErrorCode::kStale:
    case ErrorCode::kInternal:
      break;
  }
  return Phase::kWaitingToRetry;
}
const char* hsm_state_name(HsmState state) {
  return kHsmStates.at(static_cast<std::size_t>(state));
}
const char* breaker_state_name(BreakerState state) {
  return kBreakerStates.at(static_cast<std::size_t>(state));
}

HsmStatus hsm_status_of(const hsm::Health& health) {
  HsmStatus status;
  status.error = health.last_error;
  switch (health.state) {
    case hsm::TokenState::kOk:
      status.state = HsmState::kOk;
      break;
    case hsm::TokenState::kRecovering:
      status.state = HsmState::kRecovering;
      status.breaker = BreakerState::kHalfOpen;
      break;
    case hsm::TokenState::kFailed:
      status.state = HsmState::kFailed;
      status.breaker = BreakerState::kOpen;
      status.next_try =
          unix_now() + std::chrono::ceil<std::chrono::seconds>(health.next_try).count();
      break;
    case hsm::TokenState::kLatched:
      status.state = HsmState::kPinRefused;
      status.breaker = BreakerState::kOpen;
      break;
  }
  return status;
}

std::optional<double> RunningJob::seconds_left() const {
  if (rows_per_second <= 0 || rows_total < rows_done) return std::nullopt;
  return static_cast<double>(rows_total - rows_done) / rows_per_second;
}

std::string to_json(const ServiceStatus& status) {
  Json json = {{"version", kVersion},
               {"fugod", status.version},
               {"pid", status.pid},
               {"started", status.started},
               {"written", status.written},
               {"phase", phase_name(status.phase)},
               {"job", status.job ? json_of(*status.job) : Json(nullptr)},
               {"hsm",
                {{"state", hsm_state_name(status.hsm.state)},
                 {"breaker", breaker_state_name(status.hsm.breaker)},
                 {"next_try", status.hsm.next_try},
                 {"error", status.hsm.error}}},
               {"files", json_of(status.files)},
               {"frozen",
                {{"issue", status.freeze_issue},
                 {"link", status.freeze_link},
                 {"since", status.frozen_since}}},
               {"last_success", status.last_success},
               {"last_error", nullptr}};
  if (const auto& error = status.last_error)
    json["last_error"] = {{"time", error->time}, {"text", error->text}, {"job", error->job}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

tl::unexpected<Error> not_a_status(const std::filesystem::path& file) {
  return fail(ErrorCode::kIo, "is not a status of fugod", file.string(),
              "check that this is the file you mean");
}

}  // namespace

Result<ServiceStatus> from_json(const std::string& text,
                                const std::filesystem::path& path_for_error) {
  try {
    // The library makes an integer of any number, which is not defined for one that is too large.
    std::string key;
    bool right = true;
    const auto json = Json::parse(text, [&](int, Json::parse_event_t event, Json& value) {
      if (event == Json::parse_event_t::key) key = value.get<std::string>();
      const bool rate = key == "rows_per_second" || key == "seconds_left";
      right = right && (rate || event != Json::parse_event_t::value || !value.is_number_float());
      return true;
    });
    if (!right) return not_a_status(path_for_error);
    if (json.at("version") == kVersion) return status_from(json);
    return fail(ErrorCode::kIo, "the status was written by another version of fugod",
                path_for_error.string(), "use the command of the same version");
  } catch (const nlohmann::json::exception&) {
    // What the library says quotes the content, which is not ours to repeat.
    return not_a_status(path_for_error);
  }
}

}  // namespace fugo::daemon
