// The configuration file fugo.toml, read and checked as a whole. Reference: docs/operation.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "daemon/exchange/rules.h"
#include "daemon/request_quota.h"
#include "daemon/seeing/log_level.h"
#include "engine/link/linking.h"
#include "hsm/token.h"

namespace fugo::daemon {

// TokenSection is one of [hsm.issuing], [hsm.linking] and [hsm.standby].
struct TokenSection {
  std::string uri;                     // RFC 7512
  std::filesystem::path pin_file;      // absolute
  std::filesystem::path softhsm_conf;  // absolute, or empty
  std::filesystem::path so_pin_file;   // of [hsm.issuing]: its security officer's; or empty
};

// RecoverySection is [recovery]: what keys that are made later are wrapped to, and where the
// packages go.
struct RecoverySection {
  std::filesystem::path public_key;         // PEM
  std::filesystem::path package_directory;  // exists
};

// Custodian is one line of [custodians]: somebody whose approval counts.
struct Custodian {
  std::string name;
  std::filesystem::path public_key;  // PEM
};

// RoleGroup is one line of [roles]: who may give the commands of a role.
struct RoleGroup {
  std::string role;   // a name of the table in daemon/roles.h
  std::string group;  // of the operating system
};

// DaemonSection is [daemon]: the folders of fugod, all on one file system, and its patience.
struct DaemonSection {
  std::filesystem::path inbox, work, held, outbox, refused, records;
  std::uint32_t rescan_seconds = 60;        // the inbox is looked at anyway this often
  std::uint32_t control_seconds = 1;        // how often the ledger is asked while something waits
  std::uint32_t retry_first_seconds = 1;    // after the first failure of the HSM or the disk
  std::uint32_t retry_most_seconds = 60;    // the delay doubles up to this
  std::uint32_t stuck_after_seconds = 900;  // without progress for so long, the watchdog is not fed
};

// LogSection is [log].
struct LogSection {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
};

// MetricsSection is [metrics].
struct MetricsSection {
  std::string address = "127.0.0.1";  // a loopback address, never another
  std::uint16_t port = 0;             // 0: no metrics are served
};

// Settings is a configuration without a mistake. Paths are absolute.
struct Settings {
  std::filesystem::path file;  // that they were read from

  std::string environment = "test";  // or "production"
  std::string time_zone = "Asia/Tokyo";
  LockMemory lock_memory = LockMemory::kPreferred;

  std::filesystem::path ledger_directory;
  // Folders that every entry of the journal is copied to: daemon/journal/live_copy.h.
  std::vector<std::filesystem::path> journal_copies;

  std::filesystem::path module;
  std::size_t max_bytes_per_call = 256 * 1024;
  std::size_t threads = 0;  // 0: one a core
  bool evaluate_twice = false;
  bool allowed_mechanisms = true;  // false: the tokens have no CKA_ALLOWED_MECHANISMS
  std::optional<TokenSection> issuing, linking, standby;
  RecoverySection recovery;
  std::vector<Custodian> custodians;  // any: keys are made and destroyed with two approvals only

  std::uint32_t segment_rows = 1'000'000;
  bool check_digits = true;
  std::uint64_t reject_limit_rows = 100;
  std::uint32_t reject_limit_percent = 10;
  std::vector<std::string> delete_reasons = {"clerical_error"};  // which is always in it
  RequestQuota quota;
  std::uint64_t link_rows_per_file = 0;  // of fugo link; 0: no limit
  std::vector<RoleGroup> roles;

  engine::LinkingSettings link;      // [linking], and time_zone: of the installed library
  std::filesystem::path link_usage;  // where processes that link leave their counts
  DaemonSection daemon;
  ExchangeRules exchange;
  LogSection log;
  MetricsSection metrics;

  [[nodiscard]] bool production() const { return environment == "production"; }
  // token gives what is needed to open the token of a role; kUsage when it is not configured.
  [[nodiscard]] Result<hsm::TokenSettings> token(hsm::TokenRole role) const;
  // status_file is where fugod writes what it does, for fugo status.
  [[nodiscard]] std::filesystem::path status_file() const {
    return ledger_directory / "fugod.json";
  }
  // configured tells whether the file has a section for this role.
  [[nodiscard]] bool configured(hsm::TokenRole role) const;
};

// parse_settings reads the text of a configuration; relative paths are relative to the directory
// of `file`, which must be absolute. kUsage names every mistake with its line: syntax, unknown
// section or key, wrong type, value out of range, missing key, check digits off in production.
[[nodiscard]] Result<Settings> parse_settings(const std::string& text,
                                              const std::filesystem::path& file);

// load_settings reads and parses a file; kUsage when there is none, kIo when it is unreadable.
[[nodiscard]] Result<Settings> load_settings(const std::filesystem::path& file);

// settings_path is where the configuration is: `option` (--config) if given, else $FUGO_CONFIG,
// else ./fugo.toml.
[[nodiscard]] std::filesystem::path settings_path(const std::optional<std::string>& option);

}  // namespace fugo::daemon
