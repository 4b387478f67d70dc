// Splitting a range over threads.
#pragma once

#include <cstddef>
#include <functional>

#include "base/result.h"

namespace fugo {

// RangeTask handles the items [first, last) as worker `worker`.
using RangeTask = std::function<Status(std::size_t first, std::size_t last, std::size_t worker)>;

// hardware_threads is the number of cores this process may use, at least 1.
[[nodiscard]] std::size_t hardware_threads();

// parallel_ranges splits [0, count) into pieces of at most `grain` items and hands them, in
// order, to `threads` workers, the calling thread among them. It returns when all are done; the
// first error stops the handing out of pieces and is returned; what the task throws is one, by
// no_throw(). Workers whose thread cannot be made are left out. The task must be thread-safe.
[[nodiscard]] Status parallel_ranges(std::size_t count, std::size_t grain, std::size_t threads,
                                     const RangeTask& task);

}  // namespace fugo
