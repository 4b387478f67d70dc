// The issue job: symbols for people at agencies.
#pragma once

#include <memory>
#include <vector>

#include "daemon/jobs/job_base.h"
#include "daemon/jobs/segment_pipeline.h"

namespace fugo::daemon {

class IssueJob final : public Job {
 public:
  using Job::Job;

 private:
  Status prepare() override;
  Result<WrittenAnswers> make_answers(bool make_missing) override;
  Status find_rejects(const FoundReject& found) override;
  Result<bool> may_find_rejects(std::uint64_t needed) override;

  // ranges lists the committed segments, then what is left of the file cut by today's setting.
  [[nodiscard]] std::vector<SegmentRange> ranges(
      const std::vector<keystore::SegmentRow>& done) const;
  // work_through makes the answers of all segments: committed ones by reading, the others by
  // issuing them.
  [[nodiscard]] Status work_through(bool make_missing);

  std::unique_ptr<engine::SegmentIssuer> issuer_;
  AnswerParts answers_;
  std::unique_ptr<SegmentPipeline> pipeline_;
};

}  // namespace fugo::daemon
