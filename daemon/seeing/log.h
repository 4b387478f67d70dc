// Structured logs: a message that is a literal, and fields of known kinds.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/result.h"
#include "daemon/seeing/log_field.h"
#include "daemon/seeing/log_level.h"

namespace fugo::daemon {

// start_log chooses for the whole process where messages go, and from which level on; call it
// before threads start. What uses spdlog directly goes the same way.
//   journal  sd_journal_send: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, and FUGO_NAME for each field
//   text     2026-11-20T09:00:00+09:00 fugod info: message job=J1 rows=3
//   json     {"time":...,"program":"fugod","level":"info","message":...,"job":"J1","rows":3}
void start_log(const std::string& program, LogFormat format, LogLevel level);

// set_log_level changes the level at any time, from any thread.
void set_log_level(LogLevel level);

// LogMessage is a literal: text that is made at run time cannot become a message.
class LogMessage {
 public:
  template <std::size_t size>
  consteval LogMessage(const char (&literal)[size])  // NOLINT: to be converted to
      : text_(literal, size - 1) {}
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

using LogFields = std::initializer_list<LogField>;

// log_... write one line. Thread-safe; a line that cannot be written is lost, and that is all.
//   log_info("the job was answered", {field::job(id), field::rows(1000)});
void log_debug(LogMessage message, LogFields fields = {});
void log_info(LogMessage message, LogFields fields = {});
void log_warning(LogMessage message, LogFields fields = {});
void log_error(LogMessage message, LogFields fields = {});

// log_failure is log_error with the error's code and text.
void log_failure(LogMessage message, const Error& error, LogFields fields = {});

}  // namespace fugo::daemon
