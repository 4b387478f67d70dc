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
  Result<WrittenAnswers> make_answers(bool make_missing) override;
  Status find_rejects() override;
  nlohmann::json counts() const override;
  void fill(JobReport& report) const override;

  // ranges cuts the file into segments of equal size.
  [[nodiscard]] std::vector<SegmentRange> ranges() const;
  // work_through makes the answers of all segments: committed ones by reading, the others by
  // issuing them.
  [[nodiscard]] Status work_through(bool make_missing);
  [[nodiscard]] Result<std::unique_ptr<engine::SegmentIssuer>> make_issuer() const;

  AnswerParts answers_;
};

}  // namespace fugo::daemon
