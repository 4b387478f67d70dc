// What `issue` and `check` have in common: options from the settings, and the report's two forms.
#pragma once

#include <memory>

#include "daemon/command/context.h"
#include "daemon/jobs/job.h"
#include "daemon/progress.h"

namespace fugo::daemon {

// BulkProgress draws the bar of a job.
class BulkProgress {
 public:
  explicit BulkProgress(bool enabled);
  void update(const char* stage, std::uint64_t done, std::uint64_t total);

 private:
  std::unique_ptr<Progress> bar_;
};

// job_options puts the settings into a job's options.
[[nodiscard]] JobOptions job_options(const Settings& settings);

// describe_job is the outcome of a report; exit 3 when rows were rejected.
[[nodiscard]] Outcome describe_job(const JobReport& report, bool checked_only);

}  // namespace fugo::daemon
