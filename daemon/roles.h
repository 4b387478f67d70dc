// The table of roles: which command is whose, and who holds a role.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"

namespace fugo::daemon {

// A role is named in the configuration, in [roles], with the group of the operating system whose
// members hold it; a role without a line is everybody's who can read the token's PIN. The names are
// part of the journal: never change one.
inline constexpr std::string_view kAdministration = "administration", kIssuing = "issuing",
                                  kApproval = "approval", kLinking = "linking", kKeeping = "keys",
                                  kBackup = "backup", kAudit = "audit", kAnybody = "";

// CommandRole is one row: a command as it is typed, and whose it is.
struct CommandRole {
  std::string_view command;  // "jobs approve"; a group's name stands for all of its commands
  std::string_view role;     // kAnybody: it only tells what every holder of a PIN may know
};
[[nodiscard]] std::span<const CommandRole> command_roles();

[[nodiscard]] bool is_role(std::string_view name);
// role_names lists them, for messages: "administration, issuing, ...".
[[nodiscard]] std::string role_names();

// role_of finds the longest row that `command` begins with; nullptr: the table has none.
[[nodiscard]] const CommandRole* role_of(std::string_view command);

// Caller is the account that a process runs for.
struct Caller {
  std::string account;  // "suzuki", or "suzuki/fugo" when suzuki logged in and acts as fugo
  std::vector<std::string> groups;  // of the process, effective and supplementary
};
[[nodiscard]] Result<Caller> caller();
// account_of_process is the first part of it, for who has no use for the groups.
[[nodiscard]] std::string account_of_process();

// account_of_file names the owner of what lies at `path`; nothing when nothing does, when others
// may write it, so that the owner may not be who wrote it last, or when the owner is hidden from
// this process (a user namespace: the unit's PrivateUsers=).
[[nodiscard]] std::optional<std::string> account_of_file(const std::filesystem::path& path);

// check_role: kRefused unless the caller is in the group that `roles` names for the command's role.
[[nodiscard]] Status check_role(std::string_view command, const Caller& caller,
                                std::span<const RoleGroup> roles);

}  // namespace fugo::daemon
