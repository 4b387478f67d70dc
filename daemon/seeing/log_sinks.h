// Where lines of the log go: private to daemon/seeing/.
#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>
#include <span>

#include "daemon/seeing/log.h"

namespace fugo::daemon {

// FieldsOfLine hands fields past spdlog, which knows of none, to the sink: spdlog calls its sinks
// on the thread that logs, while this object lives.
class FieldsOfLine {
 public:
  explicit FieldsOfLine(std::span<const LogField> fields);
  ~FieldsOfLine();
  FieldsOfLine(const FieldsOfLine&) = delete;
  FieldsOfLine& operator=(const FieldsOfLine&) = delete;
  [[nodiscard]] static std::span<const LogField> current();
};

// standard_error_is_the_journal compares JOURNAL_STREAM with standard error: systemd.exec(5).
[[nodiscard]] bool standard_error_is_the_journal();

// make_log_sink makes the sink of a format other than kAuto.
[[nodiscard]] spdlog::sink_ptr make_log_sink(LogFormat format);

}  // namespace fugo::daemon
