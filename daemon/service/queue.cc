#include "daemon/service/queue.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "base/secret.h"
#include "daemon/exchange/message.h"
#include "daemon/files/head.h"
#include "daemon/seeing/log.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using keystore::JobKind;

constexpr std::size_t kHeadBytes = 4096;  // a longer first line is none

// being_written tells whether somebody has the file open for writing. A lease is given to nobody
// then; where it cannot be asked for (a file of somebody else) the name's word is taken.
bool being_written(int fd) {
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN;
}

// start_of reads the beginning of a file into `bytes`, which are wiped afterwards: rows come along
// with the first line.
std::string_view start_of(int fd, SecretBytes<kHeadBytes>& bytes) {
  const ssize_t got = ::pread(fd, bytes.data(), kHeadBytes, 0);
  return as_text(bytes.bytes().first(got <= 0 ? 0 : static_cast<std::size_t>(got)));
}

std::optional<RequestHead> head_of(std::string_view text, const fs::path& path) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  text = text.substr(0, end);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  auto head = parse_head(text, path);
  if (!head) return std::nullopt;
  return std::move(*head);
}

bool may_change(const QueuedFile& file) {
  return file.kind == JobKind::kChange || (file.encrypted && !file.kind);
}

// Of two files with one name (one held, one new) the one that came first goes first.
bool before(const QueuedFile& a, const QueuedFile& b) {
  if (a.name != b.name) return a.name < b.name;
  return static_cast<int>(a.place) > static_cast<int>(b.place);
}

}  // namespace

std::optional<std::size_t> next_file(const std::vector<QueuedFile>& files) {
  const QueuedFile* first_change = nullptr;
  for (const QueuedFile& file : files)
    if (may_change(file) && (first_change == nullptr || before(file, *first_change)))
      first_change = &file;
  std::optional<std::size_t> next;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const QueuedFile& file = files[i];
    if (!file.ready) continue;
    const bool follows = file.kind == JobKind::kIssue || may_change(file);
    if (follows && first_change != nullptr && before(*first_change, file)) continue;
    if (!next || before(file, files[*next])) next = i;
  }
  return next;
}

void Peeker::warn_once(const fs::path& path, const char* what) {
  if (!warned_.insert(path.string()).second) return;
  log_warning("an entry of the inbox is no request file and is left where it is",
              {field::file(path), field::why(what)});
}

bool Peeker::is_seen(const fs::path& path, const struct stat& info) const {
  const auto at = seen_.find(path.string());
  if (at == seen_.end()) return false;
  const Seen& seen = at->second;
  return seen.inode == info.st_ino && seen.device == info.st_dev && seen.size == info.st_size &&
         seen.seconds == info.st_mtim.tv_sec && seen.nanoseconds == info.st_mtim.tv_nsec;
}

// Opens a file that was not seen before, and remembers it; false when it is not to be taken now.
bool Peeker::open_and_see(Place place, const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno != ENOENT) warn_once(path, errno == ELOOP ? "a link" : "it cannot be read");
    return false;
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    warn_once(path, S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
    return false;
  }
  if (place == Place::kInbox && being_written(fd.get())) return false;
  Seen seen{info.st_dev, info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, {},
            {},          false};
  SecretBytes<kHeadBytes> bytes;
  const std::string_view start = start_of(fd.get(), bytes);
  if (looks_encrypted(as_bytes(start))) {
    seen.encrypted = true;
    seen.id = named_id(path);
  } else if (const auto head = head_of(start, path)) {
    seen.kind = head->kind;
    seen.id = head->id;
  }
  seen_[path.string()] = std::move(seen);
  return true;
}

std::optional<QueuedFile> Peeker::peek(Place place, const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  if (!is_seen(path, info) && !open_and_see(place, path)) return std::nullopt;
  const Seen& seen = seen_[path.string()];
  QueuedFile file;
  file.place = place;
  file.name = path.filename().string();
  file.path = path;
  file.modified = seen.seconds;
  file.kind = seen.kind;
  file.id = seen.id;
  file.encrypted = seen.encrypted;
  return file;
}

Result<std::vector<QueuedFile>> Peeker::list(Place place, const fs::path& folder) {
  std::vector<QueuedFile> files;
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    const auto& path = at->path();
    if (path.filename().native().front() == '.') continue;
    if (auto file = peek(place, path)) files.push_back(std::move(*file));
  }
  if (error) return fail_errno("cannot list the folder", folder.string(), error.value());
  return files;
}

Result<std::vector<QueuedFile>> Peeker::inbox(const fs::path& folder) {
  FUGO_ASSIGN(auto files, list(Place::kInbox, folder));
  // What is not there any more is forgotten, so that the memory does not grow for ever.
  const std::string prefix = (folder / "").string();
  std::set<std::string> there;
  for (const QueuedFile& file : files) there.insert(file.path.string());
  std::erase_if(seen_, [&](const auto& entry) {
    return entry.first.rfind(prefix, 0) == 0 && !there.contains(entry.first);
  });
  std::erase_if(warned_, [](const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) != 0;
  });
  return files;
}

Result<std::vector<QueuedFile>> Peeker::work(const fs::path& folder) {
  return list(Place::kWork, folder);
}

Result<std::vector<QueuedFile>> Peeker::held(const fs::path& folder) {
  std::vector<QueuedFile> files;
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    std::error_code ignored;
    if (!fs::is_directory(at->path(), ignored)) continue;
    FUGO_ASSIGN(auto inside, list(Place::kHeld, at->path()));
    for (QueuedFile& file : inside) {
      // The folder is the job's name, whatever the file says by now.
      file.id = at->path().filename().string();
      files.push_back(std::move(file));
    }
  }
  if (error) return fail_errno("cannot list the folder", folder.string(), error.value());
  return files;
}

}  // namespace fugo::daemon
