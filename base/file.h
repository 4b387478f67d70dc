// Files: owned descriptors, mapped reading, and writing that is durable when it returns.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace fugo {

// UniqueFd owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

// MappedFile is a whole file mapped read-only. The mapping outlives an unlink of the file.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  // open maps `path`; kIo when it cannot be opened or is not a regular file.
  [[nodiscard]] static Result<MappedFile> open(const std::filesystem::path& path);
  [[nodiscard]] ByteView bytes() const { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  // advise_sequential tells the kernel that the file will be read from front to back.
  void advise_sequential() const;

 private:
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

// open_file is open(2) with O_CLOEXEC; `mode` counts with O_CREAT only.
[[nodiscard]] Result<UniqueFd> open_file(const std::filesystem::path& path, int flags,
                                         unsigned mode = 0600);

// write_all writes every byte at the descriptor's position, going on after short writes.
[[nodiscard]] Status write_all(int fd, ByteView bytes, const std::filesystem::path& path_for_error);

// sync_file and sync_directory are fsync(2); a directory's sync makes names in it durable.
[[nodiscard]] Status sync_file(int fd, const std::filesystem::path& path_for_error);
[[nodiscard]] Status sync_directory(const std::filesystem::path& directory);

// write_durably replaces `path` by `bytes`: a temporary file beside it is written, synced and
// renamed, and the directory synced. A crash leaves the old or the new file, whole.
[[nodiscard]] Status write_durably(const std::filesystem::path& path, ByteView bytes,
                                   unsigned mode = 0600);

// read_small reads a whole file of at most `limit_in_bytes`; kIo when it is longer.
[[nodiscard]] Result<std::string> read_small(const std::filesystem::path& path,
                                             std::size_t limit_in_bytes);

// make_directory creates one directory and syncs its parent; an existing one is success.
[[nodiscard]] Status make_directory(const std::filesystem::path& path, unsigned mode = 0700);

// rename_durably renames within one file system and syncs the parents of both names.
[[nodiscard]] Status rename_durably(const std::filesystem::path& from,
                                    const std::filesystem::path& to);

}  // namespace fugo
