// What `issue` and `check` have in common: options from the settings, and the report's two forms.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

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

// applied_since says what a failed run left: whether a job was begun or anything of one committed
// since the ledger had this state. That codes were looked up is journaled, and applies nothing.
[[nodiscard]] std::string applied_since(const keystore::LedgerState& before, engine::Site& site);

// JobFigures are a kind's own figures: names of the JSON form and of the text, and values.
using JobFigures = std::vector<std::pair<const char*, std::uint64_t>>;
[[nodiscard]] JobFigures job_figures(const JobReport& report);

// describe_job is the outcome of a report; exit 3 when rows were rejected.
[[nodiscard]] Outcome describe_job(const JobReport& report, bool checked_only);

}  // namespace fugo::daemon
