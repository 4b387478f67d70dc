#include "engine/link/combiner.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

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

void give_up(std::span<LinkAsk> asks) {
  for (LinkAsk& ask : asks) {
    ask.status = LinkStatus::kUnavailable;
    ask.id = keystore::kNoPerson;
    ask.linked = {};
    ask.record = {};
  }
}

}  // namespace

Combiner::Combiner(Work work, unsigned slots, std::size_t most, std::chrono::milliseconds patience)
    : work_(std::move(work)), slots_(slots), most_(most), patience_(patience) {
  for (unsigned i = 0; i < slots_; ++i) threads_.emplace_back([this] { run_batches(); });
}

Combiner::~Combiner() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  handed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Combiner::run(std::span<LinkAsk> asks) {
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
  if (batch) return wait(batch, member);
  runs_.fetch_add(1, std::memory_order_relaxed);
  work_(asks);
  free_slot();
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
  std::vector<LinkAsk> asks;
  std::unique_lock lock(mutex_);
  for (;;) {
    handed_.wait(lock, [this] { return stopping_ || handed_over_ > 0; });
    if (handed_over_ == 0) return;
    --handed_over_;
    while (!waiting_.empty()) {
      const auto batch = std::move(waiting_.front());
      waiting_.erase(waiting_.begin());
      lock.unlock();
      run_batch(*batch, asks);
      lock.lock();
    }
    --running_;
  }
}

void Combiner::run_batch(Batch& batch, std::vector<LinkAsk>& asks) {
  runs_.fetch_add(1, std::memory_order_relaxed);
  asks.clear();
  std::vector<std::ptrdiff_t> counts;
  {
    const std::lock_guard lock(batch.mutex);
    for (const auto& member : batch.members) {
      asks.insert(asks.end(), member.begin(), member.end());
      counts.push_back(static_cast<std::ptrdiff_t>(member.size()));
    }
  }
  work_(asks);
  {
    const std::lock_guard lock(batch.mutex);
    auto from = asks.begin();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (!batch.members[i].empty()) std::copy(from, from + counts[i], batch.members[i].begin());
      from += counts[i];
    }
  }
  futex_set(batch.done);
}

void Combiner::wait(const std::shared_ptr<Batch>& batch, std::size_t member) {
  if (futex_wait(batch->done, Clock::now() + patience_)) return;
  // Both: the batch may still gather, and it may be run.
  const std::scoped_lock lock(mutex_, batch->mutex);
  if (batch->done.load(std::memory_order_acquire) != 0) return;
  give_up(batch->members[member]);
  batch->members[member] = {};
}

}  // namespace fugo::engine
