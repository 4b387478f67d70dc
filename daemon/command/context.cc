#include "daemon/command/context.h"

#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/roles.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMaxNameLength = 64;
constexpr const char* kDaemonName = "fugod";

struct CodeRow {
  ErrorCode code;
  ExitCode exit_code;
};
constexpr std::array<CodeRow, 7> kCodes = {{
    {ErrorCode::kRefused, ExitCode::kFailed},
    {ErrorCode::kIo, ExitCode::kFailed},
    {ErrorCode::kUsage, ExitCode::kUsage},
    {ErrorCode::kHsm, ExitCode::kHsm},
    {ErrorCode::kDamaged, ExitCode::kDamaged},
    {ErrorCode::kStale, ExitCode::kFailed},
    {ErrorCode::kInternal, ExitCode::kFailed},
}};

const CodeRow& row_of(ErrorCode code) {
  return *std::find_if(kCodes.begin(), kCodes.end(),
                       [code](const CodeRow& row) { return row.code == code; });
}

bool printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

ExitCode exit_code_of(ErrorCode code) { return row_of(code).exit_code; }

Result<std::string> operator_from(const std::string& option) {
  std::string name = option;
  if (name.empty()) {
    std::vector<char> memory(16 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    ::getpwuid_r(::getuid(), &entry, memory.data(), memory.size(), &found);
    name = found != nullptr ? found->pw_name : fmt::format("uid-{}", ::getuid());
  }
  if (option == kDaemonName)
    return fail(ErrorCode::kUsage, "is the daemon's own name", "--operator", "give a person's");
  if (name.size() > kMaxNameLength || !printable(name))
    return fail(ErrorCode::kUsage, "the operator must be 1 to 64 printable ASCII characters",
                "--operator");
  return name;
}

Result<keystore::Actor> Context::actor() const {
  keystore::Actor actor;
  FUGO_ASSIGN(actor.operator_name, operator_from(operator_option));
  if (order.size() > kMaxNameLength || !printable(order))
    return fail(ErrorCode::kUsage, "the order must be at most 64 printable ASCII characters",
                "--order");
  actor.order = order;
  const CommandRole* row = role_of(command_path);
  actor.role = row == nullptr || row->role == kAnybody ? "any" : row->role;
  FUGO_ASSIGN(const auto who, caller());
  actor.account = who.account;
  return actor;
}

Status Context::allowed() const {
  const auto settings = load_settings(settings_path(config));
  if (!settings || settings->roles.empty()) return {};
  FUGO_ASSIGN(const auto who, caller());
  return check_role(command_path, who, settings->roles);
}

Result<Settings> Context::settings() const {
  FUGO_ASSIGN(auto settings, load_settings(settings_path(config)));
  FUGO_TRY(set_time_zone(settings.time_zone));
  set_lock_policy(settings.lock_memory);
  return settings;
}

Result<std::filesystem::path> absolute_path(const std::string& argument,
                                            const std::filesystem::path& given) {
  std::error_code error;
  auto path = std::filesystem::absolute(given, error);
  if (given.empty() || error)
    return fail(ErrorCode::kUsage, "is not a path", argument, "name a directory or file");
  return path;
}

void report_failure(const Error& error, const std::string& applied, bool json) {
  std::string line = "fugo: " + error.message();
  if (!applied.empty()) line += "; " + applied;
  fmt::print(stderr, "{}\n", line);
  if (!json) return;
  Json body = {{"code", error_code_name(error.code)},
               {"what", error.what},
               {"where", error.where},
               {"hint", error.hint}};
  if (!applied.empty()) body["applied"] = applied;
  fmt::print("{}\n", Json{{"error", body}}.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace fugo::daemon
