#include "daemon/files/sorted_runs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace fugo::daemon {

SpillFile::Mapping::~Mapping() {
  if (data != nullptr) ::munmap(const_cast<std::uint8_t*>(data), size);
}

Result<SpillFile> SpillFile::create(const std::filesystem::path& directory) {
  SpillFile file;
  file.directory_ = directory;
  file.fd_ = UniqueFd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.fd_) return file;
  // Not every file system knows O_TMPFILE; a kernel that does not says EISDIR.
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return fail_errno("cannot make a temporary file", directory.string(), errno);
  std::string name = (directory / ".fugo-spill-XXXXXX").string();
  file.fd_ = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
  if (!file.fd_) return fail_errno("cannot make a temporary file", directory.string(), errno);
  if (::unlink(name.c_str()) != 0)
    return fail_errno("cannot remove the temporary file", name, errno);
  return file;
}

Result<std::uint64_t> SpillFile::append(ByteView bytes) {
  const std::uint64_t at = size_;
  FUGO_TRY(write_all(fd_.get(), bytes, directory_ / "(temporary file)"));
  size_ += bytes.size();
  return at;
}

Result<ByteView> SpillFile::map() {
  if (mapping_.size != size_) {
    void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (memory == MAP_FAILED)
      return fail_errno("cannot map a temporary file", directory_.string(), errno);
    Mapping fresh;
    fresh.data = static_cast<const std::uint8_t*>(memory);
    fresh.size = size_;
    mapping_ = std::move(fresh);
  }
  return ByteView(mapping_.data, mapping_.size);
}

}  // namespace fugo::daemon
