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

Status check_files(const VerifyInput& input, Findings& findings, Meter& meter) {
  const auto& files = input.snapshot.files();
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
  const std::uint64_t people = total_entries(input.snapshot.files(), FileKind::kPerson, generation);
  const std::uint64_t bytes = total_bytes(input.snapshot.files());
  FUGO_TRY(parallel_ranges(
      people, std::max<std::size_t>(1, input.people_at_once), input.threads,
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        RangeTotals part;
        FUGO_TRY(findings.take(check_range(input, tables, generation, static_cast<PersonId>(first),
                                           static_cast<PersonId>(last), findings, part)));
        const std::lock_guard lock(mutex);
        totals.add(part);
        if (generation == input.generation) meter.add(bytes * (last - first) / people);
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

}  // namespace

Result<std::vector<Error>> verify_content(const VerifyInput& input,
                                          const VerifyProgress& progress) {
  const auto& files = input.snapshot.files();
  Findings findings(input.max_findings);
  Meter meter(progress, 2 * total_bytes(files));
  FUGO_ASSIGN(const auto tables, VerifyTables::create(input));
  FUGO_TRY(check_files(input, findings, meter));

  std::set<Generation> generations{input.generation};
  for (const FileRow& row : files)
    if (row.kind != FileKind::kIssued) generations.insert(row.generation);
  for (const Generation generation : generations) {
    FUGO_ASSIGN(const auto totals, check_people(input, tables, generation, findings, meter));
    compare_count(total_entries(files, FileKind::kIndex, generation), totals.indexed,
                  "index entries of version " + std::to_string(generation), findings);
    if (generation != input.generation) continue;
    compare_count(total_entries(files, FileKind::kPerson, generation), input.state.next_person,
                  "people", findings);
    compare_count(totals.deleted, input.state.deleted_people, "deleted people", findings);
    compare_count(total_entries(files, FileKind::kIssued, 0), input.state.issuances, "issuances",
                  findings);
    compare_count(totals.issuances, input.state.issuances, "issuances of known agencies and people",
                  findings);
    compare_sums(input.state, totals, findings);
  }
  meter.finish();
  return findings.list();
}

}  // namespace fugo::keystore
