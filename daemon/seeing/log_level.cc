#include "daemon/seeing/log_level.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace fugo::daemon {
namespace {

template <typename Enum>
struct Word {
  const char* word;
  Enum value;
};
constexpr std::array<Word<LogLevel>, 4> kLevels = {{{"debug", LogLevel::kDebug},
                                                    {"info", LogLevel::kInfo},
                                                    {"warning", LogLevel::kWarning},
                                                    {"error", LogLevel::kError}}};
constexpr std::array<Word<LogFormat>, 4> kFormats = {{{"auto", LogFormat::kAuto},
                                                      {"journal", LogFormat::kJournal},
                                                      {"text", LogFormat::kText},
                                                      {"json", LogFormat::kJson}}};

template <typename Enum, std::size_t size>
Result<Enum> parse(const std::array<Word<Enum>, size>& words, std::string_view text) {
  std::string all;
  for (const auto& row : words) {
    if (text == row.word) return row.value;
    all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", row.word);
  }
  return fail(ErrorCode::kUsage, "must be one of " + all);
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view word) { return parse(kLevels, word); }
Result<LogFormat> parse_log_format(std::string_view word) { return parse(kFormats, word); }

}  // namespace fugo::daemon
