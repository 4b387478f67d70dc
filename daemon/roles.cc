#include "daemon/roles.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <optional>

namespace fugo::daemon {
namespace {

constexpr std::array kRoles{kAdministration, kIssuing, kApproval, kLinking,
                            kKeeping,        kBackup,  kAudit};

// Groups of commands first, then the ones that differ from their group.
constexpr std::array<CommandRole, 36> kTable{{
    {"init", kAdministration},
    {"agency", kAdministration},
    {"agency list", kAnybody},
    {"issue", kIssuing},
    {"change", kIssuing},
    {"delete", kIssuing},
    {"check", kIssuing},
    {"jobs", kIssuing},
    {"jobs list", kAnybody},
    {"jobs approve", kApproval},
    {"jobs refuse", kApproval},
    {"outbox", kIssuing},
    {"freeze", kApproval},
    {"thaw", kApproval},
    {"link", kLinking},
    {"keys", kKeeping},
    {"keys list", kAnybody},
    {"exchange", kKeeping},
    {"exchange list", kAnybody},
    {"regenerate", kKeeping},
    {"regenerate status", kAnybody},
    {"regenerate ack", kApproval},
    {"status", kAnybody},
    {"stats", kAnybody},
    {"verify", kAudit},
    {"digest", kAudit},
    {"journal", kAudit},
    {"journal accept-clock", kAdministration},
    {"backup", kBackup},
    {"restore", kBackup},
    {"ship", kBackup},
    {"follow", kBackup},
    {"takeover", kApproval},
    {"compare", kAudit},
    {"reconcile", kAudit},
    {"journal copy", kBackup},
}};

constexpr std::size_t kMostNameBytes = 16 * 1024;

std::optional<std::string> account_name(uid_t user) {
  std::vector<char> memory(kMostNameBytes);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(user, &entry, memory.data(), memory.size(), &found);
  if (found == nullptr) return std::nullopt;
  return std::string(found->pw_name);
}

std::string name_or_number(uid_t user) {
  return account_name(user).value_or(fmt::format("uid-{}", user));
}

std::string group_name(gid_t group) {
  std::vector<char> memory(kMostNameBytes);
  ::group entry{};
  ::group* found = nullptr;
  ::getgrgid_r(group, &entry, memory.data(), memory.size(), &found);
  return found != nullptr ? found->gr_name : fmt::format("gid-{}", group);
}

// login_user is who logged in, whatever account was taken on since (su, sudo, runuser): the kernel
// keeps it, and nobody without CAP_AUDIT_CONTROL changes it. Nothing for a service.
std::optional<uid_t> login_user() {
  std::ifstream file("/proc/self/loginuid");
  std::uint64_t user = 0;
  if (!(file >> user) || user >= static_cast<uid_t>(-1)) return std::nullopt;
  return static_cast<uid_t>(user);
}

// hidden_user is the number that a user namespace shows for whoever is not mapped into it.
uid_t hidden_user() {
  constexpr uid_t kUsual = 65'534;
  std::ifstream file("/proc/sys/kernel/overflowuid");
  uid_t user = 0;
  return file >> user ? user : kUsual;
}

}  // namespace

std::span<const CommandRole> command_roles() { return kTable; }

bool is_role(std::string_view name) {
  return std::find(kRoles.begin(), kRoles.end(), name) != kRoles.end();
}

std::string role_names() { return fmt::format("{}", fmt::join(kRoles, ", ")); }

const CommandRole* role_of(std::string_view command) {
  const CommandRole* best = nullptr;
  for (const CommandRole& row : command_roles()) {
    const bool begins =
        command == row.command || command.starts_with(std::string(row.command) + " ");
    if (begins && (best == nullptr || best->command.size() < row.command.size())) best = &row;
  }
  return best;
}

std::string account_of_process() {
  const uid_t user = ::geteuid();
  const auto login = login_user();
  if (!login || *login == user) return name_or_number(user);
  return name_or_number(*login) + "/" + name_or_number(user);
}

Result<Caller> caller() {
  Caller who;
  who.account = account_of_process();
  const int count = ::getgroups(0, nullptr);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 0)));
  if (count < 0 || ::getgroups(count, groups.data()) != count)
    return fail_errno("cannot read the groups of this process", "getgroups", errno);
  groups.push_back(::getegid());
  for (const gid_t group : groups) who.groups.push_back(group_name(group));
  return who;
}

std::optional<std::string> account_of_file(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || info.st_uid == hidden_user()) return std::nullopt;
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return std::nullopt;
  return name_or_number(info.st_uid);
}

Status check_role(std::string_view command, const Caller& caller,
                  std::span<const RoleGroup> roles) {
  const CommandRole* row = role_of(command);
  if (row == nullptr)
    return fail(ErrorCode::kInternal, "has no role", "fugo " + std::string(command));
  const auto line = std::find_if(roles.begin(), roles.end(),
                                 [&](const RoleGroup& group) { return group.role == row->role; });
  if (row->role == kAnybody || line == roles.end()) return {};
  if (std::find(caller.groups.begin(), caller.groups.end(), line->group) != caller.groups.end())
    return {};
  return fail(ErrorCode::kRefused,
              fmt::format("is for the role {}, which members of the group {} hold, and {} is none",
                          row->role, line->group, caller.account),
              "fugo " + std::string(command), "ask somebody who holds the role");
}

}  // namespace fugo::daemon
