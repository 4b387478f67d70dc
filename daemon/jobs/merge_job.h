// The merger of two agencies (市町村合併): one takes over everybody whom the other held.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "daemon/jobs/job.h"

namespace fugo::daemon {

// MergedAgencies names the two by their codes.
struct MergedAgencies {
  std::string from;  // is closed
  std::string into;  // takes over
};

// merge_job_id is the id of a merger's job: "merge+A+B", and "merge+A+B+2" where the first was
// given up, and so on. No request can have it: ids of requests have no "+".
[[nodiscard]] std::string merge_job_id(const MergedAgencies& agencies, unsigned attempt = 1);
// merger_of reads such an id; nothing when it is another job's.
[[nodiscard]] std::optional<MergedAgencies> merger_of(std::string_view job_id);

// run_merge merges two agencies, goes on with a merger that had stopped, or answers one that was
// done once more. Of `options` count: output_directory, actor, segment_rows, progress,
// segment_committed, keep_going. The site is open with Access::kWrite and the issuing token. Errors
// as those of run_job; kRefused, with nothing applied, also for agencies that cannot be merged and
// while a regeneration is unfinished.
[[nodiscard]] Result<JobReport> run_merge(engine::Site& site, const JobOptions& options,
                                          const MergedAgencies& agencies);

}  // namespace fugo::daemon
