// What jobs of all kinds have in common. The steps are told in docs/exactly-once.md.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/files/answers.h"
#include "daemon/files/keep_going.h"
#include "daemon/files/request.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/jobs/job.h"
#include "daemon/jobs/request_key.h"

namespace fugo::daemon {

// Need is something that somebody has to approve before a request is applied.
struct Need {
  const char* reason = "";  // word of JobRow::hold_reason
  bool given = false;       // by the options
  std::string what, hint;   // of the refusal
};

// Job is one run over one request file. A kind derives from it and does its own work.
class Job {
 public:
  Job(engine::Site& site, const JobOptions& options, std::unique_ptr<Request> request)
      : site_(site), options_(options), going_(options.keep_going), request_(std::move(request)) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] Result<JobReport> run();
  [[nodiscard]] Result<JobReport> check();

 protected:
  // prepare allocates what the work needs, so that what cannot be had refuses a request before
  // anything of it is committed.
  [[nodiscard]] virtual Status prepare() = 0;
  // make_answers writes the temporary folder, synced: answers of committed work by reading, and,
  // with `make_missing`, of the rest by doing it. survey_.rejects has the ledger's rejects then.
  [[nodiscard]] virtual Result<WrittenAnswers> make_answers(bool make_missing) = 0;
  // commit_answers commits state answering with the digest of the answers.
  [[nodiscard]] virtual Status commit_answers(const WrittenAnswers& written);
  // make_again makes the answers of a job that is done once more; kRefused when that cannot be.
  [[nodiscard]] virtual Result<WrittenAnswers> make_again() { return make_answers(false); }
  // find_rejects finds what the ledger would reject, before anything is applied.
  using FoundReject = std::function<Status(const Reject&)>;
  [[nodiscard]] virtual Status find_rejects(const FoundReject& found) = 0;
  // may_find_rejects is false when it is certain that find_rejects would find fewer than `needed`;
  // for kinds that know a cheaper way to tell.
  [[nodiscard]] virtual Result<bool> may_find_rejects(std::uint64_t /*needed*/) { return true; }
  // needs lists what must be approved; this one: too many rejects.
  [[nodiscard]] virtual std::vector<Need> needs() const;
  // admissible refuses a file as a whole for what the kind cannot do.
  [[nodiscard]] virtual Status admissible() const { return {}; }

  void tell(const char* stage, std::uint64_t done, std::uint64_t total) const {
    if (options_.progress) options_.progress(stage, done, total);
  }
  // tell_committed says that a segment was committed, which began at `started`.
  void tell_committed(std::chrono::steady_clock::time_point started) const {
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
    if (options_.segment_committed) options_.segment_committed(taken.count());
  }
  // before_commit looks at what the commands ordered: freeze, pause, cancel, or the caller's stop.
  [[nodiscard]] Status before_commit();
  // commit puts the job's row and what `fill` adds into one transaction.
  [[nodiscard]] Status commit(const std::function<Status(keystore::Update&)>& fill = {});
  // committed lists the committed segments of this job, by first row.
  [[nodiscard]] Result<std::vector<keystore::SegmentRow>> committed() const;
  [[nodiscard]] AnswerHead answer_head() const;
  [[nodiscard]] std::vector<keystore::StatRow> rejected_stats() const;
  [[nodiscard]] AnswersPlace place() const;

  engine::Site& site_;
  const JobOptions& options_;
  const KeepGoing going_;
  std::unique_ptr<Request> request_;
  AgencyTable agencies_;
  RowRules rules_;
  Survey survey_;
  keystore::JobRow job_;

 private:
  [[nodiscard]] Status look(const std::filesystem::path& temporary_directory);
  [[nodiscard]] Status refuse_ended() const;
  [[nodiscard]] Status show_rejects();
  [[nodiscard]] Status begin_check();
  [[nodiscard]] Status end_check();
  // describe puts what the file says of itself into the job's row.
  void describe();
  [[nodiscard]] std::uint64_t rejects_foreseen() const { return rejects_of_file_ + of_ledger_; }
  [[nodiscard]] std::uint64_t rejects_to_be_held() const;
  [[nodiscard]] bool too_many_rejects() const;
  [[nodiscard]] Status foresee();
  [[nodiscard]] Result<bool> approved();
  [[nodiscard]] Status hold(const std::string& reasons);
  [[nodiscard]] Status note_look(const std::string& reasons);
  [[nodiscard]] Status choose_request_key();
  [[nodiscard]] Status choose_quota();
  [[nodiscard]] Status take_quota(keystore::LedgerState& state) const;
  [[nodiscard]] Status start();
  [[nodiscard]] Status take_up();
  void pin(const keystore::LedgerState& state);
  // name_sender adds who signed the request to an entry of the journal.
  void name_sender(nlohmann::json& details) const;
  // name_dropper adds the owner of a file that the daemon took.
  [[nodiscard]] Status name_dropper(nlohmann::json& details) const;
  [[nodiscard]] Status refuse_retired() const;
  [[nodiscard]] Result<JobReport> repeat();
  [[nodiscard]] Result<JobReport> report();

  std::optional<keystore::JobRow> known_;  // this id's job, if it came before
  RowAllowance allowed_;
  bool checking_ = false;              // nothing is applied
  bool looked_ = false;                // codes were put to the HSM before anything was committed
  SecretBytes<32> request_key_;        // of request_hmac
  std::uint64_t rejects_of_file_ = 0;  // without those that the ledger finds
  std::uint64_t of_ledger_ = 0;        // those, if they were looked for before the work
  RejectCounts foreseen_{};            // the same by reason
  JobReport report_;
  BlockMeter meter_{site_.token()};
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

// make_job opens a request and gives the job of its kind.
[[nodiscard]] Result<std::unique_ptr<Job>> make_job(engine::Site& site, const JobOptions& options);

}  // namespace fugo::daemon
