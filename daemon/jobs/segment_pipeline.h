// SegmentPipeline: the segments of a job, one after another, with reading and answering beside.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <future>
#include <vector>

#include "base/result.h"
#include "daemon/files/answers.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/request.h"
#include "engine/issue/segment_issuer.h"

namespace fugo::daemon {

// SegmentRange is a piece of the request file.
struct SegmentRange {
  std::uint64_t first_row = 0;
  std::uint32_t rows = 0;
};

// SegmentPipeline reads the next segment and sorts the answers of the last one while the caller
// works on the present one. Three segments are in memory at most.
class SegmentPipeline {
 public:
  // Everything named must outlive the pipeline.
  SegmentPipeline(Request& request, Survey& survey, const RowRules& rules, AnswerParts& answers,
                  const keystore::Generation& version, const KeepGoing& going)
      : request_(request),
        survey_(survey),
        rules_(rules),
        answers_(answers),
        version_(version),
        going_(going) {}
  ~SegmentPipeline();
  SegmentPipeline(const SegmentPipeline&) = delete;
  SegmentPipeline& operator=(const SegmentPipeline&) = delete;

  // allocate gets the memory of as many segments as will be there at once, of at most `most_rows`
  // rows each; kRefused when so much cannot be locked. run() gets what was not got before.
  [[nodiscard]] Status allocate(std::size_t ranges, std::size_t most_rows);

  // Work makes the outcome of range `number` from its accepted rows.
  using Work = std::function<Result<engine::IssueOutcome>(std::size_t number,
                                                          const engine::IssueRows& rows)>;

  // run works through the ranges in order, and returns when the answers of all are in `answers`
  // and rows that the ledger rejected are in the survey's rejects. The first error ends it.
  [[nodiscard]] Status run(const std::vector<SegmentRange>& ranges, const Work& work);

 private:
  [[nodiscard]] Status step(const std::vector<SegmentRange>& ranges, std::size_t number,
                            const Work& work);
  void read_ahead(const std::vector<SegmentRange>& ranges, std::size_t number);
  [[nodiscard]] Status keep(const Segment& segment, const engine::IssueOutcome& outcome);

  Request& request_;
  Survey& survey_;
  const RowRules& rules_;
  AnswerParts& answers_;
  const keystore::Generation& version_;
  const KeepGoing& going_;  // asked before each segment

  std::array<Segment, 3> segments_;  // by number modulo 3
  std::future<Status> reading_;      // the next segment
  std::future<Status> answering_;    // the answers of the last segment
  SecretArray<Block> symbols_;       // of the segment that is being answered
  std::vector<RowResult> results_;   // beside symbols_
};

}  // namespace fugo::daemon
