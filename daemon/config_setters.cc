#include "daemon/config_setters.h"

#include <utility>

namespace fugo::daemon {

Setter text_into(Member<std::string> member) {
  return [member](const toml::node& node, Settings& settings) -> std::string {
    const auto value = node.value_exact<std::string>();
    if (!value) return "must be a text in quotation marks";
    if (value->empty()) return "must not be empty";
    member(settings) = *value;
    return {};
  };
}

Setter choice_into(Member<std::string> member, std::string first, std::string second) {
  return [=](const toml::node& node, Settings& settings) -> std::string {
    const auto value = node.value_exact<std::string>();
    if (!value || (*value != first && *value != second))
      return fmt::format("must be \"{}\" or \"{}\"", first, second);
    member(settings) = *value;
    return {};
  };
}

Setter path_into(Member<std::filesystem::path> member) {
  return [member](const toml::node& node, Settings& settings) -> std::string {
    const auto value = node.value_exact<std::string>();
    if (!value) return "must be a path in quotation marks";
    if (value->empty()) return "must not be empty";
    member(settings) = (settings.file.parent_path() / *value).lexically_normal();
    return {};
  };
}

Setter rows_into(Member<std::uint64_t> member) {
  return number_into<std::uint64_t>(member, 0, 1'000'000'000'000);
}

Setter truth_into(Member<bool> member) {
  return [member](const toml::node& node, Settings& settings) -> std::string {
    const auto value = node.value_exact<bool>();
    if (!value) return "must be true or false";
    member(settings) = *value;
    return {};
  };
}

}  // namespace fugo::daemon
