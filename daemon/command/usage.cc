#include "daemon/command/usage.h"

#include <fmt/format.h>

#include <algorithm>

namespace fugo::daemon {
namespace {

constexpr std::string_view kPunctuation = "-_./";
constexpr std::size_t kLongestShown = 32;
// A shorter word is no secret, and may well be a word of CLI11's own sentence.
constexpr std::size_t kShortestHidden = 4;
constexpr auto kHint = "fugo --help and fugo COMMAND --help tell more";

bool showable(std::string_view word) {
  return !word.empty() && word.size() <= kLongestShown &&
         std::all_of(word.begin(), word.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  kPunctuation.find(c) != std::string_view::npos;
         });
}

// shown names an unexpected word; of --option=value the option.
std::string shown(const std::string& word, const std::vector<std::string>& words) {
  const std::string name = word.starts_with("--") ? word.substr(0, word.find('=')) : word;
  if (showable(name)) return name;
  const auto at = std::find(words.begin(), words.end(), word);
  return fmt::format("argument {}", at - words.begin() + 1);
}

void hide(std::string& text, std::string_view word) {
  if (word.size() < kShortestHidden || showable(word)) return;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at))
    text.replace(at, word.size(), "...");
}

}  // namespace

Error usage_error(const CLI::ParseError& mistake, const std::vector<std::string>& words,
                  const std::vector<std::string>& unexpected) {
  if (!unexpected.empty() &&
      mistake.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    std::string what =
        unexpected.size() == 1 ? "there is no place for " : "there is no place for: ";
    for (const auto& word : unexpected)
      what += (&word == &unexpected.front() ? "" : ", ") + shown(word, words);
    return {ErrorCode::kUsage, std::move(what), {}, kHint};
  }
  std::string what = mistake.what();
  while (!what.empty() && what.back() == '\n') what.pop_back();
  for (const auto& word : words) {
    hide(what, word);
    if (const auto value = word.find('='); value != std::string::npos)
      hide(what, std::string_view(word).substr(value + 1));
  }
  return {ErrorCode::kUsage, std::move(what), {}, kHint};
}

}  // namespace fugo::daemon
