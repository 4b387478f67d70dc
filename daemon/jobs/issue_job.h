// The issue job: one request file from its first look to its published answers, exactly once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/site.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// IssueOptions is what the caller of a job decides; from the settings unless noted.
struct IssueOptions {
  std::filesystem::path request;           // argument
  std::filesystem::path output_directory;  // argument; answers appear in output_directory/<id>/
  keystore::Actor actor;                   // for the journal
  bool accept_rejects = false;             // argument: go on although rejects pass the limit
  bool check_digits = true;
  std::uint32_t segment_rows = 1'000'000;
  std::uint64_t reject_limit_rows = 100;  // held when more than this many rows are rejected
  unsigned reject_limit_percent = 10;     // and more than this part of the rows
  // Called now and then from the calling thread: what is being done ("reading", "issuing",
  // "answering"), rows done and rows in all.
  std::function<void(const char* stage, std::uint64_t done, std::uint64_t total)> progress;
};

// IssueReport is what came of it: the figures of summary.json.
struct IssueReport {
  std::string id;
  std::uint64_t rows = 0;
  std::uint64_t count_new = 0, count_existing = 0, count_rejected = 0;
  std::uint64_t people_new = 0;
  std::map<std::string, std::uint64_t> rejects;  // by reason
  std::uint64_t agencies = 0;                    // answer files
  std::filesystem::path answers;                 // empty for a check
  keystore::Generation symbol_version = 1;
  bool repeated = false;  // this id had been answered before; nothing was applied
  bool held = false;      // of a check: more rejects than the limit
  bool resumed = false;   // an earlier run of it had stopped
  double seconds = 0;
};

// run_issue processes a request file of kind issue. The site is open with Access::kWrite and the
// issuing token. Errors: kRefused (nothing applied, or the id was used with other content, or
// another job is unfinished, or too many rejects), kHsm and kIo (what was committed stays; running
// it again goes on), kDamaged.
[[nodiscard]] Result<IssueReport> run_issue(engine::Site& site, const IssueOptions& options);

// check_issue tells what run_issue would find wrong, and applies nothing; kRead is enough.
[[nodiscard]] Result<IssueReport> check_issue(engine::Site& site, const IssueOptions& options);

}  // namespace fugo::daemon
