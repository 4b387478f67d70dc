// ServiceStatus: what the daemon is doing, as a value, and its form as JSON in the status file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "hsm/health.h"
#include "keystore/types.h"

namespace fugo::daemon {

// Phase is what the service as a whole does.
enum class Phase : std::uint8_t {
  kStarting,
  kIdle,             // nothing to do
  kWorking,          // on RunningJob
  kWaitingForHsm,    // for the token to come back, or (HsmState::kPinRefused) for the right PIN
  kWaitingForDisk,   // for room, or for a file that can be read and written
  kWaitingToRetry,   // after another error, which may pass
  kStoppedByDamage,  // of ledger or journal: nothing is tried before a reload or restart
  kStoppedBySetup,   // what it was set up with is wrong: the same
  kStopping,
  kStopped,  // the last state of a daemon that ended by itself
};
inline constexpr std::array kPhaseNames = {"starting",          "idle",
                                           "working",           "waiting_for_hsm",
                                           "waiting_for_disk",  "waiting_to_retry",
                                           "stopped_by_damage", "stopped_by_setup",
                                           "stopping",          "stopped"};
[[nodiscard]] const char* phase_name(Phase phase);
// phase_after is where the service is when an error has ended its work for now.
[[nodiscard]] Phase phase_after(ErrorCode error);

// RunningJob is the job that is being worked on.
struct RunningJob {
  std::string id;
  keystore::JobKind kind = keystore::JobKind::kIssue;
  std::string stage;  // "reading", "issuing", "answering", ...
  std::uint64_t rows_done = 0, rows_total = 0;
  double rows_per_second = 0;  // of this stage; 0: not known yet
  std::int64_t started = 0;    // seconds since 1970, as every time here

  // seconds_left is what this stage still takes at that rate; nothing when it cannot be told.
  [[nodiscard]] std::optional<double> seconds_left() const;
};

enum class HsmState : std::uint8_t {
  kUnknown,     // not tried yet
  kOk,          //
  kRecovering,  // sessions, login or module are being renewed
  kFailed,      // recovery failed; the breaker decides when it is tried again
  kPinRefused,  // latched: no further login is tried, so that the token does not lock the PIN
};
[[nodiscard]] const char* hsm_state_name(HsmState state);

enum class BreakerState : std::uint8_t { kClosed, kHalfOpen, kOpen };
[[nodiscard]] const char* breaker_state_name(BreakerState state);

struct HsmStatus {
  HsmState state = HsmState::kUnknown;
  BreakerState breaker = BreakerState::kClosed;
  std::int64_t next_try = 0;  // while the breaker is open
  std::string error;          // of the last failure; empty while all is well
  friend bool operator==(const HsmStatus&, const HsmStatus&) = default;
};

// hsm_status_of is a token's health as the board has it: calls fail at once while it is failed, so
// the breaker is open; half open while a thread tries to bring it back.
[[nodiscard]] HsmStatus hsm_status_of(const hsm::Health& health);

// KindFiles counts request files of one kind.
struct KindFiles {
  std::uint64_t waiting = 0;  // in inbox/
  std::uint64_t working = 0;  // in work/
  std::uint64_t held = 0;     // in held/, for somebody's approval
  std::uint64_t refused = 0;  // folders in refused/
  [[nodiscard]] std::uint64_t unanswered() const { return waiting + working + held; }
  friend bool operator==(const KindFiles&, const KindFiles&) = default;
};

// kFileKinds: by keystore::JobKind as a number; 0 is for files whose kind is not known.
inline constexpr std::size_t kFileKinds = 4;

struct FilesStatus {
  std::array<KindFiles, kFileKinds> kinds;
  // When the oldest file came of those in inbox/ and work/, and of those in held/; 0: there is
  // none.
  std::int64_t oldest_unanswered = 0;
  std::int64_t oldest_held = 0;
  friend bool operator==(const FilesStatus&, const FilesStatus&) = default;
};

// ReportedError is an Error as people see it: what a message may say, the status may say.
struct ReportedError {
  std::int64_t time = 0;
  std::string text;  // Error::message()
  std::string job;   // that it ended, or empty
};

struct ServiceStatus {
  std::string version;       // of fugod
  std::int64_t pid = 0;      //
  std::int64_t started = 0;  //
  std::int64_t written = 0;  // when this was put into the file
  Phase phase = Phase::kStarting;
  std::optional<RunningJob> job;
  HsmStatus hsm;
  FilesStatus files;
  std::string freeze_issue, freeze_link;  // the reasons; empty: not frozen
  std::int64_t frozen_since = 0;          // as far as this daemon saw; 0: not frozen
  std::int64_t last_success = 0;          // when a job was last answered; 0: not since the start
  std::optional<ReportedError> last_error;
};

// to_json writes a status as one JSON document; from_json reads it: kIo when it is none.
[[nodiscard]] std::string to_json(const ServiceStatus& status);
[[nodiscard]] Result<ServiceStatus> from_json(const std::string& text,
                                              const std::filesystem::path& path_for_error);

}  // namespace fugo::daemon
