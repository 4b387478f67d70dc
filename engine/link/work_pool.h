// WorkPool: who may work on a large call, and with which memory.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/link/link_work.h"
#include "engine/link/patience.h"

namespace fugo::engine {

// WorkPool lends LinkWorks of one capacity, at most `most` at a time: further callers wait in the
// order in which they came. Thread-safe.
class WorkPool {
 public:
  WorkPool(std::size_t capacity, std::size_t most) : capacity_(capacity), most_(most) {}

  // Lease is a LinkWork that goes back when its holder is through with it.
  class Lease {
   public:
    explicit Lease(WorkPool& pool) : pool_(&pool) {}
    ~Lease() {
      if (pool_ != nullptr) pool_->give_back(std::move(work_));
    }
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), work_(std::move(other.work_)) {}
    Lease& operator=(Lease&&) = delete;
    LinkWork* operator->() const { return work_.get(); }

   private:
    friend class WorkPool;
    WorkPool* pool_;
    std::unique_ptr<LinkWork> work_;
  };

  // take gives up, which is kIo, when not one LinkWork came back for as long as the patience lasts.
  // As long as they do, the wait is for a turn that comes, and takes nothing of the patience.
  [[nodiscard]] Result<Lease> take(const Patience& patience);
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  // wait_for_turn: false when it gave up; else one more is lent.
  [[nodiscard]] bool wait_for_turn(Patience::Duration patience);
  void give_back(std::unique_ptr<LinkWork> work);

  const std::size_t capacity_, most_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::unique_ptr<LinkWork>> idle_;
  std::deque<std::uint64_t> waiting_;  // tickets of those who wait, in order
  std::uint64_t next_ticket_ = 0;
  std::uint64_t returns_ = 0;
  std::size_t lent_ = 0;
};

}  // namespace fugo::engine
