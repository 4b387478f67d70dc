// Jobs: one request file of any kind from its first look to its published answers, exactly once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "daemon/exchange/rules.h"
#include "daemon/request_quota.h"
#include "engine/site.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// JobOptions is what the caller of a job decides; from the settings unless noted.
struct JobOptions {
  std::filesystem::path request;            // argument
  std::filesystem::path output_directory;   // argument; answers appear in output_directory/<id>/
  std::filesystem::path records_directory;  // aliases of record symbols: <id>.csv; made if absent
  keystore::Actor actor;                    // for the journal

  // Approvals that come with the call: the arguments of a command.
  bool accept_rejects = false;                // although rejects pass the limit
  bool approve_join = false;                  // although two people become one
  std::optional<std::uint64_t> confirm_rows;  // rows to be deleted; must be the file's number

  // hold: a request that lacks an approval becomes a job in state held (JobReport::held) instead
  // of an error. Approved is what JobRow::approved_by says.
  bool hold = false;
  // own_request: the request file is destroyed once the job is committed and answered.
  bool own_request = false;

  bool check_digits = true;
  std::uint32_t segment_rows = 1'000'000;
  std::uint64_t reject_limit_rows = 100;  // held when more than this many rows are rejected
  unsigned reject_limit_percent = 10;     // and more than this part of the rows
  std::vector<std::string> delete_reasons = {"clerical_error"};
  RequestQuota quota;

  std::optional<keystore::JobKind> only_kind;  // another kind is refused
  ExchangeRules exchange;                      // for requests that are encrypted
  std::string expected_id;                     // a request of another id is refused; empty: any

  // Called now and then, by one thread at a time: what is being done ("reading", "issuing",
  // "changing", "deleting", "answering"), rows done and rows in all.
  std::function<void(const char* stage, std::uint64_t done, std::uint64_t total)> progress;
  // Called from the thread that runs the job when a segment was committed: how long it took, from
  // its rows in memory on. A deletion is one segment, from its answers being safe on.
  std::function<void(double seconds)> segment_committed;
  // Asked between steps and several times a second, from any thread of the job, one at a time. Its
  // first error ends the run and is what the run returns; what was committed stays, and a later
  // run goes on. It also says that the ledger stays open: merges are not waited for at the end.
  std::function<Status()> keep_going;
};

// JobReport is what came of it: the figures of summary.json.
struct JobReport {
  std::string id;
  keystore::JobKind kind = keystore::JobKind::kIssue;
  std::uint64_t rows = 0;
  std::uint64_t count_new = 0, count_existing = 0, people_new = 0;  // of an issue
  std::uint64_t count_changed = 0, count_joined = 0;                // of a change
  std::uint64_t count_deleted = 0;                                  // of a delete
  std::uint64_t count_superseded = 0;  // of a merger, beside new, existing
  std::uint64_t count_rejected = 0;
  std::map<std::string, std::uint64_t> rejects;                      // by reason
  std::vector<std::pair<std::uint64_t, std::string>> first_rejects;  // of a check: line, reason
  std::uint64_t agencies = 0;                                        // answer files
  std::filesystem::path answers;  // empty for a check, or when nothing was answered
  std::filesystem::path records;  // of a change or delete: the aliases' file
  keystore::Generation symbol_version = 1;
  bool repeated = false;    // this id had been answered before; nothing was applied
  bool held = false;        // waits for an approval (of a check: would need one); nothing applied
  std::string hold_reason;  // "rejects", "join", "delete", or several separated by commas
  bool resumed = false;     // an earlier run of it had stopped
  bool unfinished = false;  // of a check: it was started and has not ended
  std::string other_open;   // of a check: the request that has to be ended first, if there is one
  double seconds = 0;
  std::string sender;  // who signed the request, if it was encrypted
};

// JobStop tells apart the ends of a run that somebody ordered.
enum class JobStop : std::uint8_t {
  kNone = 0,
  kFrozen = 1,     // fugo freeze issue
  kPaused = 2,     // fugo jobs pause
  kCancelled = 3,  // fugo jobs cancel: the job's state is kCancelled now
};
// stop_of is the order behind an error of run_job; kNone when it is another error.
[[nodiscard]] JobStop stop_of(const Error& error);

// run_job processes a request file of any kind, by its first line. The site is open with
// Access::kWrite and the issuing token. Errors: kRefused (nothing applied, or the id was used with
// other content, or another job is unfinished, or an approval is missing; for a JobStop what was
// committed stays), kHsm and kIo (what was committed stays; running it again goes on), kDamaged,
// and whatever keep_going returns. A request that is refused leaves no job: its id can be used
// by the corrected file.
[[nodiscard]] Result<JobReport> run_job(engine::Site& site, const JobOptions& options);

// check_job tells what run_job would find wrong, and applies nothing. It is journaled and metered,
// since what it tells is whether codes are known; kAppend is enough.
[[nodiscard]] Result<JobReport> check_job(engine::Site& site, const JobOptions& options);

// finish_job brings a job in state answering or answered to its end without reading the request:
// answers are published, options.request (which may be empty) is destroyed if it is there and the
// job's own: a file with other content is left. kRefused when the job is in another state.
[[nodiscard]] Result<JobReport> finish_job(engine::Site& site, const JobOptions& options,
                                           const std::string& id);

// job_kind_name is the word of the first line: "issue", "change", "delete"; of a merger "merge".
[[nodiscard]] const char* job_kind_name(keystore::JobKind kind);

}  // namespace fugo::daemon
