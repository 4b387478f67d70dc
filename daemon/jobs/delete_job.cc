#include "daemon/jobs/delete_job.h"

#include <algorithm>
#include <chrono>

#include "base/secret.h"
#include "base/text.h"
#include "engine/issue/code_look.h"

namespace fugo::daemon {

using engine::EraseResult;

namespace {

// CodeAt is a resident code and the row that has it.
struct CodeAt {
  std::uint64_t code = 0;
  std::uint32_t row = 0;
  friend auto operator<=>(const CodeAt&, const CodeAt&) = default;
};

// repeated marks the rows that have the code of an earlier one.
Result<std::vector<bool>> repeated(std::span<const std::uint64_t> codes) {
  std::vector<bool> marks(codes.size());
  FUGO_ASSIGN(auto sorted, SecretArray<CodeAt>::create(std::max<std::size_t>(codes.size(), 1)));
  for (std::uint32_t row = 0; row < codes.size(); ++row) sorted[row] = {codes[row], row};
  const auto all = sorted.span().first(codes.size());
  std::sort(all.begin(), all.end());
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].code == all[i - 1].code) marks[all[i].row] = true;
  return marks;
}

}  // namespace

Status DeleteJob::prepare() {
  FUGO_ASSIGN(eraser_, engine::Eraser::create(site_, std::max<std::uint64_t>(survey_.rows, 1)));
  eraser_->ask([this] { return going_(); });
  return {};
}

Result<engine::EraseOutcome> DeleteJob::find() {
  Segment segment;
  FUGO_TRY(request_->read(survey_, rules_, 0, static_cast<std::uint32_t>(job_.rows), segment));
  if (!eraser_) FUGO_TRY(prepare());
  FUGO_ASSIGN(const auto outcome, eraser_->find(segment.resident_codes()));
  job_.count_existing = 0;
  for (std::size_t row = 0; row < outcome.results.size(); ++row) {
    if (outcome.results[row] == EraseResult::kErased) {
      ++job_.count_existing;
      continue;
    }
    FUGO_TRY(survey_.rejects.add({segment.lines[row],
                                  outcome.results[row] == EraseResult::kSuperseded
                                      ? RejectReason::kSupersededResident
                                      : RejectReason::kUnknownResident,
                                  {}}));
  }
  return outcome;
}

Result<WrittenAnswers> DeleteJob::make_answers(bool) {
  tell("deleting", 0, job_.rows);
  FUGO_ASSIGN(const auto outcome, find());
  FUGO_TRY(request_->check_unchanged());
  FUGO_TRY(going_());
  PairAnswers answers(place());
  for (const auto& dead : outcome.agencies) FUGO_TRY(answers.add_agency(dead.agency, dead.symbol));
  for (const auto& record : outcome.records) FUGO_TRY(answers.add_record(record));
  return answers.write(place(), answer_head(),
                       {{"deleted", job_.count_existing}, {"rejected", survey_.rejects.size()}},
                       site_.agencies(), survey_.rejects, going_);
}

Status DeleteJob::commit_answers(const WrittenAnswers& written) {
  job_.state = keystore::JobState::kAnswering;
  job_.answers_digest = written.digest;
  job_.count_rejected = survey_.rejects.size();
  job_.rows_done = job_.rows;
  const auto started = std::chrono::steady_clock::now();
  FUGO_TRY(eraser_->commit(job_, options_.actor));
  tell_committed(started);
  return {};
}

Result<WrittenAnswers> DeleteJob::make_again() {
  return fail(ErrorCode::kRefused,
              "request " + job_.id + " was carried out on " + format_time(job_.time) +
                  ": the people of it are deleted, and its answers cannot be made again",
              answers_path(options_.output_directory, job_.id).string(),
              "its answers were in " + answers_path(job_.output_directory, job_.id).string());
}

// As the eraser decides: of two rows about one person the first counts.
Status DeleteJob::find_rejects(const FoundReject& found) {
  Segment segment;
  FUGO_TRY(request_->read(survey_, rules_, 0, static_cast<std::uint32_t>(job_.rows), segment));
  FUGO_ASSIGN(auto look, engine::CodeLook::create(site_, std::max<std::size_t>(segment.size(), 1)));
  FUGO_ASSIGN(const auto states, look.look(segment.resident_codes()));
  FUGO_ASSIGN(const auto repeats, repeated(segment.resident_codes()));
  job_.count_existing = 0;
  for (std::size_t row = 0; row < states.size(); ++row) {
    if (states[row] == engine::CodeState::kActive && !repeats[row])
      ++job_.count_existing;
    else
      FUGO_TRY(
          found({segment.lines[row],
                 states[row] == engine::CodeState::kSuperseded ? RejectReason::kSupersededResident
                                                               : RejectReason::kUnknownResident,
                 {}}));
  }
  return {};
}

Status DeleteJob::admissible() const {
  if (survey_.rows <= options_.segment_rows) return {};
  return fail(ErrorCode::kRefused,
              "a request of kind delete may have " + std::to_string(options_.segment_rows) +
                  " rows, and this one has " + std::to_string(survey_.rows),
              options_.request.string(), "send it in several files");
}

std::vector<Need> DeleteJob::needs() const {
  auto all = Job::needs();
  const std::string rows = std::to_string(survey_.rows);
  const bool given = options_.confirm_rows == survey_.rows;
  all.push_back({"delete", given,
                 options_.confirm_rows && !given
                     ? "--confirm is not the number of rows, which is " + rows
                     : "the people of " + rows + " rows would be deleted, for good",
                 "if that is meant, run it with --confirm " + rows});
  return all;
}

}  // namespace fugo::daemon
