#include "base/group_share.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <vector>

namespace fugo {
namespace {

constexpr unsigned kSharedMode = S_ISGID | 0750U;
constexpr unsigned kSharedBits = S_ISGID | S_IRGRP;

// may_give: chown(2) lets an owner give a file to the groups of the process alone.
bool may_give(gid_t group) {
  if (::geteuid() == 0 || ::getegid() == group) return true;
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(0, count)));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// A name, or the number of a group, as chgrp(1) takes them.
Result<gid_t> number_of(const std::string& name) {
  std::vector<char> memory(16 * 1024);
  group entry{};
  group* found = nullptr;
  int code = 0;
  while ((code = ::getgrnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found)) ==
             ERANGE &&
         memory.size() < (std::size_t{1} << 24U))
    memory.resize(2 * memory.size());
  if (code != 0) return fail_errno("cannot look up the group", name, code);
  if (found != nullptr) return found->gr_gid;
  gid_t number = 0;
  const auto* end = name.data() + name.size();
  if (const auto read = std::from_chars(name.data(), end, number);
      !name.empty() && read.ec == std::errc() && read.ptr == end)
    return number;
  return fail(ErrorCode::kUsage, "there is no such group", name,
              "make it first: groupadd --system " + name);
}

}  // namespace

Result<gid_t> find_group(const std::string& name) {
  FUGO_ASSIGN(const auto number, number_of(name));
  if (!may_give(number))
    return fail(ErrorCode::kUsage, "this account is not in the group, and so cannot share with it",
                name, "put it into the group and log in again: usermod -aG " + name + " ACCOUNT");
  return number;
}

bool is_shared(const std::filesystem::path& directory) {
  struct stat info {};
  return ::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         (info.st_mode & kSharedBits) == kSharedBits;
}

Status give_to_group(const std::filesystem::path& path, gid_t group, unsigned mode) {
  // In this order: a change of group takes set-group-ID away.
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), group) != 0)
    return fail_errno("cannot give to the group", path.string(), errno);
  if (::chmod(path.c_str(), mode) != 0)
    return fail_errno("cannot set the mode", path.string(), errno);
  return {};
}

Status share_directory(const std::filesystem::path& directory, gid_t group) {
  return give_to_group(directory, group, kSharedMode);
}

Status share_as_parent(const std::filesystem::path& directory) {
  const auto parent = directory.parent_path();
  struct stat info {};
  if (!is_shared(parent)) return {};
  if (::stat(parent.c_str(), &info) != 0) return fail_errno("cannot read", parent.string(), errno);
  return share_directory(directory, info.st_gid);
}

Status share_file(int fd, const std::filesystem::path& file, unsigned mode) {
  if (!is_shared(file.parent_path())) return {};
  if (::fchmod(fd, mode) != 0) return fail_errno("cannot set the mode", file.string(), errno);
  return {};
}

}  // namespace fugo
