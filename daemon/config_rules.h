// The table of all keys that a configuration file may have.
#pragma once

#include <toml++/toml.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/config.h"

namespace fugo::daemon {

// Setter puts a node's value into the settings; the text of the mistake, or empty.
using Setter = std::function<std::string(const toml::node&, Settings&)>;

// ConfigRule is one key of one section.
struct ConfigRule {
  std::string_view section;  // "" for the top, else "hsm.issuing"
  std::string_view key;
  bool required;  // when its section is there; keys at the top and of a required section always
  Setter set;
};

// NamedSetter is a Setter for a key that the file's author named.
using NamedSetter = std::string (*)(std::string_view key, const toml::node&, Settings&);

// ConfigSection is one table of the file.
struct ConfigSection {
  std::string_view name;
  bool required;
  NamedSetter set_any = nullptr;  // for keys that have no rule; nullptr: there are no others
};

[[nodiscard]] std::span<const ConfigRule> config_rules();
[[nodiscard]] std::span<const ConfigSection> config_sections();

}  // namespace fugo::daemon
