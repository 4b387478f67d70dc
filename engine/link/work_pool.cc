#include "engine/link/work_pool.h"

#include <algorithm>
#include <new>

namespace fugo::engine {

Result<WorkPool::Lease> WorkPool::take(const Patience& patience) {
  if (!wait_for_turn(patience.left()))
    return fail(ErrorCode::kIo, "other calls are still being answered");
  Lease lease(*this);
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      lease.work_ = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!lease.work_) {
    FUGO_ASSIGN(lease.work_, LinkWork::create(capacity_));
  }
  return lease;
}

bool WorkPool::wait_for_turn(Patience::Duration patience) {
  std::unique_lock lock(mutex_);
  const std::uint64_t ticket = next_ticket_++;
  waiting_.push_back(ticket);
  const auto my_turn = [&] { return waiting_.front() == ticket && lent_ < most_; };
  bool moves = true;
  while (!my_turn() && moves) {
    const std::uint64_t seen = returns_;
    moves = changed_.wait_for(lock, patience, [&] { return my_turn() || returns_ != seen; });
  }
  const bool mine = my_turn();
  if (mine) ++lent_;
  waiting_.erase(std::find(waiting_.begin(), waiting_.end(), ticket));
  changed_.notify_all();  // somebody else is the first now
  return mine;
}

void WorkPool::give_back(std::unique_ptr<LinkWork> work) {
  {
    const std::lock_guard lock(mutex_);
    try {
      if (work) idle_.push_back(std::move(work));
    } catch (const std::bad_alloc&) {  // then it is not kept
    }
    --lent_;
    ++returns_;
  }
  changed_.notify_all();
}

}  // namespace fugo::engine
