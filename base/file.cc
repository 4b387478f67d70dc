#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace fugo {
namespace {

constexpr std::size_t kFirstRead = 16 * 1024;  // of read_small; a longer file takes more rounds

std::filesystem::path parent_of(const std::filesystem::path& path) {
  auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

}  // namespace

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    MappedFile old(std::move(*this));
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  FUGO_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot read", path.string(), errno);
  if (!S_ISREG(info.st_mode))
    return fail(ErrorCode::kIo, "is not a regular file", path.string(), "name a file");
  MappedFile file;
  file.size_ = static_cast<std::size_t>(info.st_size);
  if (file.size_ == 0) return file;
  void* memory = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return fail_errno("cannot map", path.string(), errno);
  file.data_ = static_cast<const std::uint8_t*>(memory);
  return file;
}

void MappedFile::advise_sequential() const {
  if (data_ != nullptr) ::madvise(const_cast<std::uint8_t*>(data_), size_, MADV_SEQUENTIAL);
}

Result<UniqueFd> open_file(const std::filesystem::path& path, int flags, unsigned mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return fail_errno("cannot open", path.string(), errno);
  return fd;
}

Status write_all(int fd, ByteView bytes, const std::filesystem::path& path_for_error) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot write", path_for_error.string(), errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync_file(int fd, const std::filesystem::path& path_for_error) {
  if (::fsync(fd) != 0) return fail_errno("cannot sync", path_for_error.string(), errno);
  return {};
}

Status sync_directory(const std::filesystem::path& directory) {
  FUGO_ASSIGN(const UniqueFd fd, open_file(directory, O_RDONLY | O_DIRECTORY));
  return sync_file(fd.get(), directory);
}

// open_anew makes the file: what a process that died left goes first, and nobody who can guess the
// name has anything else written to (a link), or waited for (a pipe).
static Result<UniqueFd> open_anew(const std::filesystem::path& path, unsigned mode) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  auto fd = open_file(path, kFlags, mode);
  if (fd || fd.error().native != EEXIST) return fd;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno("cannot remove", path.string(), errno);
  return open_file(path, kFlags, mode);
}

Status write_durably(const std::filesystem::path& path, ByteView bytes, unsigned mode) {
  const std::filesystem::path temporary =
      parent_of(path) / ("." + path.filename().string() + ".tmp");
  {
    FUGO_ASSIGN(const UniqueFd fd, open_anew(temporary, mode));
    auto written = write_all(fd.get(), bytes, temporary);
    if (written) written = sync_file(fd.get(), temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  return rename_durably(temporary, path);
}

Result<std::string> read_small(const std::filesystem::path& path, std::size_t limit_in_bytes) {
  FUGO_ASSIGN(const UniqueFd fd, open_file(path, O_RDONLY));
  std::string text;
  std::size_t size = 0;
  while (size <= limit_in_bytes) {
    if (size == text.size()) text.resize(std::min(limit_in_bytes + 1, 2 * size + kFirstRead));
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read", path.string(), errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit_in_bytes)
    return fail(ErrorCode::kIo, "is longer than " + std::to_string(limit_in_bytes) + " bytes",
                path.string(), "check that this is the file you mean");
  text.resize(size);
  return text;
}

Status make_directory(const std::filesystem::path& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST && std::filesystem::is_directory(path)) return {};
    return fail_errno("cannot make the directory", path.string(), errno);
  }
  return sync_directory(parent_of(path));
}

Status rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_errno("cannot rename to " + to.string(), from.string(), errno);
  FUGO_TRY(sync_directory(parent_of(to)));
  if (parent_of(from) != parent_of(to)) return sync_directory(parent_of(from));
  return {};
}

}  // namespace fugo
