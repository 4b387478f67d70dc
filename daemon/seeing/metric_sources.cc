// What a scrape reads from the board, the process and the folders.
#include <sys/statvfs.h>
#include <time.h>

#include <array>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/journal/live_copy.h"
#include "daemon/seeing/metric_families.h"

namespace fugo::daemon {
namespace {

using keystore::JobKind;

double number(std::uint64_t value) { return static_cast<double>(value); }

// age is how long ago a time was; 0 for none, and for one in the future.
double age(std::int64_t time) {
  if (time == 0) return 0;
  return static_cast<double>(std::max<std::int64_t>(unix_now() - time, 0));
}

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void collect_files(const FilesStatus& files, Families& families) {
  for (std::size_t kind = 0; kind < kFileKinds; ++kind) {
    const auto& counts = files.kinds[kind];
    const std::string word = kind_name(static_cast<JobKind>(kind));
    const std::array<std::pair<const char*, std::uint64_t>, 4> states = {
        {{"waiting", counts.waiting},
         {"working", counts.working},
         {"held", counts.held},
         {"refused", counts.refused}}};
    for (const auto& [state, count] : states)
      families.gauge("fugo_files", "Request files by kind and state.", number(count),
                     {{"kind", word}, {"state", state}});
  }
  families.gauge(
      "fugo_oldest_unanswered_age_seconds",
      "Age of the oldest request file that is neither answered, refused nor held; 0: none.",
      age(files.oldest_unanswered));
  families.gauge("fugo_oldest_held_age_seconds",
                 "Age of the oldest request file that waits for an approval; 0: none.",
                 age(files.oldest_held));
}

void collect_job(const std::optional<RunningJob>& job, Families& families) {
  families.gauge("fugo_job_rows", "Rows of the running job; 0: none runs.",
                 job ? number(job->rows_total) : 0);
  families.gauge("fugo_job_rows_done", "Rows of the running job that its stage has done.",
                 job ? number(job->rows_done) : 0);
  families.gauge("fugo_job_rows_per_second", "Rate of the running job's stage.",
                 job ? job->rows_per_second : 0);
}

}  // namespace

void collect_board(const StatusBoard& board, Families& families) {
  const auto status = board.copy();
  families.one_of("fugo_phase", "What the daemon does: 1 for one of these.", "phase", kPhaseNames,
                  phase_name(status.phase));
  constexpr std::array kStates = {"unknown", "ok", "recovering", "failed", "pin_refused"};
  families.one_of("fugo_hsm_state", "How the token is: 1 for one of these.", "state", kStates,
                  hsm_state_name(status.hsm.state));
  constexpr std::array kBreakers = {"closed", "half_open", "open"};
  families.one_of("fugo_hsm_breaker", "State of the breaker: 1 for one of these.", "state",
                  kBreakers, breaker_state_name(status.hsm.breaker));
  collect_files(status.files, families);
  collect_job(status.job, families);
  families.gauge("fugo_frozen", "1 while issuing or linking is frozen.",
                 status.freeze_issue.empty() ? 0 : 1, {{"what", "issue"}});
  families.gauge("fugo_frozen", "", status.freeze_link.empty() ? 0 : 1, {{"what", "link"}});
  families.gauge("fugo_frozen_age_seconds", "How long something has been frozen; 0: it is not.",
                 age(status.frozen_since));
  families.gauge("fugo_last_success_timestamp_seconds",
                 "When a job was last answered; 0: not since the start.",
                 static_cast<double>(status.last_success));
  families.gauge("fugo_start_time_seconds", "When the daemon started.",
                 static_cast<double>(status.started));
  families.counter("fugo_status_file_write_failures_total",
                   "Writes of the status file that failed.", number(board.write_failures()));
}

void collect_process(const std::string& version, Families& families) {
  families.gauge("fugo_build_info", "Version of the daemon; always 1.", 1, {{"version", version}});
  families.gauge("fugo_unlocked_secret_bytes",
                 "Bytes of secrets in memory that could not be locked.", number(unlocked_bytes()));
  // A clock that runs evenly leaves this as it is, whatever time it shows.
  families.gauge("fugo_clock_offset_seconds", "System clock minus the time since boot.",
                 seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME));
}

void collect_folders(const std::vector<WatchedFolder>& folders, Families& families) {
  const auto failing = failing_copies();
  for (const auto& folder : folders)
    if (folder.journal_copy)
      families.gauge("fugo_journal_copy_failing",
                     "1 while this copy of the journal cannot be kept.",
                     failing.contains(folder.path) ? 1 : 0, {{"folder", folder.name}});
  std::vector<std::pair<std::string, struct statvfs>> found;
  for (const auto& folder : folders) {
    struct statvfs space {};
    if (::statvfs(folder.path.c_str(), &space) == 0) found.emplace_back(folder.name, space);
  }
  for (const auto& [name, space] : found)
    families.gauge("fugo_folder_free_bytes", "Room on the file system of a folder.",
                   number(space.f_bavail) * number(space.f_frsize), {{"folder", name}});
  for (const auto& [name, space] : found)
    families.gauge("fugo_folder_size_bytes", "Size of the file system of a folder.",
                   number(space.f_blocks) * number(space.f_frsize), {{"folder", name}});
}

}  // namespace fugo::daemon
