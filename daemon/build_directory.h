// A directory that is built under another name and appears complete, by rename, or not at all.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/result.h"

namespace fugo::daemon {

// BuildDirectory is ".NAME.tmp" beside its target. Until publish() its destructor removes it.
class BuildDirectory {
 public:
  // create makes the directory, mode 0700; what a crashed build left there is removed. kRefused
  // when `target` is in use (exists and is no empty directory) or another process builds it.
  [[nodiscard]] static Result<BuildDirectory> create(const std::filesystem::path& target);
  ~BuildDirectory();
  BuildDirectory(BuildDirectory&& other) noexcept;
  BuildDirectory& operator=(BuildDirectory&&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::filesystem::path& target() const { return target_; }

  // keep leaves what was built where it is when publish() does not happen: somebody finishes it.
  void keep() { mine_ = false; }

  // publish renames to the target and syncs the parent; everything inside must be synced already.
  [[nodiscard]] Status publish();

 private:
  BuildDirectory() = default;
  std::filesystem::path path_, target_;
  UniqueFd lock_;  // flock on the directory itself
  bool mine_ = false;
};

}  // namespace fugo::daemon
