#include "daemon/jobs/change_job.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "daemon/files/survey.h"
#include "engine/change/change_foresight.h"

namespace fugo::daemon {
namespace {

using engine::ChangeResult;

// A row takes much more memory than one of an issue: everything that the person's agencies hold.
constexpr std::uint32_t kMostRows = 1U << 16U;

std::optional<RejectReason> reason_of(ChangeResult result) {
  switch (result) {
    case ChangeResult::kChanged:
    case ChangeResult::kJoined:
      break;
    case ChangeResult::kUnknownResident:
      return RejectReason::kUnknownResident;
    case ChangeResult::kSuperseded:
      return RejectReason::kSupersededResident;
    case ChangeResult::kResidentExists:
      return RejectReason::kResidentExists;
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t ChangeJob::block_rows() const {
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(survey_.rows, 1, std::min(options_.segment_rows, kMostRows)));
}

Status ChangeJob::prepare() {
  std::size_t most_rows = block_rows();
  FUGO_ASSIGN(const auto done, committed());
  for (const auto& segment : done) most_rows = std::max<std::size_t>(most_rows, segment.rows);
  FUGO_ASSIGN(changer_, engine::SegmentChanger::create(site_, most_rows));
  changer_->ask([this] { return going_(); });
  return {};
}

Result<WrittenAnswers> ChangeJob::make_answers(bool make_missing) {
  answers_ = PairAnswers(place());
  if (!changer_) FUGO_TRY(prepare());
  FUGO_ASSIGN(std::uint64_t row, answer_committed(*changer_));
  if (row < job_.rows && !make_missing)
    return fail(ErrorCode::kDamaged, "segments of request " + job_.id + " are missing",
                "ledger, table segments", "run fugo verify");
  for (; row < job_.rows; row += segment_.rows) {
    tell("changing", row, job_.rows);
    FUGO_TRY(request_->read(survey_, rules_, row, block_rows(), segment_));
    FUGO_TRY(change_block(*changer_));
  }
  tell("answering", job_.rows, job_.rows);
  FUGO_TRY(request_->check_unchanged());
  return answers_.write(place(), answer_head(),
                        {{"changed", job_.people_new},
                         {"joined", job_.count_existing},
                         {"rejected", survey_.rejects.size()}},
                        site_.agencies(), survey_.rejects, going_);
}

Result<std::uint64_t> ChangeJob::answer_committed(engine::SegmentChanger& changer) {
  FUGO_ASSIGN(const auto done, committed());
  std::uint64_t row = 0;
  for (const auto& segment : done) {
    FUGO_TRY(going_());
    tell("answering", row, job_.rows);
    if (segment.first_row != row)
      return fail(ErrorCode::kDamaged, "a segment of request " + job_.id + " is missing",
                  "ledger, table segments", "run fugo verify");
    FUGO_TRY(request_->read(survey_, rules_, row, segment.rows, segment_));
    FUGO_ASSIGN(
        const auto outcome,
        changer.answer({segment_.resident_codes(), segment_.new_resident_codes()}, segment));
    FUGO_TRY(take(outcome, 0));
    row += segment.rows;
  }
  return row;
}

Status ChangeJob::change_block(engine::SegmentChanger& changer) {
  const auto old_codes = segment_.resident_codes(), new_codes = segment_.new_resident_codes();
  std::uint64_t covered = segment_.first_row;
  const std::uint64_t end = segment_.first_row + segment_.rows;
  for (std::size_t first = 0; covered < end;) {
    FUGO_TRY(before_commit());
    engine::ChangeRows rows{old_codes.subspan(first), new_codes.subspan(first)};
    const std::size_t count = engine::SegmentChanger::independent_rows(rows);
    rows = {rows.old_codes.first(count), rows.new_codes.first(count)};
    const std::uint64_t next =
        first + count < segment_.size() ? segment_.lines[first + count] - kFirstRowLine : end;
    keystore::SegmentRow piece;
    piece.first_row = covered;
    piece.rows = static_cast<std::uint32_t>(next - covered);
    const auto started = std::chrono::steady_clock::now();
    FUGO_ASSIGN(const auto outcome, changer.change(rows, piece, job_));
    tell_committed(started);
    FUGO_TRY(take(outcome, first));
    first += count;
    covered = next;
  }
  return {};
}

Status ChangeJob::take(const engine::ChangeOutcome& outcome, std::size_t first) {
  for (std::size_t row = 0; row < outcome.results.size(); ++row) {
    const auto reason = reason_of(outcome.results[row]);
    if (!reason) continue;
    FUGO_TRY(survey_.rejects.add({segment_.lines[first + row], *reason, {}}));
    ++survey_.rejected_by_agency[0];
  }
  for (const auto& pair : outcome.agencies)
    FUGO_TRY(answers_.add_agency(pair.agency, pair.before, pair.after));
  for (const auto& pair : outcome.records) FUGO_TRY(answers_.add_record(pair.before, pair.after));
  return {};
}

Status ChangeJob::find_rejects(const FoundReject& found) {
  FUGO_ASSIGN(auto foresight, engine::ChangeForesight::create(
                                  site_, block_rows(), std::max<std::uint64_t>(job_.rows, 1)));
  for (std::uint64_t row = 0; row < job_.rows; row += segment_.rows) {
    FUGO_TRY(going_());
    tell("reading", row, job_.rows);
    FUGO_TRY(request_->read(survey_, rules_, row, block_rows(), segment_));
    FUGO_ASSIGN(
        const auto results,
        foresight.look({segment_.resident_codes(), segment_.new_resident_codes()}, job_.join));
    for (std::size_t i = 0; i < results.size(); ++i)
      if (const auto reason = reason_of(results[i]))
        FUGO_TRY(found({segment_.lines[i], *reason, {}}));
  }
  return {};
}

std::vector<Need> ChangeJob::needs() const {
  auto all = Job::needs();
  if (survey_.head.join)
    all.push_back({"join", options_.approve_join,
                   "the first line says join=yes: two people may become one, for good",
                   "if that is meant, run it with --approve-join"});
  return all;
}

}  // namespace fugo::daemon
