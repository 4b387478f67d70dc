#include "daemon/seeing/log.h"

#include <spdlog/spdlog.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "daemon/seeing/log_sinks.h"

namespace fugo::daemon {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  constexpr std::array kTheirs = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                  spdlog::level::err};
  return kTheirs.at(static_cast<std::size_t>(level));
}

void write(LogLevel level, LogMessage message, std::span<const LogField> fields) {
  auto* logger = spdlog::default_logger_raw();
  const auto theirs = spdlog_level(level);
  if (!logger->should_log(theirs)) return;
  const FieldsOfLine scope(fields);
  logger->log(theirs, spdlog::string_view_t(message.text().data(), message.text().size()));
}

}  // namespace

void start_log(const std::string& program, LogFormat format, LogLevel level) {
  if (format == LogFormat::kAuto)
    format = standard_error_is_the_journal() ? LogFormat::kJournal : LogFormat::kText;
  auto logger = std::make_shared<spdlog::logger>(program, make_log_sink(format));
  logger->set_level(spdlog_level(level));
  logger->flush_on(spdlog::level::trace);
  // Nobody is helped by an error about an error.
  logger->set_error_handler([](const std::string&) {});
  spdlog::set_default_logger(std::move(logger));
}

void set_log_level(LogLevel level) { spdlog::default_logger_raw()->set_level(spdlog_level(level)); }

void log_debug(LogMessage message, LogFields fields) { write(LogLevel::kDebug, message, fields); }
void log_info(LogMessage message, LogFields fields) { write(LogLevel::kInfo, message, fields); }
void log_warning(LogMessage message, LogFields fields) {
  write(LogLevel::kWarning, message, fields);
}
void log_error(LogMessage message, LogFields fields) { write(LogLevel::kError, message, fields); }

void log_failure(LogMessage message, const Error& error, LogFields fields) {
  std::vector<LogField> all(fields);
  all.push_back(field::code(error.code));
  all.push_back(field::error(error));
  write(LogLevel::kError, message, all);
}

}  // namespace fugo::daemon
