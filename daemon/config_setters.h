// Setters that many keys of a configuration file share; private to the reading of it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "daemon/config_rules.h"

namespace fugo::daemon {

// Member finds the place of a value.
template <typename T>
using Member = T& (*)(Settings&);

// text_into takes a text that is not empty, choice_into one of two words, path_into a path that is
// relative to the file's directory, truth_into true or false.
[[nodiscard]] Setter text_into(Member<std::string> member);
[[nodiscard]] Setter choice_into(Member<std::string> member, std::string first, std::string second);
[[nodiscard]] Setter path_into(Member<std::filesystem::path> member);
[[nodiscard]] Setter truth_into(Member<bool> member);

// number_into takes a whole number within bounds.
template <typename Int>
Setter number_into(Member<Int> member, std::int64_t least, std::int64_t most) {
  return [=](const toml::node& node, Settings& settings) -> std::string {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < least || *value > most)
      return fmt::format("must be a whole number from {} to {}", least, most);
    member(settings) = static_cast<Int>(*value);
    return {};
  };
}

// rows_into takes a limit of rows; 0: none.
[[nodiscard]] Setter rows_into(Member<std::uint64_t> member);

// word_into takes a word that `parse` knows.
template <auto parse, typename Value>
Setter word_into(Member<Value> member) {
  return [member](const toml::node& node, Settings& settings) -> std::string {
    const auto text = node.value_exact<std::string>();
    const auto value = parse(text ? std::string_view(*text) : std::string_view());
    if (!value) return value.error().what;
    member(settings) = *value;
    return {};
  };
}

}  // namespace fugo::daemon
