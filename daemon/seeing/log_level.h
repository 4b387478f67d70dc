// Levels and formats of the log, and their words in the configuration.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace fugo::daemon {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
// kAuto: the journal when the standard error that systemd gave is connected to it, else text.
enum class LogFormat : std::uint8_t { kAuto, kJournal, kText, kJson };

// parse_log_level and parse_log_format know debug, info, warning, error; auto, journal, text,
// json. kUsage for any other word, naming these.
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view word);
[[nodiscard]] Result<LogFormat> parse_log_format(std::string_view word);

}  // namespace fugo::daemon
