#include "daemon/site_access.h"

#include <fmt/format.h>

#include <functional>
#include <string>
#include <utility>

#include "daemon/journal/live_copy.h"
#include "daemon/site_setup.h"
#include "daemon/standby_access.h"
#include "engine/methods.h"
#include "keystore/standby.h"

namespace fugo::daemon {
namespace {

Status check_methods(const Settings& settings, engine::Site& site) {
  if (!settings.production()) return {};
  const auto test_only = [](std::uint8_t number) {
    const auto* method = engine::find_method(number);
    return method != nullptr && method->test_only;
  };
  bool found = false;
  for (const auto& generation : site.generations())
    found = found || test_only(generation.linkage_method);
  for (const auto& agency : site.agencies())
    for (const auto& version : agency.versions) found = found || test_only(version.method);
  if (!found) return {};
  return fail(ErrorCode::kRefused, "the ledger uses a test method, which production refuses",
              settings.ledger_directory.string());
}

using OpenByKey =
    std::function<Result<std::unique_ptr<keystore::Ledger>>(const SecretBytes<32>& data_key)>;

Result<SecretBytes<32>> data_key_of(hsm::Token& token, const keystore::LedgerHeader& header) {
  const hsm::KeyName name{hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256,
                          header.wrap_key_version};
  FUGO_ASSIGN(const auto wrap_key, token.find_key(name, std::nullopt));
  return token.unwrap_data_key(wrap_key, header.wrapped_data_key);
}

// copy_acts: what is committed through this ledger goes to every copy of the journal.
Status copy_acts(const Settings& settings, keystore::Ledger& ledger) {
  if (settings.journal_copies.empty()) return {};
  return keystore::keep_copies(ledger, std::make_shared<LiveCopies>(settings.journal_copies));
}

// open_by opens with the data key that the header holds. A regeneration may give the ledger a new
// one between the look at the header and the opening: then it is tried with that.
Result<OpenLedger> open_by(const Settings& settings, hsm::TokenRole role, const OpenByKey& open) {
  constexpr int kTries = 3;
  OpenLedger opened;
  FUGO_ASSIGN(auto header, keystore::Ledger::read_header(settings.ledger_directory));
  FUGO_TRY(check_environment(settings, header));
  FUGO_ASSIGN(const auto wanted, settings.token(role));
  FUGO_ASSIGN(opened.token, hsm::Token::open(wanted));
  FUGO_TRY(check_token_for(settings, *opened.token));
  for (int attempt = 1;; ++attempt) {
    auto ledger = [&]() -> Result<std::unique_ptr<keystore::Ledger>> {
      FUGO_ASSIGN(const auto data_key, data_key_of(*opened.token, header));
      return open(data_key);
    }();
    if (ledger) {
      opened.ledger = std::move(*ledger);
      FUGO_TRY(copy_acts(settings, *opened.ledger));
      return opened;
    }
    FUGO_ASSIGN(auto now, keystore::Ledger::read_header(settings.ledger_directory));
    if (attempt == kTries || now.wrapped_data_key == header.wrapped_data_key)
      return tl::unexpected<Error>(std::move(ledger).error());
    header = std::move(now);
  }
}

}  // namespace

std::vector<hsm::TokenRole> configured_roles(const Settings& settings) {
  std::vector<hsm::TokenRole> roles;
  for (const auto& row : kSetupRoles)
    if (settings.configured(row.role)) roles.push_back(row.role);
  return roles;
}

const char* role_name(hsm::TokenRole role) {
  for (const auto& row : kSetupRoles)
    if (row.role == role) return row.name;
  return "unknown";
}

Result<hsm::TokenRole> any_role(const Settings& settings) {
  const auto roles = configured_roles(settings);
  if (roles.empty())
    return fail(ErrorCode::kUsage, "no token is configured", settings.file.string(),
                "add [hsm.issuing], [hsm.linking] or [hsm.standby]");
  return roles.front();
}

hsm::ExpectedKey expected_key(const keystore::KeyRow& row) {
  hsm::ExpectedKey key;
  key.name = {static_cast<hsm::KeyPurpose>(row.purpose),
              static_cast<hsm::KeyAlgorithm>(row.algorithm), row.version};
  // A wrap key has no fingerprint: that the data key unwraps is its check.
  if (key.name.purpose != hsm::KeyPurpose::kDataWrap) key.fingerprint = row.fingerprint;
  // Its destruction may have reached some of the tokens.
  key.may_be_absent = row.state == keystore::KeyState::kRetired;
  return key;
}

std::vector<hsm::ExpectedKey> expected_keys(const std::vector<keystore::KeyRow>& rows) {
  std::vector<hsm::ExpectedKey> keys;
  for (const auto& row : rows)
    if (row.state != keystore::KeyState::kDestroyed && row.state != keystore::KeyState::kMaking)
      keys.push_back(expected_key(row));
  return keys;
}

Status check_environment(const Settings& settings, const keystore::LedgerHeader& header) {
  if (header.environment == settings.environment) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("environment is \"{}\", but the ledger's is \"{}\"", settings.environment,
                          header.environment),
              settings.file.string(), "use the configuration that belongs to this ledger");
}

Status check_token_for(const Settings& settings, const hsm::Token& token) {
  if (!settings.production() || token.description().find("SoftHSM") == std::string::npos) return {};
  return fail(ErrorCode::kRefused, "SoftHSM is refused in production", settings.module.string(),
              "use the tokens of a hardware security module");
}

Result<OpenLedger> open_ledger(const Settings& settings, hsm::TokenRole role,
                               keystore::Access access) {
  return open_by(settings, role, [&](const SecretBytes<32>& data_key) {
    return keystore::Ledger::open(settings.ledger_directory, access, data_key);
  });
}

Result<OpenLedger> open_standby_ledger(const Settings& settings, hsm::TokenRole role) {
  return open_by(settings, role, [&](const SecretBytes<32>& data_key) {
    return keystore::open_standby(settings.ledger_directory, data_key);
  });
}

Result<std::unique_ptr<engine::Site>> open_site(const Settings& settings, hsm::TokenRole role,
                                                keystore::Access access) {
  if (role == hsm::TokenRole::kLinking) FUGO_TRY(keystore::check_serves(settings.ledger_directory));
  engine::SiteSettings wanted;
  wanted.ledger_directory = settings.ledger_directory;
  FUGO_ASSIGN(wanted.token, settings.token(role));
  FUGO_ASSIGN(const auto header, keystore::Ledger::read_header(settings.ledger_directory));
  FUGO_TRY(check_environment(settings, header));
  FUGO_ASSIGN(auto site, engine::Site::open(wanted, access));
  FUGO_TRY(check_token_for(settings, site->token()));
  FUGO_TRY(check_methods(settings, *site));
  FUGO_TRY(copy_acts(settings, site->ledger()));
  return site;
}

}  // namespace fugo::daemon
