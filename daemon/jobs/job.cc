#include "daemon/jobs/job.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "daemon/files/answers.h"
#include "daemon/jobs/issue_job.h"
#include "daemon/jobs/job_base.h"
#include "daemon/jobs/job_control.h"

namespace fugo::daemon {

Result<std::unique_ptr<Job>> make_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(auto request, Request::open(options.request));
  switch (request->head().kind) {
    case keystore::JobKind::kIssue:
      return std::unique_ptr<Job>(std::make_unique<IssueJob>(site, options, std::move(request)));
    case keystore::JobKind::kChange:
    case keystore::JobKind::kDelete:
      break;
  }
  return fail(ErrorCode::kRefused, "is not a request of kind issue",
              options.request.string() + ":1", "use the command of its kind");
}

Result<JobReport> run_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(const auto job, make_job(site, options));
  FUGO_TRY(make_directory(options.output_directory));
  return job->run();
}

Result<JobReport> check_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(const auto job, make_job(site, options));
  return job->check();
}

Result<JobReport> finish_job(engine::Site& site, const JobOptions& options, const std::string& id) {
  FUGO_ASSIGN(auto known, site.ledger().find_job(id));
  if (!known || (known->state != keystore::JobState::kAnswering &&
                 known->state != keystore::JobState::kAnswered))
    return fail(ErrorCode::kRefused,
                "request " + id + " is not one that was answered and not ended",
                "ledger, table jobs", "fugo jobs list shows what there is");
  FUGO_TRY(end_job(site, options, *known,
                   nlohmann::json{{"request", known->id},
                                  {"rows", known->rows},
                                  {"new", known->count_new},
                                  {"existing", known->count_existing},
                                  {"rejected", known->count_rejected},
                                  {"people_new", known->people_new}}
                       .dump()));
  JobReport report;
  report.id = known->id;
  report.kind = known->kind;
  report.rows = known->rows;
  report.count_new = known->count_new;
  report.count_existing = known->count_existing;
  report.count_rejected = known->count_rejected;
  report.people_new = known->people_new;
  report.symbol_version = known->generation;
  report.resumed = true;
  report.answers = answers_path(known->output_directory, id);
  FUGO_ASSIGN(report.agencies, count_answer_files({known->output_directory, id}));
  return report;
}

}  // namespace fugo::daemon
