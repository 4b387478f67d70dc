// Combiner: calls of few items from many threads, put together.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/link/link_ask.h"
#include "engine/link/patience.h"

namespace fugo::engine {

// Combiner runs asks through `work`. A caller who comes while a slot is free goes at once, alone,
// on its own thread; those who come while all slots are taken gather into one batch, which a
// thread of the Combiner runs for all as soon as a slot is free, and then the next batch. So a
// single caller waits for nobody, and the more callers there are, the larger the batches.
// Thread-safe; nobody may be within run() when it is destroyed.
class Combiner {
 public:
  // What work throws is the end of the asks that it was for, and comes out of run() where a caller
  // went alone.
  using Work = std::function<void(std::span<LinkAsk>, Patience&)>;

  // At most `slots` runs at once; a batch closes at `most` asks, and its run has `patience`.
  Combiner(Work work, unsigned slots, std::size_t most, std::chrono::milliseconds patience);
  ~Combiner();
  Combiner(const Combiner&) = delete;
  Combiner& operator=(const Combiner&) = delete;

  // run answers asks, at most `most`. Who has waited for as long as its patience lasted gives up:
  // its asks are kUnavailable then, and the batch's result for them is dropped.
  void run(std::span<LinkAsk> asks, Patience& patience);

  [[nodiscard]] std::uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t runs() const { return runs_.load(std::memory_order_relaxed); }

 private:
  // Batch is what gathers until it is taken out of waiting_.
  struct Batch {
    std::atomic<std::uint32_t> done{0};       // its callers' futex
    std::mutex mutex;                         // guards the rest, once the batch is taken
    std::vector<std::span<LinkAsk>> members;  // empty: gave up
    std::size_t asks = 0;
  };

  void wait(const std::shared_ptr<Batch>& batch, std::size_t member, Patience& patience);
  void run_batch(Batch& batch);
  void answer_members(Batch& batch);
  void free_slot();
  void run_batches();  // of one thread
  void stop();

  const Work work_;
  const unsigned slots_;
  const std::size_t most_;
  const std::chrono::milliseconds patience_;

  std::mutex mutex_;
  std::condition_variable handed_;
  // Guarded by mutex_.
  unsigned running_ = 0;      // slots that are taken, those handed over among them
  unsigned handed_over_ = 0;  // slots that a thread of ours is to take over
  bool stopping_ = false;
  std::vector<std::shared_ptr<Batch>> waiting_;  // in order; the last still gathers

  std::atomic<std::uint64_t> calls_{0}, runs_{0};
  std::vector<std::thread> threads_;  // one a slot
};

}  // namespace fugo::engine
