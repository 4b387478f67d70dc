// Giving a job up, and telling agencies of what a change had committed by then.
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "daemon/files/pair_answers.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/jobs/job_control.h"
#include "engine/change/segment_changer.h"

namespace fugo::daemon {
namespace {

using engine::ChangeResult;
using keystore::JobRow;
using keystore::JobState;

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

bool is_answered(const JobRow& job) {
  return job.kind == keystore::JobKind::kChange && job.rows_done > 0;
}

Status remove_unseen(const AnswersPlace& place) {
  std::error_code error;
  std::filesystem::remove_all(temporary_answers_path(place.directory, place.id), error);
  if (!error && !place.records.empty())
    std::filesystem::remove(temporary_records_path(place), error);
  if (!error) return {};
  return fail_errno("cannot remove what a given-up job had written", place.directory.string(),
                    error.value());
}

// The segments' answers as PairAnswers: which rows were rejected only the request could tell.
Status collect_committed(engine::Site& site, const JobRow& job, PairAnswers& answers) {
  FUGO_ASSIGN(const auto changer, engine::SegmentChanger::create(site, 1));
  FUGO_ASSIGN(const auto segments, site.ledger().segments());
  for (const auto& segment : segments) {
    if (segment.job != job.number) continue;
    FUGO_ASSIGN(const auto outcome, changer->answer_without_rows(segment));
    for (const auto& pair : outcome.agencies)
      FUGO_TRY(answers.add_agency(pair.agency, pair.before, pair.after));
    for (const auto& pair : outcome.records) FUGO_TRY(answers.add_record(pair.before, pair.after));
  }
  return {};
}

// write_committed writes and syncs the answers of what was committed, under their temporary names.
Result<WrittenAnswers> write_committed(engine::Site& site, const JobOptions& options,
                                       const JobRow& job, const AnswersPlace& place) {
  FUGO_TRY(make_directory(place.directory));
  FUGO_TRY(refuse_answers_there(place));
  PairAnswers answers(place);
  FUGO_TRY(collect_committed(site, job, answers));
  FUGO_ASSIGN(auto rejects, RejectList::create(place.directory));
  AnswerHead head;
  head.id = job.id;
  head.kind = job.kind;
  head.environment = site.ledger().header().environment;
  head.time = job.time;
  head.rows = job.rows;
  head.symbol_version = job.generation;
  return answers.write(place, head,
                       {{"changed", job.people_new},
                        {"joined", job.count_existing},
                        {"rejected", job.rows_done - job.people_new - job.count_existing},
                        {"cancelled", job.rows - job.rows_done}},
                       site.agencies(), rejects, KeepGoing(options.keep_going));
}

}  // namespace

Status refuse_answers_there(const AnswersPlace& place) {
  const auto folder = answers_path(place.directory, place.id);
  if (is_there(folder))
    return fail(ErrorCode::kRefused, "is there already", folder.string(),
                "move it away or choose another --out");
  if (!place.records.empty() && is_there(records_path(place)))
    return fail(ErrorCode::kRefused, "is there already", records_path(place).string(),
                "move it away, or give the request another id");
  return {};
}

Status cancel_job(engine::Site& site, const JobOptions& options, JobRow& job,
                  const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto stored, site.ledger().job(job.number));
  if (stored.state == JobState::kCancelled) return publish_cancelled(options, stored);
  const AnswersPlace place = answers_place(options, job);
  FUGO_TRY(remove_unseen(place));
  nlohmann::json details = {{"request", job.id}, {"rows", job.rows}, {"rows_done", job.rows_done}};
  if (is_answered(job)) {
    FUGO_ASSIGN(const auto written, write_committed(site, options, job, place));
    job.answers_digest = written.digest;
    details.update({{"changed", job.people_new}, {"joined", job.count_existing}});
  }
  job.state = JobState::kCancelled;
  FUGO_ASSIGN(const auto ways, ways_of(site.ledger()));
  FUGO_TRY(commit_job(site, job, [&](keystore::Update& update) {
    note_blocks(job, ways, update.state(), details);
    return update.append_journal(actor, std::string(job_kind_name(job.kind)) + ".cancelled",
                                 details.dump());
  }));
  return publish_cancelled(options, job);
}

Status publish_cancelled(const JobOptions& options, const JobRow& job) {
  if (job.state != JobState::kCancelled || !is_answered(job)) return {};
  const AnswersPlace place = answers_place(options, job);
  if (!is_there(temporary_answers_path(place.directory, place.id)) &&
      !is_there(temporary_records_path(place)))
    return {};
  return publish_answers(place);
}

}  // namespace fugo::daemon
