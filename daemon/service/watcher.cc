#include "daemon/service/watcher.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "daemon/service/folders.h"

namespace fugo::daemon {

Result<Watcher> Watcher::open(const DaemonSection& daemon) {
  Watcher watcher;
  watcher.fd_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watcher.fd_) return fail_errno("cannot watch folders", "inotify_init1", errno);
  constexpr std::uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
  watcher.inbox_ = ::inotify_add_watch(watcher.fd_.get(), daemon.inbox.c_str(),
                                       IN_MOVED_TO | IN_CLOSE_WRITE | kGone);
  if (watcher.inbox_ < 0) return fail_errno("cannot watch", daemon.inbox.string(), errno);
  // Nothing but the wake file is ever closed after writing in work/.
  watcher.work_ =
      ::inotify_add_watch(watcher.fd_.get(), daemon.work.c_str(), IN_CLOSE_WRITE | kGone);
  if (watcher.work_ < 0) return fail_errno("cannot watch", daemon.work.string(), errno);
  return watcher;
}

bool Watcher::drain() {
  bool news = false;
  alignas(inotify_event) std::array<char, 16 * 1024> buffer{};
  for (;;) {
    const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return news;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string_view name(
          event.len > 0 ? buffer.data() + at + static_cast<ssize_t>(sizeof event) : "");
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) lost_ = true;
      const bool hidden = !name.empty() && name.front() == '.';
      if (event.wd == work_ ? name == kWakeFile : !hidden) news = true;
    }
  }
}

}  // namespace fugo::daemon
