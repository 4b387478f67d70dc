#include "daemon/service/folders.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>

#include "daemon/files/head.h"
#include "daemon/files/request.h"
#include "daemon/files/row.h"
#include "daemon/roles.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = ".lock";

bool is_regular(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

// A rename within the daemon's folders that replaces nothing; false when there is something to be
// replaced, or nothing to be renamed.
Result<bool> move_file(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST || errno == ENOENT) return false;
    return fail_errno("cannot rename to " + to.string(), from.string(), errno);
  }
  FUGO_TRY(sync_directory(to.parent_path()));
  FUGO_TRY(sync_directory(from.parent_path()));
  return true;
}

Status remove_held_folder(const DaemonSection& daemon, const fs::path& folder) {
  if (folder.parent_path() != daemon.held) return {};
  if (::rmdir(folder.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
    return fail_errno("cannot remove the folder", folder.string(), errno);
  return sync_directory(daemon.held);
}

}  // namespace

Status make_folders(const DaemonSection& daemon) {
  struct stat first {};
  for (const auto& path :
       {daemon.inbox, daemon.work, daemon.held, daemon.outbox, daemon.refused, daemon.records}) {
    FUGO_TRY(make_directory(path));
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
    if (path == daemon.inbox) first = info;
    if (info.st_dev != first.st_dev)
      return fail(ErrorCode::kUsage, "is on another file system than " + daemon.inbox.string(),
                  path.string(), "put all folders of [daemon] on one file system");
  }
  return {};
}

Result<UniqueFd> lock_folders(const DaemonSection& daemon) {
  const fs::path path = daemon.work / kLockFile;
  FUGO_ASSIGN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("cannot lock", path.string(), errno);
    std::array<char, 16> holder{};
    const ssize_t length = ::pread(fd.get(), holder.data(), holder.size() - 1, 0);
    return fail(ErrorCode::kRefused,
                "another fugod works on these folders (process " +
                    std::string(holder.data(), length > 0 ? static_cast<std::size_t>(length) : 0) +
                    ")",
                daemon.work.string(), "one daemon is enough; stop that one first");
  }
  if (::ftruncate(fd.get(), 0) != 0) return fail_errno("cannot write", path.string(), errno);
  FUGO_TRY(write_all(fd.get(), as_bytes(std::to_string(::getpid())), path));
  return fd;
}

void wake_daemon(const DaemonSection& daemon) {
  const UniqueFd fd(
      ::open((daemon.work / kWakeFile).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Closing a file that was open for writing is the event.
}

Result<bool> take_file(const DaemonSection& daemon, const std::string& name) {
  const fs::path taken = daemon.work / name;
  FUGO_ASSIGN(const bool moved, move_file(daemon.inbox / name, taken));
  if (!moved || is_regular(taken)) return moved;
  // It was exchanged for something else since it was looked at.
  FUGO_TRY(move_file(taken, daemon.inbox / name).map([](bool) {}));
  return false;
}

std::optional<std::string> account_of_held(const DaemonSection& daemon, const std::string& id) {
  std::error_code none;
  const fs::directory_iterator files(daemon.held / id, none);
  return files == fs::directory_iterator() ? std::nullopt : account_of_file(files->path());
}

Status hold_file(const DaemonSection& daemon, const fs::path& file, const std::string& id) {
  const fs::path folder = daemon.held / id;
  FUGO_TRY(make_directory(folder));
  if (holds_file(daemon, id)) return destroy_file(daemon, file);
  return move_file(file, folder / file.filename()).map([](bool) {});
}

Status release_file(const DaemonSection& daemon, const fs::path& file) {
  FUGO_ASSIGN(const bool moved, move_file(file, daemon.work / file.filename()));
  if (!moved)
    return fail(ErrorCode::kIo, "cannot be moved to " + daemon.work.string(), file.string(),
                "is there a file of its name already?");
  return remove_held_folder(daemon, file.parent_path());
}

Status destroy_file(const DaemonSection& daemon, const fs::path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT)
    return fail_errno("cannot destroy the request", file.string(), errno);
  if (auto synced = sync_directory(file.parent_path()); !synced && synced.error().native != ENOENT)
    return synced;
  return remove_held_folder(daemon, file.parent_path());
}

bool holds_file(const DaemonSection& daemon, const std::string& id) {
  std::error_code none;
  return fs::directory_iterator(daemon.held / id, none) != fs::directory_iterator();
}

// In the order in which files go from folder to folder, so that none is missed on its way.
bool has_request(const DaemonSection& daemon, const std::string& id) {
  const auto has = [&](const fs::path& folder) {
    std::error_code error;
    for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
         at.increment(error)) {
      if (at->path().filename().native().front() == '.' || !is_regular(at->path())) continue;
      if (is_encrypted_file(at->path())) {
        if (named_id(at->path()) == id) return true;
        continue;
      }
      const auto request = Request::open(at->path());
      if (request && (*request)->head().id == id) return true;
    }
    return false;
  };
  return has(daemon.inbox) || holds_file(daemon, id) || has(daemon.work);
}

std::string safe_name(const std::string& name) {
  std::string safe = hide_resident_codes(name.substr(0, kMaxIdLength));
  for (std::size_t i = 0; i < safe.size(); ++i)
    if (!is_request_id(safe.substr(i, 1)) && (safe[i] != '.' || i == 0)) safe[i] = '_';
  return safe.empty() ? "_" : safe;
}

}  // namespace fugo::daemon
