#include "daemon/jobs/issue_job.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "daemon/files/answers.h"
#include "daemon/files/request.h"
#include "daemon/jobs/segment_pipeline.h"

namespace fugo::daemon {
namespace {

using keystore::JobRow;
using keystore::JobState;

// IssueJob is one run over one request file. Its steps are told in docs/exactly-once.md.
class IssueJob {
 public:
  IssueJob(engine::Site& site, const IssueOptions& options) : site_(site), options_(options) {}

  Result<IssueReport> run() {
    FUGO_TRY(look(options_.output_directory));
    if (known_ && known_->state != JobState::kRunning && known_->state != JobState::kAnswering) {
      job_ = *known_;
      return repeat();
    }
    report_.resumed = known_.has_value();
    if (known_)
      FUGO_TRY(take_up(*known_));
    else
      FUGO_TRY(start());
    if (job_.state == JobState::kRunning) FUGO_TRY(issue_and_answer());
    FUGO_TRY(publish_answers(directory(), job_.id));
    FUGO_TRY(finish());
    return report();
  }

  Result<IssueReport> check() {
    FUGO_TRY(look(std::filesystem::temp_directory_path()));
    job_.id = survey_.head.id;
    job_.rows = survey_.rows;
    report_.repeated = known_.has_value();
    FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
    if (snapshot->any_patched()) FUGO_TRY(find_superseded());
    job_.count_rejected = survey_.rejects.size();
    report_.held = !known_ && too_many_rejects();
    return report();
  }

 private:
  [[nodiscard]] std::filesystem::path directory() const { return job_.output_directory; }

  void tell(const char* stage, std::uint64_t done, std::uint64_t total) const {
    if (options_.progress) options_.progress(stage, done, total);
  }

  // The one look over the whole file, before anything is applied: by the registry of today, or of
  // the day when the request came first.
  Status look(const std::filesystem::path& temporary_directory) {
    tell("reading", 0, 0);
    FUGO_ASSIGN(request_, Request::open(options_.request));
    if (request_->head().kind != keystore::JobKind::kIssue)
      return fail(ErrorCode::kRefused, "is not a request of kind issue",
                  options_.request.string() + ":1", "use the command of its kind");
    FUGO_ASSIGN(known_, site_.ledger().find_job(request_->head().id));
    FUGO_ASSIGN(agencies_, AgencyTable::create(known_ ? registry_of(*known_) : site_.agencies()));
    rules_ = {&agencies_, known_ ? known_->check_digits : options_.check_digits};
    const auto keys = site_.ledger().keys();
    SurveyOptions options;
    options.rules = rules_;
    options.environment = site_.ledger().header().environment;
    options.hmac_key = &keys->request();
    options.spill_key = &keys->spill();
    options.temporary_directory = temporary_directory;
    FUGO_ASSIGN(survey_, request_->survey(options));
    rejects_of_file_ = survey_.rejects.size();
    if (known_ && !equal_in_constant_time(known_->request_hmac, survey_.hmac))
      return fail(ErrorCode::kRefused,
                  "the id " + survey_.head.id + " was used before with other content",
                  options_.request.string() + ":1", "give the request an id of its own");
    return {};
  }

  // The agencies as a job saw them when it started.
  std::vector<keystore::Agency> registry_of(const JobRow& job) const {
    std::vector<keystore::Agency> agencies;
    const auto has = [](const std::vector<std::uint64_t>& list, std::uint64_t number) {
      return std::find(list.begin(), list.end(), number) != list.end();
    };
    for (keystore::Agency agency : site_.agencies()) {
      if (agency.number >= job.next_agency) continue;
      agency.state = has(job.closed_agencies, agency.number) ? keystore::AgencyState::kClosed
                     : has(job.suspended_agencies, agency.number)
                         ? keystore::AgencyState::kSuspended
                         : keystore::AgencyState::kActive;
      agencies.push_back(std::move(agency));
    }
    return agencies;
  }

  void pin_registry(const keystore::LedgerState& state) {
    job_.registry_version = site_.registry_version();
    job_.next_agency = state.next_agency;
    for (const auto& agency : site_.agencies()) {
      if (agency.state == keystore::AgencyState::kSuspended)
        job_.suspended_agencies.push_back(agency.number);
      if (agency.state == keystore::AgencyState::kClosed)
        job_.closed_agencies.push_back(agency.number);
    }
  }

  bool too_many_rejects() const {
    return rejects_of_file_ > options_.reject_limit_rows &&
           rejects_of_file_ * 100 > survey_.rows * options_.reject_limit_percent;
  }

  Status check_rejects() const {
    if (options_.accept_rejects || !too_many_rejects()) return {};
    return fail(ErrorCode::kRefused,
                std::to_string(rejects_of_file_) + " of " + std::to_string(survey_.rows) +
                    " rows would be rejected, which is more than the limit",
                options_.request.string(), "see fugo check, or run it again with --accept-rejects");
  }

  // A request that is new: its row pins everything that the answers depend on.
  Status start() {
    FUGO_TRY(check_rejects());
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    if (state.open_job != 0) {
      FUGO_ASSIGN(const auto open, site_.ledger().job(state.open_job));
      return fail(ErrorCode::kRefused, "request " + open.id + " has been started and not finished",
                  options_.request.string(), "run that request again first");
    }
    if (std::filesystem::exists(answers_path(options_.output_directory, survey_.head.id)))
      return fail(ErrorCode::kRefused, "is there already",
                  answers_path(options_.output_directory, survey_.head.id).string(),
                  "move it away or choose another --out");
    std::error_code ignored;
    job_.id = survey_.head.id;
    job_.request_hmac = survey_.hmac;
    job_.time = unix_now();
    job_.operator_name = options_.actor.operator_name;
    job_.order = options_.actor.order;
    job_.output_directory = std::filesystem::absolute(options_.output_directory, ignored).string();
    job_.generation = site_.active_generation().number;
    pin_registry(state);
    job_.check_digits = options_.check_digits;
    job_.segment_rows = options_.segment_rows;
    job_.rows = survey_.rows;
    job_.accept_rejects = options_.accept_rejects;
    FUGO_ASSIGN(const auto update, site_.ledger().begin());
    if (update->state().registry_version != site_.registry_version())
      return fail(ErrorCode::kRefused, "the registries were changed while the request was read",
                  options_.request.string(), "run it again");
    FUGO_ASSIGN(job_.number, update->put_job(job_));
    update->state().open_job = job_.number;
    FUGO_TRY(
        update->append_journal(options_.actor, "issue.start",
                               nlohmann::json{{"request", job_.id}, {"rows", job_.rows}}.dump()));
    return update->commit();
  }

  // A request that was stopped: what was pinned counts, not today's settings.
  Status take_up(const JobRow& known) {
    job_ = known;
    std::error_code ignored;
    if (std::filesystem::absolute(options_.output_directory, ignored).string() !=
        job_.output_directory)
      return fail(ErrorCode::kRefused,
                  "request " + job_.id +
                      " was started with another output directory; what was "
                      "committed stays",
                  options_.output_directory.string(), "run it with --out " + job_.output_directory);
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    if (state.registry_version != job_.registry_version)
      return fail(ErrorCode::kDamaged,
                  "the registries changed while request " + job_.id + " was open", "ledger",
                  "run fugo verify");
    return {};
  }

  Status issue_and_answer() {
    FUGO_TRY(work_through(/*make_missing=*/true));
    FUGO_ASSIGN(const auto written, write());
    job_.state = JobState::kAnswering;
    job_.answers_digest = written.digest;
    job_.count_rejected = survey_.rejects.size();
    FUGO_ASSIGN(const auto update, site_.ledger().begin());
    FUGO_TRY(update->put_job(job_).map([](auto) {}));
    FUGO_TRY(update->add_stats(rejected_stats()));
    return update->commit();
  }

  std::vector<keystore::StatRow> rejected_stats() const {
    std::vector<keystore::StatRow> rows;
    for (std::size_t agency = 0; agency < survey_.rejected_by_agency.size(); ++agency)
      if (survey_.rejected_by_agency[agency] != 0)
        rows.push_back({local_day(job_.time), static_cast<keystore::AgencyNumber>(agency),
                        job_.generation, 0, 0, survey_.rejected_by_agency[agency]});
    return rows;
  }

  std::vector<SegmentRange> ranges() const {
    std::vector<SegmentRange> all;
    for (std::uint64_t row = 0; row < job_.rows; row += job_.segment_rows)
      all.push_back({row, static_cast<std::uint32_t>(
                              std::min<std::uint64_t>(job_.segment_rows, job_.rows - row))});
    return all;
  }

  // The committed segments of this job, by first row.
  Result<std::vector<keystore::SegmentRow>> committed() const {
    FUGO_ASSIGN(auto rows, site_.ledger().segments());
    rows.erase(std::remove_if(rows.begin(), rows.end(),
                              [&](const auto& row) { return row.job != job_.number; }),
               rows.end());
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first_row < b.first_row; });
    return rows;
  }

  // Makes the answers of all segments: committed ones by reading, the others by issuing them.
  Status work_through(bool make_missing) {
    FUGO_ASSIGN(const auto done, committed());
    const auto all = ranges();
    if (!make_missing && done.size() != all.size())
      return fail(ErrorCode::kDamaged, "segments of request " + job_.id + " are missing",
                  "ledger, table segments", "run fugo verify");
    FUGO_ASSIGN(answers_, AnswerParts::create(options_.output_directory));
    FUGO_ASSIGN(const auto issuer,
                engine::SegmentIssuer::create(
                    site_, std::min<std::uint64_t>(job_.segment_rows,
                                                   std::max<std::uint64_t>(job_.rows, 1))));
    const auto work = [&](std::size_t number,
                          const engine::IssueRows& rows) -> Result<engine::IssueOutcome> {
      tell(number < done.size() ? "answering" : "issuing", all[number].first_row, job_.rows);
      if (number < done.size()) return issuer->answer(rows, done[number]);
      keystore::SegmentRow segment;
      segment.first_row = all[number].first_row;
      segment.rows = all[number].rows;
      return issuer->issue(rows, segment, job_);
    };
    SegmentPipeline pipeline(*request_, survey_, rules_, answers_, job_.generation);
    FUGO_TRY(pipeline.run(all, work));
    tell("answering", job_.rows, job_.rows);
    return request_->check_unchanged();
  }

  Result<WrittenAnswers> write() {
    AnswerHead head;
    head.id = job_.id;
    head.kind = job_.kind;
    head.environment = site_.ledger().header().environment;
    head.time = job_.time;
    head.rows = job_.rows;
    head.symbol_version = job_.generation;
    head.rejected_by_agency = survey_.rejected_by_agency;
    FUGO_ASSIGN(auto written, write_answers(options_.output_directory, head, answers_,
                                            site_.agencies(), survey_.rejects));
    report_.agencies = written.agencies;
    report_.count_new = written.count_new;
    report_.count_existing = written.count_existing;
    return written;
  }

  Status finish() {
    FUGO_TRY(site_.ledger().finish_merges());
    job_.state = JobState::kDone;
    FUGO_ASSIGN(const auto update, site_.ledger().begin());
    FUGO_TRY(update->put_job(job_).map([](auto) {}));
    update->state().open_job = 0;
    FUGO_TRY(update->append_journal(options_.actor, "issue.done",
                                    nlohmann::json{{"request", job_.id},
                                                   {"rows", job_.rows},
                                                   {"new", job_.count_new},
                                                   {"existing", job_.count_existing},
                                                   {"rejected", job_.count_rejected},
                                                   {"people_new", job_.people_new}}
                                        .dump()));
    return update->commit();
  }

  // A request that was answered before: answered again by reading only.
  Result<IssueReport> repeat() {
    report_.repeated = true;
    const auto folder = answers_path(options_.output_directory, job_.id);
    if (std::filesystem::exists(folder)) {
      FUGO_TRY(check_published(folder, job_.answers_digest));
      return report();
    }
    FUGO_TRY(work_through(/*make_missing=*/false));
    FUGO_ASSIGN(const auto written, write());
    if (written.digest != job_.answers_digest) {
      std::error_code ignored;
      std::filesystem::remove_all(temporary_answers_path(options_.output_directory, job_.id),
                                  ignored);
      return fail(ErrorCode::kRefused,
                  "request " + job_.id + " was answered on " + format_time(job_.time) +
                      ", and the same answers cannot be made any more",
                  options_.request.string(),
                  "people or keys have changed since; send a request with a new id");
    }
    FUGO_TRY(publish_answers(options_.output_directory, job_.id));
    return report();
  }

  // For a check: rows of people whose code was changed.
  Status find_superseded() {
    FUGO_ASSIGN(const auto issuer,
                engine::SegmentIssuer::create(
                    site_, std::clamp<std::uint64_t>(job_.rows, 1, options_.segment_rows)));
    job_.segment_rows = options_.segment_rows;
    Segment segment;
    for (const SegmentRange& range : ranges()) {
      FUGO_TRY(request_->read(survey_, rules_, range.first_row, range.rows, segment));
      FUGO_ASSIGN(const auto rows,
                  issuer->superseded({segment.resident_codes(), segment.agencies}));
      for (const std::uint32_t row : rows)
        FUGO_TRY(survey_.rejects.add({segment.lines[row], RejectReason::kSupersededResident,
                                      segment.processing_numbers[row]}));
    }
    return {};
  }

  IssueReport report() {
    report_.id = job_.id;
    report_.rows = job_.rows;
    report_.count_new = job_.count_new;
    report_.count_existing = job_.count_existing;
    report_.count_rejected = job_.count_rejected;
    report_.people_new = job_.people_new;
    report_.symbol_version = job_.generation;
    const RejectCounts& counts = survey_.rejects.counts();
    for (std::size_t reason = 1; reason < counts.size(); ++reason)
      if (counts[reason] != 0)
        report_.rejects.emplace(reject_reason_name(static_cast<RejectReason>(reason)),
                                counts[reason]);
    if (!job_.output_directory.empty())
      report_.answers = answers_path(options_.output_directory, job_.id);
    report_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
    return report_;
  }

  using Clock = std::chrono::steady_clock;

  engine::Site& site_;
  const IssueOptions& options_;
  const Clock::time_point started_ = Clock::now();
  AgencyTable agencies_;
  RowRules rules_;
  std::unique_ptr<Request> request_;
  std::optional<JobRow> known_;  // this id's job, if it came before
  Survey survey_;
  std::uint64_t rejects_of_file_ = 0;  // without those that the ledger finds
  AnswerParts answers_;
  JobRow job_;
  IssueReport report_;
};

}  // namespace

Result<IssueReport> run_issue(engine::Site& site, const IssueOptions& options) {
  FUGO_TRY(make_directory(options.output_directory));
  return IssueJob(site, options).run();
}

Result<IssueReport> check_issue(engine::Site& site, const IssueOptions& options) {
  return IssueJob(site, options).check();
}

}  // namespace fugo::daemon
