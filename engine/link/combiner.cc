#include "engine/link/combiner.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "base/no_throw.h"
#include "base/quiet_signals.h"

namespace fugo::engine {
namespace {

using Clock = std::chrono::steady_clock;

// A futex, because a condition variable wakes its waiters one after another through one mutex.
// futex_wait returns when the word is no longer 0: false when the deadline came first. It sleeps at
// once: staying awake by sched_yield was six times slower beside other work, which takes the time
// slice that is offered.
bool futex_wait(std::atomic<std::uint32_t>& word, Clock::time_point deadline) {
  while (word.load(std::memory_order_acquire) == 0) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
    ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, nullptr, 0);
  }
  return true;
}

// futex_set wakes all at once: where those who were woken woke the next, callers came back one by
// one and batches stayed small.
void futex_set(std::atomic<std::uint32_t>& word) {
  word.store(1, std::memory_order_release);
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

Combiner::Combiner(Work work, unsigned slots, std::size_t most, std::chrono::milliseconds patience)
    : work_(std::move(work)), slots_(slots), most_(most), patience_(patience) {
  try {
    const QuietSignals quiet;
    for (unsigned i = 0; i < slots_; ++i) threads_.emplace_back([this] { run_batches(); });
  } catch (...) {
    stop();
    throw;
  }
}

Combiner::~Combiner() { stop(); }

void Combiner::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  handed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Combiner::run(std::span<LinkAsk> asks, Patience& patience) {
  calls_.fetch_add(1, std::memory_order_relaxed);
  std::shared_ptr<Batch> batch;
  std::size_t member = 0;
  {
    const std::lock_guard lock(mutex_);
    if (running_ < slots_) {
      ++running_;
    } else {
      if (waiting_.empty() || waiting_.back()->asks + asks.size() > most_)
        waiting_.push_back(std::make_shared<Batch>());
      batch = waiting_.back();
      member = batch->members.size();
      batch->members.push_back(asks);
      batch->asks += asks.size();
    }
  }
  if (batch) return wait(batch, member, patience);
  runs_.fetch_add(1, std::memory_order_relaxed);
  struct Slot {
    Combiner& of;
    ~Slot() { of.free_slot(); }
  };
  const Slot slot{*this};
  work_(asks, patience);
}

void Combiner::free_slot() {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    ++handed_over_;
  }
  handed_.notify_one();
}

void Combiner::run_batches() {
  std::unique_lock lock(mutex_);
  for (;;) {
    handed_.wait(lock, [this] { return stopping_ || handed_over_ > 0; });
    if (handed_over_ == 0) return;
    --handed_over_;
    while (!waiting_.empty()) {
      const auto batch = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      lock.unlock();
      run_batch(*batch);
      lock.lock();
    }
    --running_;
  }
}

void Combiner::run_batch(Batch& batch) {
  runs_.fetch_add(1, std::memory_order_relaxed);
  const Status done = no_throw([&]() -> Status {
    answer_members(batch);
    return {};
  });
  if (!done) {
    const std::lock_guard lock(batch.mutex);
    for (const auto& member : batch.members) give_up(member);
  }
  futex_set(batch.done);
}

void Combiner::answer_members(Batch& batch) {
  WipedAsks memory(batch.asks);
  std::vector<std::size_t> counts;
  auto asks = memory.span();
  {
    const std::lock_guard lock(batch.mutex);
    auto to = asks.begin();
    for (const auto& member : batch.members) {
      to = std::copy(member.begin(), member.end(), to);
      counts.push_back(member.size());
    }
    asks = {asks.begin(), to};
  }
  Patience patience(patience_);
  work_(asks, patience);
  const std::lock_guard lock(batch.mutex);
  std::size_t first = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto answered = asks.subspan(first, counts[i]);
    if (!batch.members[i].empty())
      std::copy(answered.begin(), answered.end(), batch.members[i].begin());
    first += counts[i];
  }
}

void Combiner::wait(const std::shared_ptr<Batch>& batch, std::size_t member, Patience& patience) {
  if (patience.wait([&](auto left) { return futex_wait(batch->done, Clock::now() + left); }))
    return;
  // Both: the batch may still gather, and it may be run.
  const std::scoped_lock lock(mutex_, batch->mutex);
  if (batch->done.load(std::memory_order_acquire) != 0) return;
  give_up(batch->members[member]);
  batch->members[member] = {};
}

}  // namespace fugo::engine
