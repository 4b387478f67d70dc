#include "daemon/jobs/job.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/secret.h"
#include "daemon/files/answers.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/request_hmac.h"
#include "daemon/jobs/change_job.h"
#include "daemon/jobs/delete_job.h"
#include "daemon/jobs/issue_job.h"
#include "daemon/jobs/job_base.h"
#include "daemon/jobs/job_control.h"
#include "daemon/jobs/request_key.h"

namespace fugo::daemon {

Result<std::unique_ptr<Job>> make_job(engine::Site& site, const JobOptions& options) {
  FUGO_ASSIGN(auto request,
              Request::open(options.request, {options.exchange, &site.token(), &site.ledger()}));
  const keystore::JobKind kind = request->head().kind;
  if (!options.expected_id.empty() && options.expected_id != request->head().id)
    return fail(ErrorCode::kRefused, "the request in it has another id than the file's name says",
                options.request.string(), "call an encrypted request ID.p7m");
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
    case keystore::JobKind::kMerge:  // no request says so
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

namespace {

// is_request_of tells whether a file is the very request of a job; one that is not there is.
Result<bool> is_request_of(engine::Site& site, const JobOptions& options,
                           const keystore::JobRow& job) {
  auto file = MappedFile::open(options.request);
  if (!file && file.error().native == ENOENT) return true;
  if (!file) return tl::unexpected(std::move(file).error());
  std::unique_ptr<Request> opened;  // of an encrypted one: what counts is what is in it
  if (is_encrypted_file(options.request)) {
    auto request =
        Request::open(options.request, {options.exchange, &site.token(), &site.ledger()});
    // What is wrong with this site says nothing of the file.
    if (!request && request.error().code == ErrorCode::kRefused &&
        request.error().where.starts_with(options.request.string()))
      return false;
    if (!request) return tl::unexpected(std::move(request).error());
    opened = std::move(*request);
  }
  FUGO_ASSIGN(const auto key, request_key(site, job.request_key));
  const KeepGoing going(options.keep_going);
  SurveyOptions survey;
  survey.hmac_key = &key;
  survey.keep_going = &going;
  std::array<std::uint8_t, 32> hmac{};
  const std::atomic<bool> never{false};
  FUGO_TRY(request_hmac(opened ? opened->text() : as_text(file->bytes()), survey, never, hmac));
  return equal_in_constant_time(hmac, job.request_hmac);
}

}  // namespace

Result<JobReport> finish_job(engine::Site& site, const JobOptions& options, const std::string& id) {
  FUGO_ASSIGN(auto known, site.ledger().find_job(id));
  if (!known || (known->state != keystore::JobState::kAnswering &&
                 known->state != keystore::JobState::kAnswered))
    return fail(ErrorCode::kRefused,
                "request " + id + " is not one that was answered and not ended",
                "ledger, table jobs", "fugo jobs list shows what there is");
  JobOptions mine = options;
  FUGO_ASSIGN(const bool same, is_request_of(site, options, *known));
  // Somebody else's file is left: it will be run, and refused for its content.
  if (!same) mine.request.clear();
  FUGO_TRY(end_job(site, mine, *known));
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
