#include "daemon/regenerate/job_watch.h"

#include "daemon/jobs/job_control.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

using namespace std::chrono_literals;

// A job that goes on first reads its whole request.
constexpr auto kPatience = 10min;
constexpr auto kAskAgain = 5s;

tl::unexpected<Error> unfinished(const keystore::JobRow& job, const char* why, std::string hint) {
  return fail(ErrorCode::kRefused,
              "the job " + job.id + " is not finished, and its answers must not change" + why,
              "regeneration", std::move(hint));
}

}  // namespace

// Nobody who writes holds its lock; to take it for a moment is the way to ask.
bool JobWatch::somebody_writes() {
  const auto now = Clock::now();
  if (asked_ != Clock::time_point() && now - asked_ < kAskAgain) return true;
  asked_ = now;
  return !keystore::take_writer_lock(options_.ledger);
}

Status JobWatch::look(const keystore::JobRow& job) {
  if (job != last_) {
    if (job.number != last_.number && options_.wake) options_.wake();
    moved_ = Clock::now();
    last_ = job;
  }
  if (job.cancelled && options_.give_up && !somebody_writes()) return options_.give_up(job);
  const std::string give_up = ", or give it up by fugo jobs cancel " + job.id;
  if (job.kind == keystore::JobKind::kMerge && job.state == keystore::JobState::kRunning)
    return unfinished(job, ": a merger of agencies waits until the regeneration is over",
                      "abort the run, or give the merger up by fugo jobs cancel " + job.id);
  if (job.paused)
    return unfinished(job, ": it is paused",
                      "fugo jobs resume " + job.id + give_up + "; then give this again");
  if (!somebody_writes())
    return unfinished(job, ", and nobody works on it",
                      "start fugod, or " + how_to_go_on(job) + give_up + "; then give this again");
  if (Clock::now() - moved_ > kPatience)
    return unfinished(job, ", and it does not move",
                      "fugo status says what it waits for" + give_up);
  return options_.tell ? options_.tell(job) : Status{};
}

}  // namespace fugo::daemon
