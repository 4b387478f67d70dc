#include "daemon/jobs/segment_pipeline.h"

#include <algorithm>
#include <utility>

namespace fugo::daemon {
namespace {

constexpr RowResult answer_of(engine::RowResult result) {
  switch (result) {
    case engine::RowResult::kNew:
      return RowResult::kNew;
    case engine::RowResult::kExisting:
      return RowResult::kExisting;
    case engine::RowResult::kSuperseded:
      break;
  }
  return RowResult::kLeftOut;
}

Status wait_for(std::future<Status>& task) { return task.valid() ? task.get() : Status{}; }

}  // namespace

SegmentPipeline::~SegmentPipeline() {
  if (reading_.valid()) reading_.wait();
  if (answering_.valid()) answering_.wait();
}

Status SegmentPipeline::allocate(std::size_t ranges, std::size_t most_rows) {
  for (std::size_t i = 0; i < std::min(ranges, segments_.size()); ++i) {
    FUGO_ASSIGN(segments_[i].codes, SecretArray<std::uint64_t>::create(most_rows));
  }
  FUGO_ASSIGN(symbols_, SecretArray<Block>::create(most_rows));
  return {};
}

Status SegmentPipeline::run(const std::vector<SegmentRange>& ranges, const Work& work) {
  if (ranges.empty()) return {};
  read_ahead(ranges, 0);
  for (std::size_t number = 0; number < ranges.size(); ++number)
    FUGO_TRY(step(ranges, number, work));
  return wait_for(answering_);
}

Status SegmentPipeline::step(const std::vector<SegmentRange>& ranges, std::size_t number,
                             const Work& work) {
  FUGO_TRY(wait_for(reading_));
  FUGO_TRY(going_());
  if (number + 1 < ranges.size()) read_ahead(ranges, number + 1);
  const Segment& segment = segments_[number % 3];
  FUGO_ASSIGN(const engine::IssueOutcome outcome,
              work(number, {segment.resident_codes(), segment.agencies}));
  FUGO_TRY(wait_for(answering_));
  FUGO_TRY(keep(segment, outcome));
  // The version is the job's, which the next segment writes to meanwhile.
  answering_ = std::async(std::launch::async, [this, &segment, version = version_]() -> Status {
    return answers_.add(segment.agencies, segment.processing_numbers,
                        symbols_.span().first(segment.size()), results_, version);
  });
  return {};
}

void SegmentPipeline::read_ahead(const std::vector<SegmentRange>& ranges, std::size_t number) {
  reading_ = std::async(std::launch::async, [this, range = ranges[number], number]() -> Status {
    return request_.read(survey_, rules_, range.first_row, range.rows, segments_[number % 3]);
  });
}

// Copies an outcome, whose memory the next segment will use, and notes the ledger's rejects.
Status SegmentPipeline::keep(const Segment& segment, const engine::IssueOutcome& outcome) {
  if (symbols_.size() < outcome.symbols.size()) {
    FUGO_ASSIGN(symbols_, SecretArray<Block>::create(outcome.symbols.size()));
  }
  std::copy(outcome.symbols.begin(), outcome.symbols.end(), symbols_.data());
  results_.resize(outcome.results.size());
  std::transform(outcome.results.begin(), outcome.results.end(), results_.begin(), answer_of);
  for (std::size_t item = 0; item < results_.size(); ++item) {
    if (results_[item] != RowResult::kLeftOut) continue;
    FUGO_TRY(survey_.rejects.add({segment.lines[item], RejectReason::kSupersededResident,
                                  segment.processing_numbers[item]}));
    ++survey_.rejected_by_agency[segment.agencies[item]];
  }
  return {};
}

}  // namespace fugo::daemon
