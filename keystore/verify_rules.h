// The rules that rows of different tables keep among each other. Private to verify_tables.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "keystore/rows.h"
#include "keystore/tables.h"

namespace fugo::keystore {

// place is how findings name a table.
[[nodiscard]] inline std::string place(Table table) {
  return std::string("ledger, table ") + table_name(table);
}

// TableFindings collects what is wrong.
class TableFindings {
 public:
  void add(Error error) { errors_.push_back(std::move(error)); }
  void add(std::string what, std::string where) {
    errors_.push_back({ErrorCode::kDamaged, std::move(what), std::move(where), {}, 0});
  }
  [[nodiscard]] std::vector<Error> take() && { return std::move(errors_); }

 private:
  std::vector<Error> errors_;
};

// AllRows is everything that one read transaction sees, secrets left out.
struct AllRows {
  std::vector<FileRow> files;
  std::vector<Agency> agencies;
  std::vector<KeyRow> keys;
  std::vector<GenerationRow> generations;
  std::vector<JobRow> jobs;
  std::map<std::vector<std::uint8_t>, JobNumber> job_ids;  // by the key as stored
  std::vector<SegmentRow> segments;
  std::vector<JournalEntry> journal;
  std::vector<PersonPatch> patches;
  std::vector<StatDay> days;
  std::vector<RunRow> runs;
  std::vector<RunAgencyRow> run_agencies;
  std::array<std::uint64_t, kTableCount> counts{};
  DigestSum digest;
};

void check_journal(const AllRows& rows, const LedgerState& state, TableFindings& findings);
void check_registries(const AllRows& rows, const LedgerState& state, TableFindings& findings);
[[nodiscard]] Status check_jobs(const AllRows& rows, const LedgerState& state, const Sealer& sealer,
                                TableFindings& findings);
void check_segments(const AllRows& rows, const LedgerState& state, TableFindings& findings);
void check_manifest(const AllRows& rows, const LedgerState& state, TableFindings& findings);
void check_runs(const AllRows& rows, const LedgerState& state, TableFindings& findings);
void check_patches(const AllRows& rows, const LedgerState& state, TableFindings& findings);
void check_statistics(const AllRows& rows, const LedgerState& state, TableFindings& findings);

}  // namespace fugo::keystore
