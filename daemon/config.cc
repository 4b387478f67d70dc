#include "daemon/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "daemon/config_rules.h"
#include "daemon/link_usage.h"
#include "daemon/mistakes.h"

namespace fugo::daemon {
namespace {

constexpr std::size_t kMaxFileBytes = 1 << 20U;

// Reader walks a parsed file and gathers mistakes.
class Reader {
 public:
  explicit Reader(Settings& settings) : settings_(settings) {}

  void read(const toml::table& root) {
    section(root, "");
    for (const auto& known : config_sections())
      if (known.required && lines_.find(known.name) == lines_.end())
        mistake(0, fmt::format("the section [{}] is missing", known.name));
    for (const auto& rule : config_rules()) {
      const auto at = lines_.find(rule.section);
      if (rule.required && at != lines_.end() && seen_.count({rule.section, rule.key}) == 0)
        mistake(at->second, fmt::format("{} is missing", full_name(rule.section, rule.key)));
    }
    if (settings_.production() && !settings_.allowed_mechanisms)
      mistake(seen_.at({"hsm", "allowed_mechanisms"}),
              "hsm.allowed_mechanisms must not be switched off in production");
    if (settings_.production() && !settings_.check_digits)
      mistake(seen_.at({"issue", "check_digits"}),
              "issue.check_digits must not be switched off in production");
    if (settings_.daemon.retry_first_seconds > settings_.daemon.retry_most_seconds)
      mistake(lines_.at("daemon"),
              "daemon.retry_first_seconds must not be more than daemon.retry_most_seconds");
  }

  void mistake(unsigned line, std::string text) { mistakes_.add(line, std::move(text)); }

  [[nodiscard]] bool clean() const { return mistakes_.empty(); }

  [[nodiscard]] std::string text() const { return mistakes_.text("the configuration"); }

 private:
  static std::string full_name(std::string_view section, std::string_view key) {
    return section.empty() ? std::string(key) : fmt::format("{}.{}", section, key);
  }

  static NamedSetter free_keys_of(std::string_view section_name) {
    for (const auto& section : config_sections())
      if (section.name == section_name) return section.set_any;
    return nullptr;
  }

  void section(const toml::table& table, std::string_view name) {
    lines_[name] = table.source().begin.line;
    for (const auto& [key, node] : table) {
      const std::string full = full_name(name, key.str());
      const unsigned line = key.source().begin.line;
      const auto sections = config_sections();
      const auto known = std::find_if(sections.begin(), sections.end(),
                                      [&](const ConfigSection& s) { return s.name == full; });
      if (known != sections.end()) {
        if (const auto* inner = node.as_table(); inner != nullptr)
          section(*inner, known->name);
        else
          mistake(line, fmt::format("{} must be a section: [{}]", full, full));
      } else {
        value(name, key.str(), node, line);
      }
    }
  }

  void value(std::string_view section_name, std::string_view key, const toml::node& node,
             unsigned line) {
    const auto rules = config_rules();
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const ConfigRule& r) {
      return r.section == section_name && r.key == key;
    });
    const std::string full = full_name(section_name, key);
    if (const auto set_any = free_keys_of(section_name);
        rule == rules.end() && set_any != nullptr) {
      if (const auto wrong = set_any(key, node, settings_); !wrong.empty())
        mistake(line, fmt::format("{} {}", full, wrong));
      return;
    }
    if (rule == rules.end())
      return mistake(
          line, fmt::format("{} is not a known {}", full, node.is_table() ? "section" : "key"));
    seen_[{rule->section, rule->key}] = line;
    if (const auto wrong = rule->set(node, settings_); !wrong.empty())
      mistake(line, fmt::format("{} {}", full, wrong));
  }

  Settings& settings_;
  std::map<std::string_view, unsigned> lines_;  // of the sections that are there
  std::map<std::pair<std::string_view, std::string_view>, unsigned> seen_;
  Mistakes mistakes_;
};

// The daemon's folders lie beside the configuration unless it says otherwise.
void place_folders(Settings& settings) {
  auto& daemon = settings.daemon;
  const std::pair<std::filesystem::path&, const char*> folders[] = {
      {daemon.inbox, "inbox"},   {daemon.work, "work"},       {daemon.held, "held"},
      {daemon.outbox, "outbox"}, {daemon.refused, "refused"}, {daemon.records, "records"}};
  for (const auto& [path, name] : folders)
    if (path.empty()) path = settings.file.parent_path() / name;
  if (settings.link_usage.empty())
    settings.link_usage = settings.file.parent_path() / kLinkUsageFolder;
  if (settings.exchange.senders.empty())
    settings.exchange.senders = settings.file.parent_path() / "senders";
  if (settings.exchange.certificates.empty())
    settings.exchange.certificates = settings.file.parent_path() / "exchange";
  auto& recovery = settings.recovery;
  if (recovery.package_directory.empty())
    recovery.package_directory = settings.file.parent_path() / "recovery";
  if (recovery.public_key.empty())
    recovery.public_key = recovery.package_directory / "recovery-public.pem";
}

constexpr auto kHint = "correct the file; docs/operation.md lists every key";

// deep_line is the first line, from 1, with more dots than any key of ours could have: the library
// makes a table of each, one within the other, and takes them apart by recursion. 0: there is none.
std::uint32_t deep_line(std::string_view text) {
  constexpr std::size_t kMost = 1000;
  std::uint32_t line = 1;
  std::size_t dots = 0;
  for (const char c : text) {
    if (c == '.' && ++dots > kMost) return line;
    if (c == '\n') {
      ++line;
      dots = 0;
    }
  }
  return 0;
}

}  // namespace

Result<Settings> parse_settings(const std::string& text, const std::filesystem::path& file) {
  Settings settings;
  settings.file = file;
  Reader reader(settings);
  if (const auto line = deep_line(text); line != 0) {
    reader.mistake(line, "has more dots than a line of this file can need");
    return fail(ErrorCode::kUsage, reader.text(), file.string(), kHint);
  }
  try {
    const toml::table root = toml::parse(text, file.string());
    FUGO_TRY(check_time_zone(settings.time_zone));
    reader.read(root);
  } catch (const toml::parse_error& error) {
    reader.mistake(error.source().begin.line, std::string(error.description()));
  }
  if (!reader.clean()) return fail(ErrorCode::kUsage, reader.text(), file.string(), kHint);
  place_folders(settings);
  return settings;
}

Result<Settings> load_settings(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto absolute = std::filesystem::absolute(file, ignored);
  if (!std::filesystem::exists(absolute, ignored) && !ignored)
    return fail(ErrorCode::kUsage, "there is no such configuration file", absolute.string(),
                "give --config FILE, set FUGO_CONFIG, or make a site with fugo init --dir DIR");
  FUGO_ASSIGN(const auto text, read_small(absolute, kMaxFileBytes));
  return parse_settings(text, absolute);
}

std::filesystem::path settings_path(const std::optional<std::string>& option) {
  if (option) return *option;
  if (const char* from_environment = std::getenv("FUGO_CONFIG");
      from_environment != nullptr && *from_environment != '\0')
    return from_environment;
  return "fugo.toml";
}

bool Settings::configured(hsm::TokenRole role) const {
  return (role == hsm::TokenRole::kIssuing   ? issuing
          : role == hsm::TokenRole::kLinking ? linking
                                             : standby)
      .has_value();
}

Result<hsm::TokenSettings> Settings::token(hsm::TokenRole role) const {
  const bool is_issuing = role == hsm::TokenRole::kIssuing;
  const bool is_linking = role == hsm::TokenRole::kLinking;
  // Where a standby token is the only one, the site is the second, and works with it under the
  // standby role: its keys are checked to be those, no more and no less.
  if (standby && !issuing && !linking && role != hsm::TokenRole::kStandby)
    return token(hsm::TokenRole::kStandby);
  const auto& section = is_issuing ? issuing : is_linking ? linking : standby;
  const char* name = is_issuing ? "issuing" : is_linking ? "linking" : "standby";
  if (!section)
    return fail(ErrorCode::kUsage, fmt::format("there is no section [hsm.{}]", name), file.string(),
                "this command needs that token; run it where it is configured");
  hsm::TokenSettings out;
  out.module = module;
  out.uri = section->uri;
  out.pin_file = section->pin_file;
  out.softhsm_conf = section->softhsm_conf;
  out.role = role;
  out.max_bytes_per_call = max_bytes_per_call;
  out.threads = threads;
  out.evaluate_twice = evaluate_twice;
  out.allowed_mechanisms = allowed_mechanisms;
  return out;
}

}  // namespace fugo::daemon
