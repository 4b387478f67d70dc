#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/no_throw.h"
#include "base/quiet_signals.h"

namespace fugo {

std::size_t hardware_threads() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max<std::size_t>(1, static_cast<std::size_t>(CPU_COUNT(&set)));
}

Status parallel_ranges(std::size_t count, std::size_t grain, std::size_t threads,
                       const RangeTask& task) {
  if (count == 0) return {};
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t pieces = (count + grain - 1) / grain;
  threads = std::clamp<std::size_t>(threads, 1, pieces);

  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first_error;
  const auto work = [&](std::size_t worker) {
    for (;;) {
      const std::size_t piece = next.fetch_add(1);
      if (piece >= pieces) return;
      const std::size_t first = piece * grain;
      const std::size_t last = std::min(count, first + grain);
      if (auto done = no_throw([&] { return task(first, last, worker); }); !done) {
        next.store(pieces);
        const std::lock_guard lock(mutex);
        if (!first_error) first_error = std::move(done).error();
        return;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    // Without a thread that cannot be made, those that there are do its share.
    (void)no_throw([&]() -> Status {
      const QuietSignals quiet;
      others.reserve(threads - 1);
      for (std::size_t worker = 1; worker < threads; ++worker) others.emplace_back(work, worker);
      return {};
    });
    work(0);
  }
  if (first_error) return tl::unexpected<Error>(std::move(*first_error));
  return {};
}

}  // namespace fugo
