// The request files that lie in the daemon's folders, and which of them is next.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/service/placement.h"
#include "keystore/types.h"

namespace fugo::daemon {

// QueuedFile is one request file, as far as its first line tells.
struct QueuedFile {
  Place place = Place::kInbox;
  std::string name;  // that it had in the inbox
  std::filesystem::path path;
  std::optional<keystore::JobKind> kind;  // nothing: the first line is wrong
  std::string id;                         // empty: the first line is wrong
  bool encrypted =
      false;  // then the id is the name's, and the kind is not known before it is opened
  std::int64_t modified = 0;
  bool ready = true;  // false: waits for somebody (held, paused)
};

// next_file chooses what is run next, by name over all kinds: nothing overtakes a change file that
// waits, for whatever reason, but delete files and files before it. A file whose kind is not known
// because it is encrypted counts as such a file. Nothing when none may run.
[[nodiscard]] std::optional<std::size_t> next_file(const std::vector<QueuedFile>& files);

// Peeker looks at files without taking them, and remembers what it saw. One thread.
class Peeker {
 public:
  // inbox lists regular files with a name that does not begin with a dot. Others (folders, links,
  // pipes, files that cannot be read) are left where they are, with one warning each; a file that
  // somebody has open for writing is left out until it is closed.
  [[nodiscard]] Result<std::vector<QueuedFile>> inbox(const std::filesystem::path& folder);
  // work and held list what the daemon put there itself; held has a folder for each id.
  [[nodiscard]] Result<std::vector<QueuedFile>> work(const std::filesystem::path& folder);
  [[nodiscard]] Result<std::vector<QueuedFile>> held(const std::filesystem::path& folder);

 private:
  struct Seen {
    std::uint64_t device = 0, inode = 0;
    std::int64_t seconds = 0, nanoseconds = 0, size = 0;
    std::optional<keystore::JobKind> kind;
    std::string id;
    bool encrypted = false;
  };
  [[nodiscard]] bool is_seen(const std::filesystem::path& path, const struct stat& info) const;
  [[nodiscard]] bool open_and_see(Place place, const std::filesystem::path& path);
  [[nodiscard]] std::optional<QueuedFile> peek(Place place, const std::filesystem::path& path);
  [[nodiscard]] Result<std::vector<QueuedFile>> list(Place place,
                                                     const std::filesystem::path& folder);
  void warn_once(const std::filesystem::path& path, const char* what);

  std::map<std::string, Seen> seen_;  // by path
  std::set<std::string> warned_;
};

}  // namespace fugo::daemon
