#include "daemon/jobs/job.h"

#include <utility>

#include "base/file.h"
#include "daemon/files/answers.h"
#include "daemon/jobs/change_job.h"
#include "daemon/jobs/delete_job.h"
#include "daemon/jobs/issue_job.h"
#include "daemon/jobs/job_base.h"
#include "daemon/jobs/job_control.h"

namespace fugo::daemon {

Result<std::unique_ptr<Job>> make_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(auto request, Request::open(options.request));
  const keystore::JobKind kind = request->head().kind;
  if (options.only_kind && *options.only_kind != kind)
    return fail(ErrorCode::kRefused,
                std::string("is not a request of kind ") + job_kind_name(*options.only_kind),
                options.request.string() + ":1",
                std::string("use the command of its kind: fugo ") + job_kind_name(kind));
  switch (kind) {
    case keystore::JobKind::kChange:
      return std::unique_ptr<Job>(std::make_unique<ChangeJob>(site, options, std::move(request)));
    case keystore::JobKind::kDelete:
      return std::unique_ptr<Job>(std::make_unique<DeleteJob>(site, options, std::move(request)));
    case keystore::JobKind::kIssue:
      break;
  }
  return std::unique_ptr<Job>(std::make_unique<IssueJob>(site, options, std::move(request)));
}

Result<JobReport> run_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(const auto job, make_job(site, options));
  FUGO_TRY(make_directory(options.output_directory));
  if (!options.records_directory.empty()) FUGO_TRY(make_directory(options.records_directory));
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
  FUGO_TRY(end_job(site, options, *known));
  JobReport report;
  fill_report(*known, report);
  report.resumed = true;
  const auto place = answers_place(options, *known);
  report.answers = answers_path(place.directory, id);
  if (!place.records.empty()) report.records = records_path(place);
  FUGO_ASSIGN(report.agencies, count_answer_files(place));
  return report;
}

}  // namespace fugo::daemon
