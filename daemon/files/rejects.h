// Rejected rows: why, where, and the list of them in bounded memory.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "daemon/files/sorted_runs.h"

namespace fugo::daemon {

// RejectReason is why a row was not applied. The numbers are permanent: never change or reuse one.
enum class RejectReason : std::uint8_t {
  kMalformedRow = 1,
  kBadProcessingNumber = 2,
  kBadResidentCode = 3,
  kBadCheckDigit = 4,
  kUnknownAgency = 5,
  kSuspendedAgency = 6,
  kDuplicateProcessingNumber = 7,
  kSupersededResident = 8,
  kUnknownResident = 9,
  kResidentExists = 10,
  kBadReason = 11,
  kQuotaExceeded = 12,
};
inline constexpr std::size_t kRejectReasons = 13;  // indices of a table by reason; 0 is unused

// reject_reason_name is the contract's name: "malformed_row".
[[nodiscard]] std::string_view reject_reason_name(RejectReason reason);

// RejectCounts counts rejected rows by the number of their reason.
using RejectCounts = std::array<std::uint64_t, kRejectReasons>;

inline constexpr std::size_t kMaxProcessingNumberLength = 32;

// Reject is one rejected row. `processing_number` is empty where it must not be shown.
struct Reject {
  std::uint64_t line = 0;  // of the request file, from 1
  RejectReason reason = RejectReason::kMalformedRow;
  std::string_view processing_number;
};

// RejectList collects rejects in any order of lines and gives them back by line. What does not fit
// into its memory goes to an unlinked temporary file. Movable; belongs to one thread at a time.
class RejectList {
 public:
  // create keeps up to `memory_in_bytes` in memory; the rest goes to a file in `directory`.
  [[nodiscard]] static Result<RejectList> create(const std::filesystem::path& directory,
                                                 std::size_t memory_in_bytes = 8U << 20U);

  // add takes a reject; the processing number must have at most 32 characters, and is copied.
  [[nodiscard]] Status add(const Reject& reject);

  // for_each visits all rejects in ascending order of lines. Can be called again, also after more
  // were added.
  [[nodiscard]] Status for_each(const std::function<Status(const Reject&)>& visit);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const RejectCounts& counts() const { return counts_; }

 private:
  struct Entry {
    std::uint64_t line = 0;
    std::array<char, kMaxProcessingNumberLength> number{};
    std::uint8_t length = 0;
    RejectReason reason = RejectReason::kMalformedRow;
    friend bool operator<(const Entry& a, const Entry& b) { return a.line < b.line; }
  };
  SortedRuns<Entry> entries_;
  std::uint64_t size_ = 0;
  RejectCounts counts_{};
};

}  // namespace fugo::daemon
