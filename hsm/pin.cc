#include "hsm/pin.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/file.h"

namespace fugo::hsm {
namespace {

Result<std::size_t> read_up_to(int fd, MutableByteView to, const std::string& where) {
  std::size_t size = 0;
  while (size < to.size()) {
    const ssize_t got = ::read(fd, to.data() + size, to.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read the PIN", where, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return size;
}

// others_bits are the permissions that a PIN file must not have. systemd gives the service's user
// access to a credential by an ACL, whose mask shows as the group's right to read; its directory
// lets nobody else in.
mode_t others_bits(const std::filesystem::path& file) {
  const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY");
  const bool credential = credentials != nullptr && file.parent_path() == credentials;
  return credential ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
}

}  // namespace

Result<Pin> Pin::read(const std::filesystem::path& file) {
  const std::string where = file.string();
  auto fd = open_file(file, O_RDONLY);
  if (!fd) return fail(ErrorCode::kUsage, "cannot open the PIN file", where, fd.error().message());
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return fail_errno("cannot examine", where, errno);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kUsage, "the PIN file is not a regular file", where);
  if ((status.st_mode & others_bits(file)) != 0)
    return fail(ErrorCode::kUsage, "the PIN file is open to group or others", where,
                "chmod 600 it, and change the PIN if somebody may have read it");
  Pin pin;
  FUGO_ASSIGN(std::size_t size, read_up_to(fd->get(), pin.bytes_.bytes(), where));
  if (size == pin.bytes_.size()) return fail(ErrorCode::kUsage, "the PIN file is too long", where);
  if (size > 0 && pin.data()[size - 1] == '\n') --size;
  if (size > 0 && pin.data()[size - 1] == '\r') --size;
  if (size == 0) return fail(ErrorCode::kUsage, "the PIN file is empty", where);
  if (std::memchr(pin.data(), '\n', size) != nullptr)
    return fail(ErrorCode::kUsage, "the PIN file has more than one line", where);
  pin.size_ = size;
  return pin;
}

Status make_pin_file(const std::filesystem::path& file) {
  SecretBytes<16> random;
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return fail_errno("cannot get random bytes", "getrandom", errno);
  SecretBytes<33> line;
  static constexpr char kDigits[] = "0123456789abcdef";
  for (std::size_t i = 0; i < random.size(); ++i) {
    line.data()[2 * i] = static_cast<std::uint8_t>(kDigits[random.data()[i] >> 4U]);
    line.data()[2 * i + 1] = static_cast<std::uint8_t>(kDigits[random.data()[i] & 15U]);
  }
  line.data()[32] = '\n';
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST)
    return fail(ErrorCode::kRefused, "the PIN file is there already", file.string());
  if (fd < 0) return fail_errno("cannot make the PIN file", file.string(), errno);
  const UniqueFd owner(fd);
  FUGO_TRY(write_all(fd, line.bytes(), file));
  FUGO_TRY(sync_file(fd, file));
  return sync_directory(file.has_parent_path() ? file.parent_path() : ".");
}

}  // namespace fugo::hsm
