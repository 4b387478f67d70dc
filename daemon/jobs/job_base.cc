#include "daemon/jobs/job_base.h"

#include <algorithm>
#include <utility>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/jobs/job_control.h"

namespace fugo::daemon {

using keystore::JobRow;
using keystore::JobState;

namespace {

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

}  // namespace

Result<JobReport> Job::run() {
  FUGO_TRY(look(options_.output_directory));
  if (known_) job_ = *known_;
  meter_.begin(job_.blocks);
  if (known_ && known_->state == JobState::kDone) return repeat();
  if (!known_ || known_->state == JobState::kHeld) {
    if (!options_.hold) {  // before codes are looked up: a refusal behind that would tell of them
      FUGO_ASSIGN(const auto state, site_.ledger().state());
      FUGO_TRY(settle_other_job(site_, options_, state, options_.request.string()));
    }
    FUGO_TRY(foresee());
    FUGO_ASSIGN(const bool goes_on, approved());
    if (!goes_on) return report();
    FUGO_TRY(prepare());
    FUGO_TRY(start());
  } else {
    FUGO_TRY(take_up());
    if (job_.state == JobState::kRunning) FUGO_TRY(prepare());
  }
  if (job_.state == JobState::kRunning) {
    FUGO_TRY(before_commit());
    FUGO_ASSIGN(const auto written, make_answers(/*make_missing=*/true));
    FUGO_TRY(before_commit());
    FUGO_TRY(commit_answers(written));
  }
  FUGO_TRY(end_job(site_, options_, job_));
  return report();
}

// The one look over the whole file, before anything is applied: by the registry of today, or of
// the day when the request came first.
Status Job::look(const std::filesystem::path& temporary_directory) {
  tell("reading", 0, 0);
  FUGO_TRY(going_());
  FUGO_ASSIGN(known_, site_.ledger().find_job(request_->head().id));
  const bool pinned = known_ && known_->state != JobState::kHeld;
  // A request that was taken is not given up because its sender's certificate expires meanwhile;
  // nor is it another one when it was signed anew, with a certificate that is younger than the job.
  auto valid = request_->check_sender(unix_now());
  if (!valid && pinned) valid = request_->check_sender(known_->time);
  FUGO_TRY(valid);
  FUGO_ASSIGN(agencies_,
              AgencyTable::create(pinned ? registry_of(site_, *known_) : site_.agencies()));
  rules_.agencies = &agencies_;
  rules_.reasons = options_.delete_reasons;
  rules_.check_digits = pinned ? known_->check_digits : options_.check_digits;
  FUGO_TRY(choose_request_key());
  FUGO_TRY(choose_quota());
  const auto keys = site_.ledger().keys();
  SurveyOptions options;
  options.rules = rules_;
  options.environment = site_.ledger().header().environment;
  options.row_quota = allowed_.rows;
  options.hmac_key = &request_key_;
  options.spill_key = &keys->spill();
  options.temporary_directory = temporary_directory;
  options.keep_going = &going_;
  options.progress = [&](std::uint64_t done, std::uint64_t all) {
    const std::uint64_t rows = request_->head().records;
    tell("reading",
         all == 0
             ? rows
             : static_cast<std::uint64_t>(static_cast<double>(rows) * static_cast<double>(done) /
                                          static_cast<double>(all)),
         rows);
  };
  FUGO_ASSIGN(survey_, request_->survey(options));
  rejects_of_file_ = survey_.rejects.size();
  if (known_ && !equal_in_constant_time(known_->request_hmac, survey_.hmac))
    return fail(ErrorCode::kRefused,
                "the id " + survey_.head.id + " was used before with other content",
                options_.request.string() + ":1", "give the request an id of its own");
  FUGO_TRY(refuse_ended());
  return admissible();
}

// A request that an operator ended stays ended.
Status Job::refuse_ended() const {
  const bool cancelled = known_ && known_->state == JobState::kCancelled;
  if (!cancelled && !(known_ && known_->state == JobState::kRefused)) return {};
  return fail(ErrorCode::kRefused,
              "request " + known_->id +
                  (cancelled ? " was cancelled" : " was held, and an operator refused it"),
              options_.request.string(), "give a new request an id of its own");
}

void Job::describe() {
  job_.id = survey_.head.id;
  job_.kind = survey_.head.kind;
  job_.join = survey_.head.join;
  job_.rows = survey_.rows;
}

// A request that is known is compared under the key that it came with.
Status Job::choose_request_key() {
  if (known_) {
    job_.request_key = known_->request_key;
  } else {
    FUGO_ASSIGN(job_.request_key, new_request_key(site_));
  }
  auto key = request_key(site_, job_.request_key);
  if (!key && known_ && key.error().code == ErrorCode::kRefused) {
    job_ = *known_;
    FUGO_TRY(refuse_retired());  // its linkage key is gone with its version
  }
  if (!key) return tl::unexpected<Error>(std::move(key).error());
  request_key_ = *key;
  return {};
}

// What a request may have is settled when it starts or is held: the same rows are beyond it ever
// after.
Status Job::choose_quota() {
  if (known_) {
    allowed_.rows = known_->row_quota;
    return {};
  }
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  const auto allowance = checking_ ? check_allowance : row_allowance;
  FUGO_ASSIGN(allowed_, allowance(options_.quota, state, unix_now()));
  return {};
}

// take_quota takes the request's rows off the day's quota, in the transaction that starts or holds
// it; of a held one they were taken.
Status Job::take_quota(keystore::LedgerState& state) const {
  if (known_) return {};
  FUGO_ASSIGN(const auto allowed, row_allowance(options_.quota, state, unix_now()));
  const std::uint64_t rows = std::min(job_.rows, allowed_.rows);
  if (std::min(job_.rows, allowed.rows) < rows)
    return fail(ErrorCode::kStale, "another request took of the day's quota meanwhile", "ledger",
                "run it again");
  take_rows(state, allowed.day, rows);
  return {};
}

void Job::pin(const keystore::LedgerState& state) {
  describe();
  job_.own_request = options_.own_request;
  job_.request_hmac = survey_.hmac;
  job_.row_quota = allowed_.rows;
  job_.blocks = meter_.blocks();
  job_.time = unix_now();
  job_.operator_name = options_.actor.operator_name;
  job_.order = options_.actor.order;
  job_.output_directory = one_spelling(options_.output_directory).string();
  job_.generation = site_.active_generation().number;
  pin_registry(site_, state, job_);
  job_.check_digits = options_.check_digits;
  job_.segment_rows = options_.segment_rows;
  job_.accept_rejects = options_.accept_rejects;
}

void Job::name_sender(nlohmann::json& details) const {
  const RequestSender& sender = request_->sender();
  if (sender.name.empty()) return;
  details["sender"] = sender.name;
  details["sender_certificate"] = sender.certificate;
}

// A request that is new or was approved: its row pins everything that the answers depend on.
Status Job::start() {
  FUGO_TRY(before_commit());
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  FUGO_TRY(settle_other_job(site_, options_, state, options_.request.string()));
  pin(state);
  FUGO_TRY(refuse_answers_there(place()));
  job_.state = JobState::kRunning;
  job_.count_rejected = 0;
  return commit([&](keystore::Update& update) -> Status {
    if (update.state().registry_version != site_.registry_version())
      return fail(ErrorCode::kRefused, "the registries were changed while the request was read",
                  options_.request.string(), "run it again");
    FUGO_TRY(take_quota(update.state()));
    nlohmann::json details = {
        {"request", job_.id}, {"rows", job_.rows}, {"approved", job_.hold_reason}};
    name_sender(details);
    return update.append_journal(options_.actor, std::string(job_kind_name(job_.kind)) + ".start",
                                 details.dump());
  });
}

// A request that was stopped: what was pinned counts, not today's settings.
Status Job::take_up() {
  report_.resumed = true;
  meter_.again(job_.rows_done);
  const auto directory = one_spelling(options_.output_directory);
  if (directory != job_.output_directory && job_.state == JobState::kRunning)
    move_answers(job_, directory);
  if (directory != job_.output_directory)
    return fail(ErrorCode::kRefused,
                "the answers of request " + job_.id + " are made already, in another directory",
                options_.output_directory.string(), "run it with --out " + job_.output_directory);
  if (job_.state != JobState::kRunning) return {};
  // What else of the registries its answers depend on is in the job's own row.
  if (job_.generation != site_.active_generation().number)
    return fail(ErrorCode::kDamaged,
                "the symbol version changed while request " + job_.id + " was open", "ledger",
                "run fugo verify; fugo jobs cancel " + job_.id + " gives the request up");
  FUGO_TRY(before_commit());
  // Who goes on need not be who started: the entries behind this one are theirs.
  return commit([&](keystore::Update& update) {
    nlohmann::json details = {{"request", job_.id}, {"rows_done", job_.rows_done}};
    name_sender(details);
    return update.append_journal(options_.actor, std::string(job_kind_name(job_.kind)) + ".resume",
                                 details.dump());
  });
}

Status Job::before_commit() {
  FUGO_TRY(going_());
  job_.blocks = meter_.blocks();
  auto ordered = look_at_orders(site_, job_);
  if (ordered || stop_of(ordered.error()) != JobStop::kCancelled || job_.number == 0)
    return ordered;
  FUGO_TRY(cancel_job(site_, options_, job_, options_.actor));
  return ordered;
}

Status Job::commit(const std::function<Status(keystore::Update&)>& fill) {
  job_.blocks = meter_.blocks();
  return commit_job(site_, job_, fill);
}

Status Job::commit_answers(const WrittenAnswers& written) {
  job_.state = JobState::kAnswering;
  job_.answers_digest = written.digest;
  job_.count_rejected = survey_.rejects.size();
  return commit([&](keystore::Update& update) { return update.add_stats(rejected_stats()); });
}

std::vector<keystore::StatRow> Job::rejected_stats() const {
  std::vector<keystore::StatRow> rows;
  for (std::size_t agency = 0; agency < survey_.rejected_by_agency.size(); ++agency)
    if (survey_.rejected_by_agency[agency] != 0)
      rows.push_back({local_day(job_.time), static_cast<keystore::AgencyNumber>(agency),
                      job_.generation, 0, 0, survey_.rejected_by_agency[agency]});
  return rows;
}

Result<std::vector<keystore::SegmentRow>> Job::committed() const {
  FUGO_ASSIGN(auto rows, site_.ledger().segments());
  rows.erase(std::remove_if(rows.begin(), rows.end(),
                            [&](const auto& row) { return row.job != job_.number; }),
             rows.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.first_row < b.first_row; });
  return rows;
}

AnswerHead Job::answer_head() const {
  AnswerHead head;
  head.id = job_.id;
  head.kind = job_.kind;
  head.environment = site_.ledger().header().environment;
  head.time = job_.time;
  head.rows = job_.rows;
  head.symbol_version = job_.generation;
  head.rejected_by_agency = survey_.rejected_by_agency;
  head.seal_key = &request_key_;
  return head;
}

AnswersPlace Job::place() const {
  AnswersPlace here = answers_place(options_, job_);
  here.directory = options_.output_directory;  // a repeat may ask for another
  return here;
}

// Answers are the same only as long as the symbols in them are good.
Status Job::refuse_retired() const {
  if (site_.find_accepted(job_.generation) != nullptr) return {};
  return fail(ErrorCode::kRefused,
              "request " + job_.id + " was answered on " + format_time(job_.time) +
                  " with symbols of version " + std::to_string(job_.generation) +
                  ", which are not accepted any more: it is not answered again",
              options_.request.string(), "send a request with a new id");
}

// A request that was answered before: answered again by reading only.
Result<JobReport> Job::repeat() {
  FUGO_TRY(refuse_retired());
  report_.repeated = true;
  const auto folder = answers_path(options_.output_directory, job_.id);
  if (is_there(folder)) {
    FUGO_TRY(check_published(place(), job_.answers_digest, request_key_));
  } else {
    auto made = make_again();
    if (!made) {
      Error error = std::move(made).error();
      // It is about this request, wherever in the ledger it was met.
      if (error.code == ErrorCode::kRefused && going_()) error.where = options_.request.string();
      return tl::unexpected(std::move(error));
    }
    const WrittenAnswers& written = *made;
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
    FUGO_TRY(publish_answers(place()));
  }
  if (options_.own_request) FUGO_TRY(destroy_request(options_.request));
  return report();
}

Result<JobReport> Job::report() {
  fill_report(job_, report_);
  report_.sender = request_->sender().name;
  RejectCounts counts = survey_.rejects.counts();
  for (std::size_t reason = 1; reason < counts.size(); ++reason) {
    if (job_.state == JobState::kHeld) counts[reason] += foreseen_[reason];
    if (counts[reason] != 0)
      report_.rejects.emplace(reject_reason_name(static_cast<RejectReason>(reason)),
                              counts[reason]);
  }
  if (job_.state != JobState::kHeld && !job_.output_directory.empty()) {
    report_.answers = answers_path(options_.output_directory, job_.id);
    FUGO_ASSIGN(report_.agencies, count_answer_files(place()));
    if (has_records(job_.kind)) report_.records = records_path(place());
  }
  report_.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return report_;
}

}  // namespace fugo::daemon
