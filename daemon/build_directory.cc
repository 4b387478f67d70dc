#include "daemon/build_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fugo::daemon {
namespace {

Result<std::filesystem::path> normal_path(const std::filesystem::path& given) {
  std::error_code error;
  auto path = std::filesystem::absolute(given, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "dir/"
  if (error || given.empty() || !path.has_filename())
    return fail(ErrorCode::kUsage, "is not the name of a directory", given.string());
  const auto parent = std::filesystem::canonical(path.parent_path(), error);
  if (error)
    return fail(ErrorCode::kRefused, "the directory above it is not there",
                path.parent_path().string(), "make it first");
  return parent / path.filename();
}

Status refuse_in_use(const std::filesystem::path& target) {
  std::error_code error;
  if (!std::filesystem::exists(std::filesystem::symlink_status(target, error))) return {};
  if (std::filesystem::is_directory(std::filesystem::symlink_status(target, error)) &&
      std::filesystem::is_empty(target, error) && !error)
    return {};
  return fail(ErrorCode::kRefused, "exists already and is not an empty directory", target.string(),
              "choose another directory; nothing there was changed");
}

// check_own: what others own or may write, they can fill while it is built.
Status check_own(int directory, const std::filesystem::path& path) {
  constexpr mode_t kOthersWrite = S_IWGRP | S_IWOTH;
  struct stat info {};
  if (::fstat(directory, &info) != 0) return fail_errno("cannot look at", path.string(), errno);
  if (info.st_uid == ::geteuid() && (info.st_mode & kOthersWrite) == 0) return {};
  return fail(ErrorCode::kRefused, "was made by somebody else, or can be written by others",
              path.string(), "find out who made it, and remove it");
}

// remove_content empties a directory that a crashed build left.
Status remove_content(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    std::filesystem::remove_all(entry.path(), error);
    if (error) break;
  }
  if (error)
    return fail_errno("cannot remove what an earlier run left", directory.string(), error.value());
  return {};
}

}  // namespace

Result<BuildDirectory> BuildDirectory::create(const std::filesystem::path& target) {
  BuildDirectory build;
  FUGO_ASSIGN(build.target_, normal_path(target));
  FUGO_TRY(refuse_in_use(build.target_));
  build.path_ =
      build.target_.parent_path() / fmt::format(".{}.tmp", build.target_.filename().string());
  const bool made = ::mkdir(build.path_.c_str(), 0700) == 0;
  if (!made && errno != EEXIST)
    return fail_errno("cannot make the directory", build.path_.string(), errno);
  FUGO_ASSIGN(build.lock_, open_file(build.path_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  // Of what was there before only; some file systems of transport know no owners.
  if (!made) FUGO_TRY(check_own(build.lock_.get(), build.path_));
  if (::flock(build.lock_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::kRefused, "another process is building this directory",
                build.path_.string(), "wait for it");
  build.mine_ = true;
  FUGO_TRY(remove_content(build.path_));
  return build;
}

BuildDirectory::BuildDirectory(BuildDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      lock_(std::move(other.lock_)),
      mine_(std::exchange(other.mine_, false)) {}

BuildDirectory::~BuildDirectory() {
  std::error_code ignored;
  if (mine_) std::filesystem::remove_all(path_, ignored);
}

Status BuildDirectory::publish() {
  // rename(2) replaces an empty directory, and answers ENOTEMPTY for one that is in use by now.
  FUGO_TRY(rename_durably(path_, target_));
  mine_ = false;
  return {};
}

}  // namespace fugo::daemon
