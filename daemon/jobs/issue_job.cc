#include "daemon/jobs/issue_job.h"

#include <algorithm>
#include <random>

#include "base/heap.h"
#include "daemon/files/answers.h"
#include "engine/issue/code_look.h"

namespace fugo::daemon {
namespace {

constexpr std::uint64_t kLookRows = 1U << 17U;    // looked at in one go
constexpr std::uint64_t kSampleRows = 1U << 14U;  // drawn from a file that is much larger
constexpr double kLeastPart = 0.02;               // of the rows, that a sample can tell from none

}  // namespace

Result<WrittenAnswers> IssueJob::make_answers(bool make_missing) {
  const HeapKept heap;
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
    if (number < done.size()) return issuer_->answer(rows, done[number], job_.generation);
    FUGO_TRY(before_commit());
    keystore::SegmentRow segment;
    segment.first_row = all[number].first_row;
    segment.rows = all[number].rows;
    const auto started = std::chrono::steady_clock::now();
    auto outcome = issuer_->issue(rows, segment, options_.actor, job_);
    if (outcome) tell_committed(started);
    return outcome;
  };
  FUGO_TRY(pipeline_->run(all, work));
  tell("answering", job_.rows, job_.rows);
  return request_->check_unchanged();
}

// Rows of people whose code was changed.
Status IssueJob::find_rejects(const FoundReject& found) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  if (!snapshot->any_patched()) return {};
  const auto block =
      static_cast<std::uint32_t>(std::clamp<std::uint64_t>(survey_.rows, 1, kLookRows));
  FUGO_ASSIGN(auto look, engine::CodeLook::create(site_, block));
  Segment segment;
  for (std::uint64_t row = 0; row < survey_.rows; row += segment.rows) {
    FUGO_TRY(going_());
    tell("reading", row, survey_.rows);
    FUGO_TRY(request_->read(survey_, rules_, row, block, segment));
    FUGO_ASSIGN(const auto states, look.look(segment.resident_codes()));
    for (std::size_t i = 0; i < states.size(); ++i)
      if (states[i] == engine::CodeState::kSuperseded)
        FUGO_TRY(found(
            {segment.lines[i], RejectReason::kSupersededResident, segment.processing_numbers[i]}));
  }
  return {};
}

// Deriving every code of a large file only to count would cost a good part of the job itself, and
// nearly every file has next to no such row. So rows drawn at random are looked at first. Were the
// limit reached, half of it would not be seen in this sample once in 10^20 files.
Result<bool> IssueJob::may_find_rejects(std::uint64_t needed) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  if (!snapshot->any_patched()) return false;
  const double part = static_cast<double>(needed) / static_cast<double>(survey_.rows);
  if (survey_.rows <= 4 * kSampleRows || part < kLeastPart) return true;
  std::random_device random;
  std::uniform_int_distribution<std::uint64_t> any_row(0, survey_.rows - 1);
  std::vector<std::uint64_t> sample(kSampleRows);
  for (std::uint64_t& row : sample) row = any_row(random);
  std::sort(sample.begin(), sample.end());
  sample.erase(std::unique(sample.begin(), sample.end()), sample.end());
  FUGO_ASSIGN(auto codes, SecretArray<std::uint64_t>::create(sample.size()));
  std::size_t accepted = 0;
  Segment segment;
  for (const std::uint64_t row : sample) {
    FUGO_TRY(request_->read(survey_, rules_, row, 1, segment));
    if (segment.size() == 1) codes[accepted++] = segment.codes[0];
  }
  FUGO_ASSIGN(auto look, engine::CodeLook::create(site_, sample.size()));
  FUGO_ASSIGN(const auto states, look.look(codes.span().first(accepted)));
  const auto hits = std::count(states.begin(), states.end(), engine::CodeState::kSuperseded);
  return 2 * static_cast<double>(hits) >= part * static_cast<double>(sample.size());
}

}  // namespace fugo::daemon
