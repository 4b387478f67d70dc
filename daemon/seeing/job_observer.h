// JobObserver: what a job tells about its work while it works, for metrics.
#pragma once

#include <cstdint>

#include "keystore/types.h"

namespace fugo::daemon {

// SegmentFigures is one committed segment.
struct SegmentFigures {
  std::uint64_t rows = 0;
  double seconds = 0;  // from its rows in memory to its commit
};

// JobObserver is called from the thread that runs the job; no call waits or throws.
class JobObserver {
 public:
  virtual ~JobObserver() = default;
  virtual void segment_committed(keystore::JobKind kind, const SegmentFigures& figures) = 0;
};

}  // namespace fugo::daemon
