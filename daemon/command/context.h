// What every command of `fugo` is given, and what it gives back.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "daemon/config.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

using Json = nlohmann::ordered_json;

// Exit codes of the command: see docs/operation.md. Never change one.
enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kSomeRejected = 3,
  kHsm = 4,
  kDamaged = 5,
};
[[nodiscard]] ExitCode exit_code_of(ErrorCode code);

// Outcome is a command's result in both forms; one of them is printed on standard output.
struct Outcome {     // NOLINT(bugprone-exception-escape): the JSON library asserts in its moves
  Json document;     // with --json
  std::string text;  // without; ends with a line feed unless empty
  ExitCode exit_code = ExitCode::kDone;
};

// Context holds the options that all commands share, and the chosen command.
struct Context {
  std::optional<std::string> config;
  bool json = false;
  std::string operator_option;
  std::string order;

  // The chosen command. CLI11's callbacks set it; run_application calls it.
  std::function<Result<Outcome>(Context&)> command;

  std::string command_path;  // "jobs approve"

  // What a failure's message says about the ledger: empty for a command that changes nothing,
  // "nothing was applied" from the start of one that does, and what is true later as it goes on.
  std::string applied;

  // settings loads the configuration and makes it the process's: time zone, memory locking.
  [[nodiscard]] Result<Settings> settings() const;
  // allowed: kRefused when the configuration gives the command to a role that the caller does not
  // hold. A configuration that cannot be read is the command's own trouble.
  [[nodiscard]] Status allowed() const;
  // actor names who acts, for the journal; kUsage for a bad --operator or --order.
  [[nodiscard]] Result<keystore::Actor> actor() const;
};

// operator_from gives `option` if it is not empty, else the name of the OS user (the real one,
// not the effective). kUsage unless it is 1 to 64 printable ASCII characters.
[[nodiscard]] Result<std::string> operator_from(const std::string& option);

// absolute_path is the path that an argument names, seen from the working directory; kUsage when it
// is empty or there is no working directory.
[[nodiscard]] Result<std::filesystem::path> absolute_path(const std::string& argument,
                                                          const std::filesystem::path& given);

// report_failure writes the error for people to standard error and, with `json`, as a document to
// standard output.
void report_failure(const Error& error, const std::string& applied, bool json);

}  // namespace fugo::daemon
