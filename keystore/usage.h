// What a ledger takes, and how long its commits took: for metrics.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "keystore/types.h"

namespace fugo::keystore {

// kCommitBounds are the upper bounds, in milliseconds, of the buckets of commits; one bucket more
// holds what took longer.
inline constexpr std::array<std::uint32_t, 10> kCommitBounds = {1,  2,   5,   10,    25,
                                                                50, 100, 500, 2'500, 10'000};

// CommitTimes counts LMDB's durable commits by duration. Thread-safe.
class CommitTimes {
 public:
  struct View {
    std::array<std::uint64_t, kCommitBounds.size() + 1> buckets{};
    std::uint64_t nanoseconds = 0;  // of all of them
  };
  void add(std::chrono::nanoseconds duration);
  [[nodiscard]] View view() const;

 private:
  std::array<std::atomic<std::uint64_t>, kCommitBounds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> nanoseconds_{0};
};

// BulkUsage is all manifest files of one kind.
struct BulkUsage {
  FileKind kind = FileKind::kPerson;
  std::uint64_t files = 0;  // of index and issued files: runs
  std::uint64_t bytes = 0, entries = 0;
};

struct LedgerUsage {
  std::uint64_t page_bytes = 0;
  std::uint64_t pages = 0;       // that data.mdb has
  std::uint64_t free_pages = 0;  // of them, to be used again
  std::uint64_t map_bytes = 0;   // how large data.mdb can become
  std::uint64_t readers = 0;     // slots of LMDB's table of readers that are taken
  std::array<BulkUsage, 3> bulk;
  CommitTimes::View commits;  // of this process since it opened the ledger
};

}  // namespace fugo::keystore
