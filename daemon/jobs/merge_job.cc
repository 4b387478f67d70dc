#include "daemon/jobs/merge_job.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/agency_file.h"
#include "daemon/agency_registry.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/pair_answers.h"
#include "daemon/jobs/job_control.h"
#include "daemon/jobs/request_key.h"
#include "engine/merge/agency_merger.h"

namespace fugo::daemon {
namespace {

using keystore::Agency;
using keystore::AgencyState;
using keystore::JobRow;
using keystore::JobState;

constexpr std::string_view kPrefix = "merge+";
constexpr std::uint32_t kMostRows = 1U << 18U;  // of a segment
constexpr const char* kWhere = "fugo agency merge";

// refuse_open_run: an agency that is closed in the middle of a regeneration would have a mapping
// file that nobody takes over, and the one that takes over would miss its people in its own.
// A run that was planned after the merger began cannot be committed before that ends.
Status refuse_open_run(const keystore::LedgerState& state, const JobRow& job) {
  if (state.open_run == 0) return {};
  return fail(ErrorCode::kRefused, "a regeneration is not finished", kWhere,
              job.number == 0
                  ? "bring it to its end, or abort it: fugo regenerate status shows it"
                  : "abort it (fugo regenerate status shows it), or give the merger up: fugo jobs "
                    "cancel " +
                        job.id);
}

// MergeJob is one run over one merger. The steps are told in docs/exactly-once.md.
class MergeJob {
 public:
  MergeJob(engine::Site& site, const JobOptions& options, MergedAgencies agencies)
      : site_(site),
        options_(options),
        agencies_(std::move(agencies)),
        going_(options.keep_going) {}

  [[nodiscard]] Result<JobReport> run();

 private:
  [[nodiscard]] Status find_agencies();
  [[nodiscard]] Result<std::optional<JobRow>> find_job();
  [[nodiscard]] Status mergeable() const;
  [[nodiscard]] Status start();
  [[nodiscard]] Status take_up();
  [[nodiscard]] Status before_commit();
  [[nodiscard]] Result<WrittenAnswers> make_answers(bool make_missing);
  [[nodiscard]] Status close(const WrittenAnswers& written);
  [[nodiscard]] Status repeat();
  [[nodiscard]] Result<JobReport> report();

  [[nodiscard]] AnswersPlace place() const { return {options_.output_directory, job_.id}; }
  [[nodiscard]] AnswerHead answer_head() const;
  [[nodiscard]] nlohmann::json details() const {
    return {{"request", job_.id}, {"from", agencies_.from}, {"into", agencies_.into}};
  }

  engine::Site& site_;
  const JobOptions& options_;
  const MergedAgencies agencies_;
  const KeepGoing going_;
  Agency from_, into_;
  std::unique_ptr<engine::AgencyMerger> merger_;
  JobRow job_;
  JobReport report_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

Result<JobReport> MergeJob::run() {
  if (options_.progress) options_.progress("reading", 0, 0);
  FUGO_TRY(find_agencies());
  FUGO_ASSIGN(const auto known, find_job());
  if (known) job_ = *known;
  if (known && known->state == JobState::kDone) {
    FUGO_TRY(repeat());
    return report();
  }
  FUGO_TRY(known ? take_up() : start());
  if (job_.state == JobState::kRunning) {
    FUGO_TRY(before_commit());
    FUGO_ASSIGN(const auto written, make_answers(/*make_missing=*/true));
    FUGO_TRY(before_commit());
    FUGO_TRY(close(written));
  }
  FUGO_TRY(end_job(site_, options_, job_));
  return report();
}

// Both must be registered; closed ones are found too, since a merger that is done is known by them.
Status MergeJob::find_agencies() {
  const std::pair<const std::string&, Agency&> wanted[] = {{agencies_.from, from_},
                                                           {agencies_.into, into_}};
  for (const auto& [code, agency] : wanted) {
    const Agency* found = site_.find_agency(code);
    if (found == nullptr) return no_such_agency(code, kWhere);
    agency = *found;
  }
  if (from_.number != into_.number) return {};
  return fail(ErrorCode::kRefused, "an agency cannot be merged into itself", kWhere,
              "give two agencies: --from is closed, --to takes over");
}

// The merger of the two; where one was given up, the next may begin.
Result<std::optional<JobRow>> MergeJob::find_job() {
  for (unsigned attempt = 1;; ++attempt) {
    job_.id = merge_job_id(agencies_, attempt);
    FUGO_ASSIGN(auto known, site_.ledger().find_job(job_.id));
    if (!known || known->state != JobState::kCancelled) return known;
  }
}

// A suspended agency may be closed: suspending it is how its requests are stopped before. One that
// takes over would be issued symbols, which is what suspending it stopped.
Status MergeJob::mergeable() const {
  for (const Agency* agency : {&from_, &into_})
    if (agency->state == AgencyState::kClosed)
      return fail(ErrorCode::kRefused, "the agency " + agency->code + " is closed", kWhere,
                  "fugo agency list shows which are not");
  if (into_.state != AgencyState::kSuspended) return {};
  return fail(ErrorCode::kRefused, "the agency " + into_.code + " is suspended", kWhere,
              "fugo agency resume " + into_.code + " first");
}

Status MergeJob::start() {
  FUGO_TRY(mergeable());
  FUGO_TRY(before_commit());
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  FUGO_TRY(settle_other_job(site_, options_, state, kWhere));
  FUGO_TRY(refuse_answers_there(place()));
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_ASSIGN(job_.rows, snapshot->count_issued(from_.number));
  job_.kind = keystore::JobKind::kMerge;
  job_.state = JobState::kRunning;
  job_.time = unix_now();
  job_.operator_name = options_.actor.operator_name;
  job_.order = options_.actor.order;
  job_.output_directory = one_spelling(options_.output_directory).string();
  job_.generation = site_.active_generation().number;
  job_.segment_rows = std::clamp<std::uint32_t>(options_.segment_rows, 1, kMostRows);
  pin_registry(site_, state, job_);
  return commit_job(site_, job_, [&](keystore::Update& update) -> Status {
    FUGO_TRY(refuse_open_run(update.state(), job_));
    if (update.state().registry_version != site_.registry_version() ||
        update.state().next_segment != state.next_segment)
      return fail(ErrorCode::kRefused, "the ledger was changed meanwhile", kWhere, "run it again");
    auto entry = details();
    entry["rows"] = job_.rows;
    return update.append_journal(options_.actor, "merge.start", entry.dump());
  });
}

// A merger that was stopped: what was pinned counts.
Status MergeJob::take_up() {
  report_.resumed = true;
  const auto directory = one_spelling(options_.output_directory);
  if (directory != job_.output_directory && job_.state == JobState::kRunning)
    move_answers(job_, directory);
  if (directory != job_.output_directory)
    return fail(ErrorCode::kRefused,
                "the answers of " + job_.id + " are made already, in another directory",
                options_.output_directory.string(), "run it with --out " + job_.output_directory);
  if (job_.state != JobState::kRunning) return {};
  if (site_.active_generation().number != job_.generation || from_.state == AgencyState::kClosed ||
      into_.state == AgencyState::kClosed)
    return fail(ErrorCode::kDamaged, "the registries changed while " + job_.id + " was open",
                "ledger", "run fugo verify; fugo jobs cancel " + job_.id + " gives it up");
  FUGO_TRY(before_commit());
  return commit_job(site_, job_, [&](keystore::Update& update) {
    auto entry = details();
    entry["rows_done"] = job_.rows_done;
    return update.append_journal(options_.actor, "merge.resume", entry.dump());
  });
}

Status MergeJob::before_commit() {
  FUGO_TRY(going_());
  auto ordered = look_at_orders(site_, job_);
  if (ordered) {
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    return refuse_open_run(state, job_);
  }
  if (stop_of(ordered.error()) == JobStop::kCancelled && job_.number != 0)
    FUGO_TRY(cancel_job(site_, options_, job_, options_.actor));
  return ordered;
}

Result<WrittenAnswers> MergeJob::make_answers(bool make_missing) {
  FUGO_ASSIGN(merger_, engine::AgencyMerger::create(site_, from_, into_, job_));
  merger_->ask([this] { return going_(); });
  PairAnswers answers(place());
  answers.expect(into_.number);
  const std::uint64_t committed = job_.rows_done;
  for (std::uint64_t row = 0; row < job_.rows;) {
    const auto rows = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        job_.segment_rows, (row < committed ? committed : job_.rows) - row));
    if (options_.progress)
      options_.progress(row < committed ? "answering" : "merging", row, job_.rows);
    if (row >= committed && !make_missing)
      return fail(ErrorCode::kDamaged, "segments of " + job_.id + " are missing",
                  "ledger, table segments", "run fugo verify");
    FUGO_TRY(row < committed ? going_() : before_commit());
    const auto began = std::chrono::steady_clock::now();
    FUGO_ASSIGN(const auto pairs,
                row < committed ? merger_->answer(row, rows)
                                : merger_->merge({0, 0, 0, row, rows, 0, 0}, options_.actor, job_));
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - began;
    if (row >= committed && options_.segment_committed) options_.segment_committed(taken.count());
    for (const auto& pair : pairs)
      FUGO_TRY(answers.add_agency(into_.number, pair.before, pair.after));
    row += rows;
  }
  if (options_.progress) options_.progress("answering", job_.rows, job_.rows);
  JobReport figures;
  fill_report(job_, figures);
  FUGO_ASSIGN(auto none, RejectList::create(options_.output_directory));
  FUGO_ASSIGN(const auto key, request_key(site_, merger_key(job_.generation)));
  AnswerHead head = answer_head();
  head.seal_key = &key;
  return answers.write(place(), head,
                       {{"new", figures.count_new},
                        {"existing", figures.count_existing},
                        {"superseded", figures.count_superseded}},
                       site_.agencies(), none, going_);
}

AnswerHead MergeJob::answer_head() const {
  AnswerHead head;
  head.id = job_.id;
  head.kind = job_.kind;
  head.environment = site_.ledger().header().environment;
  head.time = job_.time;
  head.rows = job_.rows;
  head.symbol_version = job_.generation;
  head.merged_agency = agencies_.from;
  return head;
}

// The agency is closed in the same transaction in which its answers become the merger's: from here
// on its symbols are nobody's, and whoever asks again gets the translation.
Status MergeJob::close(const WrittenAnswers& written) {
  job_.state = JobState::kAnswering;
  job_.answers_digest = written.digest;
  return commit_job(site_, job_, [&](keystore::Update& update) -> Status {
    FUGO_TRY(refuse_open_run(update.state(), job_));
    FUGO_ASSIGN(auto agencies, site_.ledger().agencies());  // as they are now: we hold the lock
    for (Agency& agency : agencies) {
      if (agency.number != from_.number) continue;
      agency.state = AgencyState::kClosed;
      FUGO_TRY(update.put_agency(agency));
    }
    return update.append_journal(options_.actor, "agency.close", details().dump());
  });
}

// Answered once more, by reading only.
Status MergeJob::repeat() {
  report_.repeated = true;
  const auto gone = [&](const char* why) {
    return fail(ErrorCode::kRefused,
                "the merger was done on " + format_time(job_.time) +
                    ", and the same answers cannot be made any more",
                kWhere,
                std::string(why) + " since; they were in " +
                    answers_path(job_.output_directory, job_.id).string());
  };
  if (site_.find_accepted(job_.generation) == nullptr) return gone("the symbols' version ended");
  std::error_code ignored;
  const auto folder = answers_path(options_.output_directory, job_.id);
  if (std::filesystem::exists(std::filesystem::symlink_status(folder, ignored))) {
    FUGO_ASSIGN(const auto key, request_key(site_, merger_key(job_.generation)));
    return check_published(place(), job_.answers_digest, key);
  }
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_ASSIGN(const std::uint64_t held, snapshot->count_issued(from_.number));
  if (held != job_.rows) return gone("people were deleted");
  FUGO_ASSIGN(const auto written, make_answers(/*make_missing=*/false));
  if (written.digest == job_.answers_digest) return publish_answers(place());
  std::filesystem::remove_all(temporary_answers_path(options_.output_directory, job_.id), ignored);
  return gone("keys or people have changed");
}

Result<JobReport> MergeJob::report() {
  fill_report(job_, report_);
  report_.answers = answers_path(options_.output_directory, job_.id);
  FUGO_ASSIGN(report_.agencies, count_answer_files(place()));
  report_.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return report_;
}

}  // namespace

std::string merge_job_id(const MergedAgencies& agencies, unsigned attempt) {
  return std::string(kPrefix) + agencies.from + "+" + agencies.into +
         (attempt == 1 ? std::string() : "+" + std::to_string(attempt));
}

std::optional<MergedAgencies> merger_of(std::string_view job_id) {
  if (!job_id.starts_with(kPrefix)) return std::nullopt;
  job_id.remove_prefix(kPrefix.size());
  const auto middle = job_id.find('+');
  if (middle == std::string_view::npos) return std::nullopt;
  const auto into = job_id.substr(middle + 1);
  MergedAgencies agencies{std::string(job_id.substr(0, middle)),
                          std::string(into.substr(0, into.find('+')))};
  if (!valid_agency_code(agencies.from) || !valid_agency_code(agencies.into)) return std::nullopt;
  return agencies;
}

Result<JobReport> run_merge(engine::Site& site, const JobOptions& options,
                            const MergedAgencies& agencies) {
  FUGO_TRY(make_directory(options.output_directory));
  return MergeJob(site, options, agencies).run();
}

}  // namespace fugo::daemon
