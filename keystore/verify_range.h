// The part of verify_content that looks at a range of people; see verify_content.h.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "keystore/verify_content.h"

namespace fugo::keystore {

// Findings collects what was found, up to a limit. Thread-safe.
class Findings {
 public:
  explicit Findings(std::size_t limit) : limit_(limit) {}
  void add(std::string what, std::string where);
  // take makes a kDamaged status a finding; other errors are given back.
  [[nodiscard]] Status take(Status status);
  [[nodiscard]] std::vector<Error> list() const;

 private:
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::vector<Error> list_;  // guarded by mutex_
};

// VerifyTables is what every range needs of agencies, segments and generations. Constant after
// create().
struct VerifyTables {
  static constexpr std::uint32_t kUnknown = 0xFFFFFFFF;

  [[nodiscard]] static Result<VerifyTables> create(const VerifyInput& input);

  std::vector<std::uint32_t> time_of_segment;  // position in times, or kUnknown
  std::vector<std::int64_t> times;             // distinct
  std::vector<Block> agency_masks;             // beside the agencies
  std::vector<bool> linkage_generations;       // by number: whether it has symbols of its own
  std::map<Generation, PersonId> people;       // records of each generation's files

  // people_of is where the records of a generation end.
  [[nodiscard]] PersonId people_of(Generation generation) const {
    const auto found = people.find(generation);
    return found == people.end() ? 0 : found->second;
  }
};

// RangeTotals is what ranges add up to.
struct RangeTotals {
  std::uint64_t indexed = 0;  // people that have their index entry
  std::uint64_t deleted = 0;  // tombstones
  std::uint64_t issuances = 0;
  DigestSum people_digest, issued_digest, times_digest;
  std::map<Generation, std::uint64_t> starters;

  void add(const RangeTotals& other);
};

// check_range checks people [first, last) of a generation; of input.generation also their
// issuances. The range that ends with the last person takes also issuances of ids beyond.
[[nodiscard]] Status check_range(const VerifyInput& input, const VerifyTables& tables,
                                 Generation generation, PersonId first, PersonId last,
                                 Findings& findings, RangeTotals& totals);

}  // namespace fugo::keystore
