#include "daemon/jobs/issue_job.h"

#include <algorithm>

#include "daemon/files/answers.h"

namespace fugo::daemon {

Result<WrittenAnswers> IssueJob::make_answers(bool make_missing) {
  FUGO_TRY(work_through(make_missing));
  return write_answers(options_.output_directory, answer_head(), answers_, site_.agencies(),
                       survey_.rejects, going_);
}

std::vector<SegmentRange> IssueJob::ranges(const std::vector<keystore::SegmentRow>& done) const {
  std::vector<SegmentRange> all;
  std::uint64_t row = 0;
  for (const auto& segment : done) {
    all.push_back({segment.first_row, segment.rows});
    row = segment.first_row + segment.rows;
  }
  for (; row < survey_.rows; row += all.back().rows)
    all.push_back({row, static_cast<std::uint32_t>(
                            std::min<std::uint64_t>(options_.segment_rows, survey_.rows - row))});
  return all;
}

Status IssueJob::prepare() {
  FUGO_ASSIGN(const auto done, committed());
  const auto all = ranges(done);
  std::uint32_t most_rows = 1;
  for (const SegmentRange& range : all) most_rows = std::max(most_rows, range.rows);
  FUGO_ASSIGN(issuer_, engine::SegmentIssuer::create(site_, most_rows));
  issuer_->ask([this] { return going_(); });
  FUGO_ASSIGN(answers_, AnswerParts::create(options_.output_directory));
  pipeline_ = std::make_unique<SegmentPipeline>(*request_, survey_, rules_, answers_,
                                                job_.generation, going_);
  return pipeline_->allocate(all.size(), most_rows);
}

Status IssueJob::work_through(bool make_missing) {
  FUGO_ASSIGN(const auto done, committed());
  const auto all = ranges(done);
  if (!make_missing && done.size() != all.size())
    return fail(ErrorCode::kDamaged, "segments of request " + job_.id + " are missing",
                "ledger, table segments", "run fugo verify");
  if (!issuer_) FUGO_TRY(prepare());
  const auto work = [&](std::size_t number,
                        const engine::IssueRows& rows) -> Result<engine::IssueOutcome> {
    tell(number < done.size() ? "answering" : "issuing", all[number].first_row, job_.rows);
    if (number < done.size()) return issuer_->answer(rows, done[number]);
    FUGO_TRY(before_commit());
    keystore::SegmentRow segment;
    segment.first_row = all[number].first_row;
    segment.rows = all[number].rows;
    const auto started = std::chrono::steady_clock::now();
    auto outcome = issuer_->issue(rows, segment, options_.actor, job_);
    if (outcome && options_.segment_committed)
      options_.segment_committed(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
    return outcome;
  };
  FUGO_TRY(pipeline_->run(all, work));
  tell("answering", job_.rows, job_.rows);
  return request_->check_unchanged();
}

// Rows of people whose code was changed.
Status IssueJob::find_rejects() {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  if (!snapshot->any_patched()) return {};
  const auto all = ranges({});
  std::uint32_t most_rows = 1;
  for (const SegmentRange& range : all) most_rows = std::max(most_rows, range.rows);
  FUGO_ASSIGN(const auto issuer, engine::SegmentIssuer::create(site_, most_rows));
  issuer->ask([this] { return going_(); });
  Segment segment;
  for (const SegmentRange& range : all) {
    FUGO_TRY(request_->read(survey_, rules_, range.first_row, range.rows, segment));
    FUGO_ASSIGN(const auto rows, issuer->superseded({segment.resident_codes(), segment.agencies}));
    for (const std::uint32_t row : rows)
      FUGO_TRY(survey_.rejects.add({segment.lines[row], RejectReason::kSupersededResident,
                                    segment.processing_numbers[row]}));
  }
  return {};
}

}  // namespace fugo::daemon
