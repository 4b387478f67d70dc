// Combiner: calls of few items from many threads, put together.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/link/link_ask.h"

namespace fugo::engine {

// Combiner runs asks through `work`. A caller who comes while a slot is free goes at once, alone;
// those who come while all slots are taken gather into one batch, which one of them runs for all
// as soon as a slot is free. So a single caller waits for nobody, and the more callers there are,
// the larger the batches. Thread-safe.
class Combiner {
 public:
  using Work = std::function<void(std::span<LinkAsk>)>;

  // At most `slots` runs at once; a batch closes at `most` asks. Who has waited for `patience`
  // gives up: its asks are kUnavailable then, and the run's result for them is dropped.
  Combiner(Work work, unsigned slots, std::size_t most, std::chrono::milliseconds patience)
      : work_(std::move(work)), slots_(slots), most_(most), patience_(patience) {}

  // run answers asks, at most `most`.
  void run(std::span<LinkAsk> asks);

  [[nodiscard]] std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t runs() const { return runs_.load(std::memory_order_relaxed); }

 private:
  // Batch is what gathers. Its first caller leads: it waits for a slot, the others for the end.
  struct Batch {
    std::atomic<std::uint32_t> go{0};         // the leader's futex
    std::atomic<std::uint32_t> done{0};       // the others'
    std::mutex mutex;                         // guards the members below once the batch is closed
    std::vector<std::span<LinkAsk>> members;  // empty: gave up
    std::size_t asks = 0;
  };

  void lead(const std::shared_ptr<Batch>& batch);
  void follow(const std::shared_ptr<Batch>& batch, std::size_t member);
  void run_batch(Batch& batch);
  void free_slot();

  const Work work_;
  const unsigned slots_;
  const std::size_t most_;
  const std::chrono::milliseconds patience_;

  std::mutex mutex_;
  unsigned running_ = 0;                         // guarded by mutex_
  std::vector<std::shared_ptr<Batch>> waiting_;  // in order; the last still gathers
  std::atomic<std::uint64_t> calls_{0}, runs_{0};
};

}  // namespace fugo::engine
