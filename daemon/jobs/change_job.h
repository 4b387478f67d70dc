// The change job: people get new resident codes, and agencies learn which symbols give way.
#pragma once

#include <memory>
#include <vector>

#include "daemon/files/pair_answers.h"
#include "daemon/jobs/job_base.h"
#include "engine/change/segment_changer.h"

namespace fugo::daemon {

class ChangeJob final : public Job {
 public:
  using Job::Job;

 private:
  Status prepare() override;
  Result<WrittenAnswers> make_answers(bool make_missing) override;
  Status find_rejects(const FoundReject& found) override;
  std::vector<Need> needs() const override;

  [[nodiscard]] std::uint32_t block_rows() const;
  // answer_committed makes the answers of committed segments again; it gives the row behind them.
  [[nodiscard]] Result<std::uint64_t> answer_committed(engine::SegmentChanger& changer);
  // change_block applies the rows of segment_, in as many segments as their codes demand.
  [[nodiscard]] Status change_block(engine::SegmentChanger& changer);
  // take notes an outcome of the accepted rows from `first` on.
  [[nodiscard]] Status take(const engine::ChangeOutcome& outcome, std::size_t first);

  std::unique_ptr<engine::SegmentChanger> changer_;
  PairAnswers answers_;
  Segment segment_;
};

}  // namespace fugo::daemon
