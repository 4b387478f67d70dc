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
// futex_wait returns when the word is no longer 0: false when the deadline came first.
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
  if (batch) return member == 0 ? lead(batch) : follow(batch, member);
  runs_.fetch_add(1, std::memory_order_relaxed);
  work_(asks);
  free_slot();
}

// The slot goes to the batch that has waited longest, which is closed by that.
void Combiner::free_slot() {
  std::shared_ptr<Batch> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --running_;
      return;
    }
    next = std::move(waiting_.front());
    waiting_.erase(waiting_.begin());
  }
  futex_set(next->go);
}

void Combiner::lead(const std::shared_ptr<Batch>& batch) {
  if (!futex_wait(batch->go, Clock::now() + patience_)) {
    const std::lock_guard lock(mutex_);
    const auto place = std::find(waiting_.begin(), waiting_.end(), batch);
    if (place != waiting_.end()) {  // no slot became free: nobody of the batch is served
      waiting_.erase(place);
      for (const auto& member : batch->members) give_up(member);
      futex_set(batch->done);
      return;
    }
  }
  run_batch(*batch);
  free_slot();
}

void Combiner::run_batch(Batch& batch) {
  runs_.fetch_add(1, std::memory_order_relaxed);
  std::vector<LinkAsk> asks;
  std::vector<std::ptrdiff_t> counts;
  {
    const std::lock_guard lock(batch.mutex);
    asks.reserve(batch.asks);
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

void Combiner::follow(const std::shared_ptr<Batch>& batch, std::size_t member) {
  if (futex_wait(batch->done, Clock::now() + 2 * patience_)) return;
  const std::lock_guard lock(batch->mutex);
  if (batch->done.load(std::memory_order_acquire) != 0) return;
  give_up(batch->members[member]);
  batch->members[member] = {};
}

}  // namespace fugo::engine
