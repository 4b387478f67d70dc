#include "keystore/verify_content.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <set>
#include <string>

#include "base/parallel.h"
#include "keystore/bulk_files.h"
#include "keystore/verify_range.h"

namespace fugo::keystore {
namespace {

std::uint64_t total_bytes(const std::vector<FileRow>& files) {
  return std::accumulate(files.begin(), files.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const FileRow& row) { return sum + row.bytes; });
}

std::uint64_t total_entries(const std::vector<FileRow>& files, FileKind kind,
                            Generation generation) {
  std::uint64_t sum = 0;
  for (const FileRow& row : files)
    if (row.kind == kind && row.generation == generation) sum += row.entries;
  return sum;
}

// files_of are those that are read with the people of a generation: theirs, and in the generation
// that is measured also the issuances.
std::vector<FileRow> files_of(const VerifyInput& input, Generation generation) {
  std::vector<FileRow> files;
  for (const FileRow& row : input.snapshot.files())
    if (row.kind == FileKind::kIssued ? generation == input.generation
                                      : row.generation == generation)
      files.push_back(row);
  return files;
}

// Meter adds up what threads have done. Each file is read twice: alone, and as content.
class Meter {
 public:
  Meter(const VerifyProgress& progress, std::uint64_t total) : progress_(progress), total_(total) {}
  void add(std::uint64_t bytes) {
    if (!progress_) return;
    const std::lock_guard lock(mutex_);
    done_ = std::min(done_ + bytes, total_);
    if (done_ - told_ < kStep) return;
    told_ = done_;
    progress_(done_, total_);
  }
  // finish tells that all is done; shares of ranges were rounded down.
  void finish() const {
    if (progress_) progress_(total_, total_);
  }

 private:
  static constexpr std::uint64_t kStep = 1U << 20U;
  const VerifyProgress& progress_;
  const std::uint64_t total_;
  std::mutex mutex_;
  std::uint64_t done_ = 0, told_ = 0;  // guarded by mutex_
};

Status check_files(const VerifyInput& input, const std::vector<FileRow>& files, Findings& findings,
                   Meter& meter) {
  return parallel_ranges(
      files.size(), 1, input.threads,
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        for (std::size_t i = first; i < last; ++i)
          FUGO_TRY(findings.take(check_file_of(input.snapshot, files[i],
                                               [&](std::uint64_t bytes) { meter.add(bytes); })));
        return {};
      });
}

// check_people goes over all people of a generation, range by range.
Result<RangeTotals> check_people(const VerifyInput& input, const VerifyTables& tables,
                                 Generation generation, Findings& findings, Meter& meter) {
  RangeTotals totals;
  std::mutex mutex;
  const std::uint64_t people = tables.people_of(generation);
  const std::uint64_t bytes = total_bytes(files_of(input, generation));
  FUGO_TRY(parallel_ranges(
      people, std::max<std::size_t>(1, input.people_at_once), input.threads,
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        RangeTotals part;
        FUGO_TRY(findings.take(check_range(input, tables, generation, static_cast<PersonId>(first),
                                           static_cast<PersonId>(last), findings, part)));
        const std::lock_guard lock(mutex);
        totals.add(part);
        meter.add(bytes * (last - first) / people);
        return {};
      }));
  return totals;
}

void compare_sums(const LedgerState& state, const RangeTotals& totals, Findings& findings) {
  const auto compare = [&](const DigestSum& computed, const DigestSum& kept, const char* what) {
    if (computed != kept)
      findings.add(std::string("the digest of the ") + what + " is not the one that was kept",
                   "ledger state");
  };
  compare(totals.people_digest, state.people_digest, "people");
  compare(totals.issued_digest, state.issued_digest, "issuances");
  compare(totals.times_digest, state.times_digest, "issuances with their times");
}

void compare_count(std::uint64_t found, std::uint64_t expected, const std::string& what,
                   Findings& findings) {
  if (found != expected)
    findings.add(what + ": " + std::to_string(found) + ", must be " + std::to_string(expected),
                 "counts");
}

// check_generation checks people and index of one generation.
Result<RangeTotals> check_generation(const VerifyInput& input, const VerifyTables& tables,
                                     Generation generation, Findings& findings, Meter& meter) {
  FUGO_ASSIGN(auto totals, check_people(input, tables, generation, findings, meter));
  compare_count(total_entries(input.snapshot.files(), FileKind::kIndex, generation), totals.indexed,
                "index entries of version " + std::to_string(generation), findings);
  return totals;
}

// compare_people comes first: issuances to people who are missing are many findings.
void compare_people(const VerifyInput& input, const VerifyTables& tables, Findings& findings) {
  compare_count(tables.people_of(input.generation), input.state.next_person, "people", findings);
}

void compare_counts(const VerifyInput& input, const RangeTotals& totals, Findings& findings) {
  const LedgerState& state = input.state;
  compare_count(totals.deleted, state.deleted_people, "deleted people", findings);
  compare_count(total_entries(input.snapshot.files(), FileKind::kIssued, 0), state.issuances,
                "issuances", findings);
  compare_count(totals.issuances, state.issuances, "issuances of known agencies and people",
                findings);
}

void compare_starters(const VerifyInput& input, const RangeTotals& totals, Findings& findings) {
  for (const GenerationRow& row : input.generations) {
    const auto found = totals.starters.find(row.number);
    compare_count(found == totals.starters.end() ? 0 : found->second, row.starters,
                  "people who start from version " + std::to_string(row.number), findings);
  }
}

// The linkage generation that new people are written to and the digest is made of.
Generation active_generation(const VerifyInput& input) {
  for (const GenerationRow& row : input.generations)
    if (row.state == GenerationState::kActive) return row.linkage_generation;
  return input.generation;
}

}  // namespace

Result<std::vector<Error>> verify_content(const VerifyInput& given,
                                          const VerifyProgress& progress) {
  VerifyInput input = given;
  input.generation = active_generation(given);
  const auto& files = input.snapshot.files();
  Findings findings(input.max_findings);
  Meter meter(progress, 2 * total_bytes(files));
  FUGO_ASSIGN(const auto tables, VerifyTables::create(input));
  FUGO_TRY(check_files(input, files, findings, meter));
  compare_people(input, tables, findings);

  std::set<Generation> generations{input.generation};
  for (const FileRow& row : files)
    if (row.kind != FileKind::kIssued) generations.insert(row.generation);
  for (const Generation generation : generations) {
    FUGO_ASSIGN(const auto totals, check_generation(input, tables, generation, findings, meter));
    if (generation != input.generation) continue;
    compare_counts(input, totals, findings);
    compare_starters(input, totals, findings);
    compare_sums(input.state, totals, findings);
  }
  meter.finish();
  return findings.list();
}

Result<std::vector<Error>> measure_content(const VerifyInput& input, ContentSums& sums,
                                           const VerifyProgress& progress) {
  const auto files = files_of(input, input.generation);
  Findings findings(input.max_findings);
  Meter meter(progress, 2 * total_bytes(files));
  FUGO_ASSIGN(const auto tables, VerifyTables::create(input));
  FUGO_TRY(check_files(input, files, findings, meter));
  compare_people(input, tables, findings);
  FUGO_ASSIGN(const auto totals,
              check_generation(input, tables, input.generation, findings, meter));
  compare_counts(input, totals, findings);
  sums = {totals.people_digest,
          totals.issued_digest,
          totals.times_digest,
          totals.starters,
          tables.people_of(input.generation),
          totals.deleted,
          totals.issuances};
  meter.finish();
  return findings.list();
}

}  // namespace fugo::keystore
