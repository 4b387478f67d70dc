// The delete job: people leave the ledger, physically, and agencies learn which symbols died.
#pragma once

#include <memory>
#include <vector>

#include "daemon/files/pair_answers.h"
#include "daemon/jobs/job_base.h"
#include "engine/change/eraser.h"

namespace fugo::daemon {

// DeleteJob is one commit: its answers can never be made again, so they are written and synced
// before it.
class DeleteJob final : public Job {
 public:
  using Job::Job;

 private:
  Status prepare() override;
  Result<WrittenAnswers> make_answers(bool make_missing) override;
  Status commit_answers(const WrittenAnswers& written) override;
  Result<WrittenAnswers> make_again() override;
  Status find_rejects(const FoundReject& found) override;
  Status admissible() const override;
  std::vector<Need> needs() const override;

  // find reads all rows, asks the eraser, and notes the ledger's rejects.
  [[nodiscard]] Result<engine::EraseOutcome> find();

  std::unique_ptr<engine::Eraser> eraser_;
};

}  // namespace fugo::daemon
