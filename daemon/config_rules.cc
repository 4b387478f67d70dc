#include "daemon/config_rules.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/text.h"
#include "daemon/config_setters.h"
#include "daemon/roles.h"

namespace fugo::daemon {
namespace {

// A call is a whole number of cipher blocks.
std::string set_call_size(const toml::node& node, Settings& settings) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < 256 || *value > 64 << 20U || *value % 16 != 0)
    return "must be a whole number from 256 to 67108864, and a multiple of 16";
  settings.max_bytes_per_call = static_cast<std::size_t>(*value);
  return {};
}

std::string set_zone(const toml::node& node, Settings& settings) {
  const auto value = node.value_exact<std::string>();
  if (!value) return "must be a text in quotation marks";
  // A zone that the system does not know is a mistake of this line, so it is tried here.
  if (const auto known = check_time_zone(*value); !known) return known.error().what;
  settings.time_zone = *value;
  settings.link.time_zone = *value;
  settings.quota.time_zone = *value;
  return {};
}

bool is_delete_reason(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '_';
  });
}

std::string set_reasons(const toml::node& node, Settings& settings) {
  const auto* list = node.as_array();
  if (list == nullptr) return "must be a list of texts, such as [\"emigrated\"]";
  for (const auto& item : *list) {
    const auto reason = item.value_exact<std::string>();
    if (!reason || !is_delete_reason(*reason)) return "must hold codes of 1 to 32 of 0-9a-z_";
    if (std::find(settings.delete_reasons.begin(), settings.delete_reasons.end(), *reason) ==
        settings.delete_reasons.end())
      settings.delete_reasons.push_back(*reason);
  }
  return {};
}

std::string set_copies(const toml::node& node, Settings& settings) {
  const auto* list = node.as_array();
  if (list == nullptr) return "must be a list of paths, such as [\"/mnt/audit/journal\"]";
  auto& copies = settings.journal_copies;
  for (const auto& item : *list) {
    const auto path = item.value_exact<std::string>();
    if (!path || path->empty()) return "must hold paths in quotation marks";
    auto folder = (settings.file.parent_path() / *path / "").lexically_normal().parent_path();
    // One folder twice would wait for its own lock.
    if (std::find(copies.begin(), copies.end(), folder) != copies.end())
      return "names a folder twice";
    copies.push_back(std::move(folder));
  }
  return {};
}

std::string set_lock(const toml::node& node, Settings& settings) {
  const auto value = node.value_exact<std::string>();
  if (!value || (*value != "preferred" && *value != "required"))
    return "must be \"preferred\" or \"required\"";
  settings.lock_memory = *value == "required" ? LockMemory::kRequired : LockMemory::kPreferred;
  return {};
}

// Metrics tell much about a site: no other host gets them from here.
std::string set_loopback(const toml::node& node, Settings& settings) {
  const auto value = node.value_exact<std::string>();
  in_addr four{};
  in6_addr six{};
  const bool loopback =
      value && ((::inet_pton(AF_INET, value->c_str(), &four) == 1 &&
                 (ntohl(four.s_addr) >> IN_CLASSA_NSHIFT) == IN_LOOPBACKNET) ||
                (::inet_pton(AF_INET6, value->c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six)));
  if (!loopback) return "must be a loopback address: \"127.0.0.1\" or \"::1\"";
  settings.metrics.address = *value;
  return {};
}

using Sections = std::optional<TokenSection> Settings::*;

template <Sections section>
TokenSection& token(Settings& settings) {
  auto& value = settings.*section;
  if (!value) value.emplace();
  return *value;
}

constexpr std::string_view kCredential = "credential:";

// A PIN may be a systemd credential: "credential:NAME" is the file NAME in $CREDENTIALS_DIRECTORY.
std::string set_pin_file(const toml::node& node, Settings& settings, std::filesystem::path& file) {
  const auto value = node.value_exact<std::string>();
  if (!value) return "must be a path in quotation marks";
  if (value->empty()) return "must not be empty";
  if (value->rfind(kCredential, 0) != 0) {
    file = (settings.file.parent_path() / *value).lexically_normal();
    return {};
  }
  const std::string name = value->substr(kCredential.size());
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos)
    return "must name a credential behind \"credential:\", without a slash";
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory != '/')
    return "is a systemd credential, but $CREDENTIALS_DIRECTORY is not set: start it as a service "
           "whose unit has LoadCredential=";
  file = std::filesystem::path(directory) / name;
  return {};
}

template <Sections section>
void add_token_rules(std::vector<ConfigRule>& rules, std::string_view name) {
  rules.push_back({name, "uri", true, [](const toml::node& node, Settings& settings) {
                     auto mistake = text_into([](Settings& s) -> std::string& {
                       return token<section>(s).uri;
                     })(node, settings);
                     if (mistake.empty() && token<section>(settings).uri.rfind("pkcs11:", 0) != 0)
                       mistake = "must be an RFC 7512 URI, such as \"pkcs11:token=fugo-issuing\"";
                     if (mistake.empty() &&
                         token<section>(settings).uri.find("pin-value") != std::string::npos)
                       mistake = "must not contain a PIN: name a file with pin_file";
                     return mistake;
                   }});
  rules.push_back({name, "pin_file", true, [](const toml::node& node, Settings& settings) {
                     return set_pin_file(node, settings, token<section>(settings).pin_file);
                   }});
  rules.push_back(
      {name, "softhsm_conf", false, path_into([](Settings& s) -> std::filesystem::path& {
         return token<section>(s).softhsm_conf;
       })});
}

// A custodian's name is repeated in the journal and on command lines, in front of a '='.
std::string set_custodian(std::string_view name, const toml::node& node, Settings& settings) {
  constexpr std::size_t kLongest = 64;
  const bool good =
      !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '_' || c == '-';
      });
  if (!good) return "must be named with 1 to 64 of 0-9A-Za-z._-";
  const auto file = node.value_exact<std::string>();
  if (!file) return "must be the path of a public key in quotation marks";
  if (file->empty()) return "must not be empty";
  settings.custodians.push_back(
      {std::string(name), (settings.file.parent_path() / *file).lexically_normal()});
  return {};
}

std::string set_role(std::string_view name, const toml::node& node, Settings& settings) {
  if (!is_role(name)) return "is no role: " + role_names();
  const auto group = node.value_exact<std::string>();
  if (!group || group->empty()) return "must name a group of the operating system";
  settings.roles.push_back({std::string(name), *group});
  return {};
}

std::string set_index(const toml::node& node, Settings& settings) {
  const auto value = node.value_exact<std::string>();
  if (!value || (*value != "lazy" && *value != "ahead")) return "must be \"lazy\" or \"ahead\"";
  settings.link.index =
      *value == "ahead" ? engine::IndexPolicy::kAhead : engine::IndexPolicy::kLazy;
  return {};
}

std::string set_index_size(const toml::node& node, Settings& settings) {
  constexpr std::int64_t kMost = 1 << 24U;  // 16 TiB
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < 1 || *value > kMost)
    return fmt::format("must be a whole number from 1 to {}", kMost);
  settings.link.index_bytes = static_cast<std::size_t>(*value) << 20U;
  return {};
}

std::string set_patience(const toml::node& node, Settings& settings) {
  constexpr std::int64_t kMost = 600'000;
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < 1 || *value > kMost)
    return fmt::format("must be a whole number from 1 to {}", kMost);
  settings.link.patience = std::chrono::milliseconds(*value);
  return {};
}

void add_linking_rules(std::vector<ConfigRule>& rules) {
  rules.push_back({"linking", "index", false, set_index});
  rules.push_back({"linking", "index_mib", false, set_index_size});
  rules.push_back({"linking", "quota_per_day", false,
                   number_into<std::uint64_t>(
                       [](Settings& s) -> std::uint64_t& { return s.link.quota_per_day; }, 0,
                       1'000'000'000'000)});
  rules.push_back({"linking", "patience_ms", false, set_patience});
  rules.push_back({"linking", "usage", false,
                   path_into([](Settings& s) -> std::filesystem::path& { return s.link_usage; })});
  rules.push_back({"linking", "combine", false,
                   truth_into([](Settings& s) -> bool& { return s.link.combine; })});
}

using Folder = std::filesystem::path DaemonSection::*;
using Seconds = std::uint32_t DaemonSection::*;

template <Folder folder>
void add_folder_rule(std::vector<ConfigRule>& rules, std::string_view key) {
  rules.push_back({"daemon", key, false, path_into([](Settings& s) -> std::filesystem::path& {
                     return s.daemon.*folder;
                   })});
}

template <Seconds seconds>
void add_seconds_rule(std::vector<ConfigRule>& rules, std::string_view key, std::int64_t most) {
  rules.push_back({"daemon", key, false,
                   number_into<std::uint32_t>(
                       [](Settings& s) -> std::uint32_t& { return s.daemon.*seconds; }, 1, most)});
}

void add_daemon_rules(std::vector<ConfigRule>& rules) {
  add_folder_rule<&DaemonSection::inbox>(rules, "inbox");
  add_folder_rule<&DaemonSection::work>(rules, "work");
  add_folder_rule<&DaemonSection::held>(rules, "held");
  add_folder_rule<&DaemonSection::outbox>(rules, "outbox");
  add_folder_rule<&DaemonSection::refused>(rules, "refused");
  add_folder_rule<&DaemonSection::records>(rules, "records");
  add_seconds_rule<&DaemonSection::rescan_seconds>(rules, "rescan_seconds", 86'400);
  add_seconds_rule<&DaemonSection::control_seconds>(rules, "control_seconds", 60);
  add_seconds_rule<&DaemonSection::retry_first_seconds>(rules, "retry_first_seconds", 3'600);
  add_seconds_rule<&DaemonSection::retry_most_seconds>(rules, "retry_most_seconds", 3'600);
  add_seconds_rule<&DaemonSection::stuck_after_seconds>(rules, "stuck_after_seconds", 86'400);
}

void add_exchange_rules(std::vector<ConfigRule>& rules) {
  static constexpr std::int64_t kMostMib = 1024;  // libcrypto's CMS takes messages whole
  rules.push_back(
      {"exchange", "senders", false,
       path_into([](Settings& s) -> std::filesystem::path& { return s.exchange.senders; })});
  rules.push_back(
      {"exchange", "certificates", false,
       path_into([](Settings& s) -> std::filesystem::path& { return s.exchange.certificates; })});
  rules.push_back({"exchange", "require_encrypted", false,
                   truth_into([](Settings& s) -> bool& { return s.exchange.require_encrypted; })});
  rules.push_back(
      {"exchange", "largest_mib", false, [](const toml::node& node, Settings& settings) {
         const auto value = node.value_exact<std::int64_t>();
         if (!value || *value < 1 || *value > kMostMib)
           return fmt::format("must be a whole number from 1 to {}", kMostMib);
         settings.exchange.most_bytes = static_cast<std::uint64_t>(*value) << 20U;
         return std::string();
       }});
}

std::vector<ConfigRule> make_rules() {
  std::vector<ConfigRule> rules = {
      {"", "environment", true,
       choice_into([](Settings& s) -> std::string& { return s.environment; }, "test",
                   "production")},
      {"", "time_zone", false, set_zone},
      {"", "lock_memory", false, set_lock},
      {"ledger", "directory", true,
       path_into([](Settings& s) -> std::filesystem::path& { return s.ledger_directory; })},
      {"hsm", "module", true,
       path_into([](Settings& s) -> std::filesystem::path& { return s.module; })},
      {"hsm", "max_bytes_per_call", false, set_call_size},
      {"hsm", "threads", false,
       number_into<std::size_t>([](Settings& s) -> std::size_t& { return s.threads; }, 0, 1024)},
      {"issue", "segment_rows", false,
       number_into<std::uint32_t>([](Settings& s) -> std::uint32_t& { return s.segment_rows; }, 1,
                                  4'000'000)},
      {"hsm", "evaluate_twice", false,
       truth_into([](Settings& s) -> bool& { return s.evaluate_twice; })},
      {"hsm", "allowed_mechanisms", false,
       truth_into([](Settings& s) -> bool& { return s.allowed_mechanisms; })},
      {"issue", "check_digits", false,
       truth_into([](Settings& s) -> bool& { return s.check_digits; })},
      {"issue", "reject_limit_rows", false,
       number_into<std::uint64_t>([](Settings& s) -> std::uint64_t& { return s.reject_limit_rows; },
                                  0, 1'000'000'000)},
      {"issue", "reject_limit_percent", false,
       number_into<std::uint32_t>(
           [](Settings& s) -> std::uint32_t& { return s.reject_limit_percent; }, 0, 100)},
      {"issue", "rows_per_request", false,
       rows_into([](Settings& s) -> std::uint64_t& { return s.quota.rows_per_request; })},
      {"issue", "rows_per_day", false,
       rows_into([](Settings& s) -> std::uint64_t& { return s.quota.rows_per_day; })},
      {"linking", "rows_per_file", false,
       rows_into([](Settings& s) -> std::uint64_t& { return s.link_rows_per_file; })},
      {"log", "level", false,
       word_into<parse_log_level, LogLevel>([](Settings& s) -> LogLevel& { return s.log.level; })},
      {"log", "format", false,
       word_into<parse_log_format, LogFormat>(
           [](Settings& s) -> LogFormat& { return s.log.format; })},
      {"metrics", "address", false, set_loopback},
      {"metrics", "port", false,
       number_into<std::uint16_t>([](Settings& s) -> std::uint16_t& { return s.metrics.port; }, 0,
                                  65535)},
      {"delete", "reasons", false, set_reasons},
      {"journal", "copies", false, set_copies},
  };
  add_token_rules<&Settings::issuing>(rules, "hsm.issuing");
  add_token_rules<&Settings::linking>(rules, "hsm.linking");
  add_token_rules<&Settings::standby>(rules, "hsm.standby");
  rules.push_back({"hsm.issuing", "so_pin_file", false, [](const toml::node& node, Settings& s) {
                     return set_pin_file(node, s, token<&Settings::issuing>(s).so_pin_file);
                   }});
  rules.push_back(
      {"recovery", "public_key", false,
       path_into([](Settings& s) -> std::filesystem::path& { return s.recovery.public_key; })});
  rules.push_back(
      {"recovery", "package_directory", false, path_into([](Settings& s) -> std::filesystem::path& {
         return s.recovery.package_directory;
       })});
  add_linking_rules(rules);
  add_daemon_rules(rules);
  add_exchange_rules(rules);
  return rules;
}

}  // namespace

std::span<const ConfigRule> config_rules() {
  static const std::vector<ConfigRule> rules = make_rules();
  return rules;
}

std::span<const ConfigSection> config_sections() {
  static constexpr auto sections =
      std::to_array<ConfigSection>({{"", true},
                                    {"ledger", true},
                                    {"hsm", true},
                                    {"hsm.issuing", false},
                                    {"hsm.linking", false},
                                    {"hsm.standby", false},
                                    {"journal", false},
                                    {"recovery", false},
                                    {"custodians", false, set_custodian},
                                    {"roles", false, set_role},
                                    {"issue", false},
                                    {"delete", false},
                                    {"linking", false},
                                    {"daemon", false},
                                    {"exchange", false},
                                    {"log", false},
                                    {"metrics", false}});
  return sections;
}

}  // namespace fugo::daemon
