// Issue request files for demo, tests and benchmarks: made-up residents at realistic agencies.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/permutation.h"
#include "bench/registry.h"

namespace fugo::bench {

// Residents are numbered; a number always stands for the same made-up person, as long as the seed
// and the registry are the same. Immutable.
class Residents {
 public:
  // kUsage when the registry has no municipality.
  [[nodiscard]] static Result<Residents> create(std::vector<RegisteredAgency> agencies,
                                                std::uint64_t seed);

  // code is the resident code, check digit included, of a resident numbered below 10^10.
  [[nodiscard]] std::uint64_t code(std::uint64_t resident) const;

  // agency is the position of the agency that makes a resident's request `ordinal`: 0 is the home
  // municipality (large ones have more residents), 1 its prefecture, further ones are national
  // bodies and other municipalities. No agency comes twice for one resident.
  [[nodiscard]] std::size_t agency(std::uint64_t resident, unsigned ordinal) const;

  [[nodiscard]] const std::vector<RegisteredAgency>& agencies() const { return agencies_; }

 private:
  Residents(std::vector<RegisteredAgency> agencies, std::uint64_t seed);
  [[nodiscard]] std::size_t home(std::uint64_t resident) const;

  std::vector<RegisteredAgency> agencies_;
  std::uint64_t seed_;
  Permutation codes_;
  std::vector<std::size_t> homes_;          // by slot of a fine-grained table of shares
  std::vector<std::size_t> prefecture_of_;  // by agency: its prefecture's position, or itself
  std::vector<std::size_t> others_;         // agencies for requests after the second
};

// RequestOptions says what one file holds.
struct RequestOptions {
  std::string id = {};
  std::string environment = {};  // left out of the file when empty
  std::uint64_t residents = 0;   // new residents, numbered from `first`
  std::uint64_t first = 0;
  unsigned requests_per_resident = 1;
  std::uint64_t known_requests = 0;   // requests for residents of [0, known), each at most once,
  std::uint64_t known = 0;            // spread evenly among the others
  unsigned known_ordinal = 1;         // which of a known resident's requests that is
  bool shuffled_numbers = false;      // processing numbers in random order, not ascending
  std::uint64_t bad_rows_each = 0;    // rows of each reason in bad_row_reasons()
  std::string suspended_agency = {};  // for bad rows; none of that reason when empty
};

// bad_row_reasons lists the reasons that bad rows are made for, as the contract names them.
// suspended_agency is the last.
[[nodiscard]] const std::vector<std::string>& bad_row_reasons();

// write_request writes the file (not synced: it can be made again) and returns its number of rows.
// kUsage for options that do not fit together, kIo from the file system.
[[nodiscard]] Result<std::uint64_t> write_request(const Residents& residents,
                                                  const RequestOptions& options,
                                                  const std::filesystem::path& path);

}  // namespace fugo::bench
