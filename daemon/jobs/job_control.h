// What is done to a job's row besides its work: orders from outside, and its last steps.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "daemon/files/answer_folder.h"
#include "daemon/jobs/job.h"

namespace fugo::daemon {

// look_at_orders is an error with a JobStop when issuing is frozen (but for a job that a
// regeneration waits for), or the job (if it has a number) was paused or cancelled. The job's
// control fields are brought up to date.
[[nodiscard]] Status look_at_orders(engine::Site& site, keystore::JobRow& job);

// commit_job puts the job's row, with the control fields as the ledger has them, and what `fill`
// adds into one transaction.
[[nodiscard]] Status commit_job(engine::Site& site, keystore::JobRow& job,
                                const std::function<Status(keystore::Update&)>& fill = {});

// refuse_answers_there is kRefused when something is where the answers are to appear.
[[nodiscard]] Status refuse_answers_there(const AnswersPlace& place);

// has_records tells whether jobs of a kind tell the site of record symbols.
[[nodiscard]] bool has_records(keystore::JobKind kind);

// how_to_go_on says how a job that was started comes to its end: "run that request again".
[[nodiscard]] std::string how_to_go_on(const keystore::JobRow& job);

// one_spelling is one spelling for a directory that is there.
[[nodiscard]] std::filesystem::path one_spelling(const std::filesystem::path& directory);

// move_answers lets a job answer elsewhere, which it can while nothing is answered; the next commit
// stores it.
void move_answers(keystore::JobRow& job, const std::filesystem::path& directory);

// settle_other_job is for whoever wants to start a job: kRefused at `where` when another one is
// open. One that is to be cancelled is given up now.
[[nodiscard]] Status settle_other_job(engine::Site& site, const JobOptions& options,
                                      const keystore::LedgerState& state, const std::string& where);

// cancel_job gives a job up: state kCancelled, journaled. What it had written of answers that
// nobody saw is removed. A change that has committed segments is answered as far as it went, from
// the ledger alone, since agencies would not know their people any more. `options` tells where
// records go.
[[nodiscard]] Status cancel_job(engine::Site& site, const JobOptions& options,
                                keystore::JobRow& job, const keystore::Actor& actor);

// publish_cancelled publishes the answers of such a change where a crash came between.
[[nodiscard]] Status publish_cancelled(const JobOptions& options, const keystore::JobRow& job);

// end_job brings a job from state answering or answered to done: answers are published, merges
// awaited unless there is a keep_going, and the request is destroyed if it is the job's own.
[[nodiscard]] Status end_job(engine::Site& site, const JobOptions& options, keystore::JobRow& job);

// fill_report puts what a job's row knows into a report. The row has the same counters for every
// kind: of a change people_new is rows changed and count_existing rows joined; of a delete
// count_existing is rows deleted; of a merger count_existing is rows of superseded people.
void fill_report(const keystore::JobRow& job, JobReport& report);

// answers_place is where a job's answers and record symbols go.
[[nodiscard]] AnswersPlace answers_place(const JobOptions& options, const keystore::JobRow& job);

// destroy_request unlinks a request file durably; one that is gone, or an empty path, is success.
[[nodiscard]] Status destroy_request(const std::filesystem::path& request);

// pin_registry notes the registry as the job sees it; registry_of gives it back.
void pin_registry(const engine::Site& site, const keystore::LedgerState& state,
                  keystore::JobRow& job);
[[nodiscard]] std::vector<keystore::Agency> registry_of(const engine::Site& site,
                                                        const keystore::JobRow& job);

}  // namespace fugo::daemon
