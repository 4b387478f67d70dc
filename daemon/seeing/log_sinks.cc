#include "daemon/seeing/log_sinks.h"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace fugo::daemon {
namespace {

thread_local std::span<const LogField> fields_of_line;

std::string_view view(spdlog::string_view_t text) { return {text.data(), text.size()}; }

const char* level_word(spdlog::level::level_enum level) {
  constexpr std::array kWords = {"debug", "debug", "info", "warning", "error", "error", "error"};
  return kWords.at(static_cast<std::size_t>(level));
}

std::int64_t seconds_of(const spdlog::details::log_msg& message) {
  return std::chrono::duration_cast<std::chrono::seconds>(message.time.time_since_epoch()).count();
}

// one_line keeps what a message holds on one line of a terminal or file.
std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else
      out += (static_cast<unsigned char>(c) < ' ' || c == 0x7F) ? '?' : c;
  }
  return out;
}

// quoted puts what has spaces or quotation marks between quotation marks.
std::string quoted(const std::string& text) {
  const auto flat = one_line(text);
  if (!flat.empty() && flat.find_first_of(" \"=") == std::string::npos) return flat;
  std::string out = "\"";
  for (const char c : flat) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + "\"";
}

class LineSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  static void write_line(const std::string& line) {
    // Not through stdio: one write a line, so that lines of processes do not mix.
    static_cast<void>(write_all(STDERR_FILENO, as_bytes(line), "standard error"));
  }
  void flush_() override {}
};

class TextSink : public LineSink {
  void sink_it_(const spdlog::details::log_msg& message) override {
    auto line =
        fmt::format("{} {} {}: {}", format_time(seconds_of(message)), view(message.logger_name),
                    level_word(message.level), one_line(view(message.payload)));
    for (const auto& field : FieldsOfLine::current())
      line += fmt::format(" {}={}", field.name(), quoted(field.text()));
    write_line(line + "\n");
  }
};

class JsonSink : public LineSink {
  void sink_it_(const spdlog::details::log_msg& message) override {
    nlohmann::ordered_json json = {{"time", format_time(seconds_of(message))},
                                   {"program", view(message.logger_name)},
                                   {"level", level_word(message.level)},
                                   {"message", view(message.payload)}};
    for (const auto& field : FieldsOfLine::current())
      std::visit([&](const auto& value) { json[field.name()] = value; }, field.value());
    write_line(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
};

class JournalSink : public LineSink {
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::vector<std::string> entries = {
        fmt::format("MESSAGE={}", text_of(message)),
        fmt::format("PRIORITY={}", priority(message.level)),
        fmt::format("SYSLOG_IDENTIFIER={}", view(message.logger_name))};
    for (const auto& field : FieldsOfLine::current())
      entries.push_back(fmt::format("FUGO_{}={}", upper(field.name()), field.text()));
    std::vector<iovec> parts;
    for (auto& entry : entries) parts.push_back({entry.data(), entry.size()});
    // A journal that does not take it: standard error is the last place there is.
    if ((sd_journal_sendv)(parts.data(), static_cast<int>(parts.size())) < 0)
      write_line(entries.front().substr(sizeof("MESSAGE=") - 1) + "\n");
  }

  // The fields stand in the message too: what journalctl shows is the message alone.
  static std::string text_of(const spdlog::details::log_msg& message) {
    std::string text(view(message.payload));
    for (const auto& field : FieldsOfLine::current())
      text += fmt::format(" {}={}", field.name(), quoted(field.text()));
    return text;
  }

  static int priority(spdlog::level::level_enum level) {
    constexpr std::array kPriorities = {LOG_DEBUG, LOG_DEBUG, LOG_INFO, LOG_WARNING,
                                        LOG_ERR,   LOG_CRIT,  LOG_INFO};
    return kPriorities.at(static_cast<std::size_t>(level));
  }

  static std::string upper(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
  }
};

}  // namespace

FieldsOfLine::FieldsOfLine(std::span<const LogField> fields) { fields_of_line = fields; }
FieldsOfLine::~FieldsOfLine() { fields_of_line = {}; }
std::span<const LogField> FieldsOfLine::current() { return fields_of_line; }

bool standard_error_is_the_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
         stream == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

spdlog::sink_ptr make_log_sink(LogFormat format) {
  if (format == LogFormat::kJournal) return std::make_shared<JournalSink>();
  if (format == LogFormat::kJson) return std::make_shared<JsonSink>();
  return std::make_shared<TextSink>();
}

}  // namespace fugo::daemon
