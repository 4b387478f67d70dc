// State of a process that a forked child must not share with its parent.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace fugo {

// per_process gives the one T of this process, made when it is first asked for and never destroyed,
// so that objects may outlive statics. A forked child gets one of its own: what the parent's names
// (open environments, initialised modules, a mutex that another thread held) is not the child's.
template <typename T>
[[nodiscard]] T& per_process() {
  struct Owned {
    pid_t owner = ::getpid();
    T value;
  };
  static std::atomic<Owned*> current{nullptr};
  Owned* seen = current.load();
  if (seen != nullptr && seen->owner == ::getpid()) return seen->value;
  auto* made = new Owned;
  if (current.compare_exchange_strong(seen, made)) return made->value;
  delete made;  // another thread was first
  return seen->value;
}

}  // namespace fugo
