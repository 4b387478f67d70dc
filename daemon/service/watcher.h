// The kernel tells when a file arrives in the inbox, or a command has news.
#pragma once

#include "base/file.h"
#include "base/result.h"
#include "daemon/config.h"

namespace fugo::daemon {

// Watcher watches inbox/ for files that got their final name or were closed after writing, and
// work/ for the commands' wake file. When a folder itself is moved or removed, its watch is lost;
// rewatch() begins anew.
class Watcher {
 public:
  [[nodiscard]] static Result<Watcher> open(const DaemonSection& daemon);

  [[nodiscard]] int fd() const { return fd_.get(); }  // readable: drain
  // drain reads what has happened: true when there is something to look at. Overflow counts as
  // that, since a look reads the whole inbox.
  [[nodiscard]] bool drain();
  // lost tells that a watched folder went away.
  [[nodiscard]] bool lost() const { return lost_; }

 private:
  UniqueFd fd_;
  int inbox_ = -1, work_ = -1;  // watch descriptors
  bool lost_ = false;
};

}  // namespace fugo::daemon
