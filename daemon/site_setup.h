// Making a new site: tokens with their keys, recovery package, configuration and empty ledger.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hsm/key_spec.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// GivenToken is a token that exists already, empty of fugo's keys.
struct GivenToken {
  std::string uri;
  std::filesystem::path pin_file;
};

// SetupOptions says what kind of site is wanted.
struct SetupOptions {
  std::filesystem::path directory;     // absent or empty; its parent must exist
  std::string environment = "test";    // or "production"
  std::filesystem::path module;        // PKCS#11; empty: SoftHSM, where Debian has it
  std::vector<GivenToken> tokens;      // issuing, linking, standby; empty: embedded tokens
  std::filesystem::path so_pin_file;   // of the issuing token's security officer; with tokens
  std::filesystem::path recovery_key;  // public, PEM; empty: a key pair is made (not in
                                       // production)
  std::string linkage_method;          // by name
  std::string linking_group;  // that reads the ledger, to link; empty: nobody but the owner
  keystore::Actor actor;
};

// SetupReport says where everything is.
struct SetupReport {
  std::filesystem::path directory;
  bool embedded = true;
  bool made_recovery_key = true;
  std::size_t keys = 0;
  bool shared = false;  // with a linking group: linking.toml is there
};

// set_up_site builds the site in a directory of another name beside `directory` and renames it
// when everything is there and synced: a failure or crash leaves nothing under `directory`, and
// what it leaves beside is removed by the next call. kUsage for options that contradict each
// other; kRefused for a directory in use, SoftHSM or a test method in production, or tokens that
// hold keys of fugo already. `applied` is told what a failure leaves in given tokens.
[[nodiscard]] Result<SetupReport> set_up_site(const SetupOptions& options, std::string& applied);

// kSetupRoles are the roles in the order of SetupOptions::tokens, and their names in paths.
struct SetupRole {
  hsm::TokenRole role;
  const char* name;
};
inline constexpr std::array<SetupRole, 3> kSetupRoles = {{{hsm::TokenRole::kIssuing, "issuing"},
                                                          {hsm::TokenRole::kLinking, "linking"},
                                                          {hsm::TokenRole::kStandby, "standby"}}};

}  // namespace fugo::daemon
