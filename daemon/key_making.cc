#include "daemon/key_making.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/site_setup.h"
#include "hsm/ceremony.h"
#include "hsm/recovery_package.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

using hsm::KeyAlgorithm;
using hsm::KeyName;
using hsm::KeyPurpose;
using keystore::KeyState;

// kVersion is every key that one version of everything consists of.
constexpr std::array<KeyName, 10> kVersion = {{
    {KeyPurpose::kLinkage, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kLinkage, KeyAlgorithm::kHmacSha256, 1},
    {KeyPurpose::kAgency, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256, 1},
    {KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kRecord, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kRecord, KeyAlgorithm::kHmacSha256, 1},
    {KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 1},
    {KeyPurpose::kJournal, KeyAlgorithm::kEcP256, 1},
}};

struct PurposeRow {
  KeyPurpose purpose;
  const char* name;
};
constexpr std::array kPurposes = std::to_array<PurposeRow>({{KeyPurpose::kLinkage, "linkage"},
                                                            {KeyPurpose::kAgency, "agency"},
                                                            {KeyPurpose::kRecord, "record"},
                                                            {KeyPurpose::kDataWrap, "data-wrap"},
                                                            {KeyPurpose::kJournal, "journal"}});

bool contains(const std::vector<KeyName>& names, const KeyName& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// check_states refuses what must not be touched. Whatever is removed from the tokens is gone from
// everywhere but its recovery package, so a mistake of a caller must not come that far.
Status check_states(const Settings& settings, const std::vector<KeyName>& names,
                    bool (*allowed)(KeyState)) {
  FUGO_ASSIGN(const auto site,
              open_ledger_with(settings, configured_roles(settings), keystore::Access::kRead));
  FUGO_ASSIGN(const auto rows, site.ledger->key_rows());
  for (const auto& row : rows)
    if (contains(names, name_of(row)) && !allowed(row.state))
      return fail(ErrorCode::kRefused, "the key " + row.label + " is in the registry and in use",
                  "key registry", "a version of a key is never made twice");
  return {};
}

std::filesystem::path package_path(const Settings& settings, const std::string& name) {
  return settings.recovery.package_directory / fmt::format("recovery-package-{}.json", name);
}

// remove_dead_package removes the package of a ceremony that died: one of exactly these keys.
Status remove_dead_package(const std::filesystem::path& path, const std::vector<KeyName>& names) {
  if (std::error_code ignored; !std::filesystem::exists(path, ignored)) return {};
  FUGO_ASSIGN(const auto package, hsm::read_recovery_package(path));
  const bool same = package.keys.size() == names.size() &&
                    std::all_of(package.keys.begin(), package.keys.end(),
                                [&](const auto& entry) { return contains(names, entry.name); });
  if (!same)
    return fail(ErrorCode::kRefused, "there is a recovery package of other keys already",
                path.string(), "move it to where the others are kept");
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) return fail_errno("cannot remove", path.string(), error.value());
  return sync_directory(path.parent_path());
}

tl::unexpected<Error> unknown_keys(const std::string& which, const std::string& where) {
  return fail(ErrorCode::kRefused, which + ", and the ledger does not know it", where,
              "the ledger was put back to an older state, or others use its tokens: take a newer "
              "backup or the second site; if there is none, fugo keys create --past-unknown makes "
              "the versions after it");
}

// package_with is a recovery package in the folder that has one of the keys; empty: there is none.
Result<std::filesystem::path> package_with(const std::filesystem::path& directory,
                                           const std::vector<KeyName>& names) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto name = entry->path().filename().string();
    if (name.rfind("recovery-package", 0) != 0 || entry->path().extension() != ".json") continue;
    auto package = hsm::read_recovery_package(entry->path());
    if (!package) {
      package.error().hint += " (move it away if it is not of this site)";
      return tl::unexpected<Error>(package.error());
    }
    for (const auto& key : package->keys)
      if (contains(names, key.name)) return entry->path();
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail_errno("cannot read", directory.string(), error.value());
  return std::filesystem::path();
}

Result<std::vector<hsm::CeremonyTarget>> ceremony_targets(const Settings& settings) {
  std::vector<hsm::CeremonyTarget> targets;
  for (const auto& row : kSetupRoles) {
    FUGO_ASSIGN(auto token, settings.token(row.role));
    targets.push_back({std::move(token), {}});
  }
  targets.front().so_pin_file = settings.issuing->so_pin_file;
  return targets;
}

std::vector<keystore::KeyRow> rows_of(const hsm::CeremonyResult& made) {
  std::vector<keystore::KeyRow> rows;
  const auto now = unix_now();
  for (const auto& key : made.keys) {
    keystore::KeyRow row;
    row.purpose = static_cast<std::uint8_t>(key.name.purpose);
    row.algorithm = static_cast<std::uint8_t>(key.name.algorithm);
    row.version = key.name.version;
    row.state = KeyState::kPending;
    row.fingerprint = key.fingerprint;
    row.label = hsm::key_label(key.name);
    row.created = now;
    if (key.name.purpose == KeyPurpose::kJournal) row.public_key = made.journal_public_key;
    if (key.name.purpose == KeyPurpose::kDataWrap) row.public_key = made.wrapped_data_key;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::vector<KeyName> keys_of(KeyPurpose purpose, std::uint16_t version) {
  std::vector<KeyName> names;
  for (KeyName name : kVersion) {
    if (leading_purpose(name.purpose) != purpose) continue;
    name.version = version;
    names.push_back(name);
  }
  return names;
}

std::vector<KeyName> first_keys() { return {kVersion.begin(), kVersion.end()}; }

KeyPurpose leading_purpose(KeyPurpose purpose) {
  const bool xts = purpose == KeyPurpose::kAgencyXtsData || purpose == KeyPurpose::kAgencyXtsTweak;
  return xts ? KeyPurpose::kAgency : purpose;
}

const char* purpose_name(KeyPurpose purpose) {
  for (const auto& row : kPurposes)
    if (row.purpose == leading_purpose(purpose)) return row.name;
  return "unknown";
}

std::optional<KeyPurpose> find_purpose(std::string_view name) {
  for (const auto& row : kPurposes)
    if (row.name == name) return row.purpose;
  return std::nullopt;
}

KeyName name_of(const keystore::KeyRow& row) {
  return {static_cast<KeyPurpose>(row.purpose), static_cast<KeyAlgorithm>(row.algorithm),
          row.version};
}

Result<OpenLedger> open_ledger_with(const Settings& settings,
                                    const std::vector<hsm::TokenRole>& roles,
                                    keystore::Access access) {
  Result<OpenLedger> opened =
      fail(ErrorCode::kUsage, "no token that can do this is configured", settings.file.string());
  bool tried = false;
  for (const auto role : roles) {
    if (!settings.configured(role)) continue;
    auto next = open_ledger(settings, role, access);
    const bool away =
        !next && (next.error().code == ErrorCode::kHsm || next.error().code == ErrorCode::kIo);
    if (!away) return next;
    if (!tried) opened = std::move(next);
    tried = true;
  }
  return opened;
}

Result<KeyAdministration> KeyAdministration::open(const Settings& settings) {
  FUGO_ASSIGN(auto lock, keystore::take_keys_lock(settings.ledger_directory));
  return KeyAdministration(settings, std::move(lock));
}

Status KeyAdministration::check_can_make() const {
  std::vector<std::string> missing;
  for (const auto& row : kSetupRoles)
    if (!settings_->configured(row.role)) missing.push_back(fmt::format("[hsm.{}]", row.name));
  if (settings_->issuing && settings_->issuing->so_pin_file.empty())
    missing.emplace_back("hsm.issuing.so_pin_file");
  std::error_code ignored;
  if (!std::filesystem::exists(settings_->recovery.public_key, ignored))
    missing.push_back(fmt::format("recovery.public_key ({} is not there)",
                                  settings_->recovery.public_key.string()));
  if (missing.empty()) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("keys are made in all three tokens and for recovery at once; what is "
                          "missing: {}",
                          fmt::join(missing, ", ")),
              settings_->file.string(), "use a configuration for the ceremony that has all of it");
}

Status KeyAdministration::remove_remains(const std::vector<KeyName>& names) {
  for (const auto role : configured_roles(*settings_)) {
    FUGO_ASSIGN(const auto token, settings_->token(role));
    FUGO_ASSIGN(const auto description, hsm::destroy_keys(token, names));
    if (settings_->production() && description.find("SoftHSM") != std::string::npos)
      return fail(ErrorCode::kRefused, "SoftHSM is refused in production", token.uri,
                  "use the tokens of a hardware security module");
  }
  return {};
}

Status KeyAdministration::try_tokens() {
  FUGO_ASSIGN(const auto visits, visit_all({}));
  for (const auto& visit : visits)
    if (visit.error) return tl::unexpected<Error>(*visit.error);
  return {};
}

Status KeyAdministration::check_unknown(const std::vector<KeyName>& names) const {
  hsm::finalize_all();
  for (const auto role : configured_roles(*settings_)) {
    FUGO_ASSIGN(const auto token, settings_->token(role));
    const auto absent = hsm::check_keys_absent(token, names);
    if (!absent && absent.error().code == ErrorCode::kRefused)
      return unknown_keys(absent.error().what, token.uri);
    FUGO_TRY(absent);
  }
  hsm::finalize_all();
  FUGO_ASSIGN(const auto package, package_with(settings_->recovery.package_directory, names));
  return package.empty()
             ? Status()
             : unknown_keys("one of its keys is of a version to come", package.string());
}

Result<MadeKeys> KeyAdministration::make(const std::vector<KeyName>& names, const std::string& name,
                                         const std::vector<KeyName>& remains) {
  FUGO_TRY(check_can_make());
  std::vector<KeyName> dead = names;
  dead.insert(dead.end(), remains.begin(), remains.end());
  FUGO_TRY(check_states(*settings_, dead, [](KeyState s) { return s == KeyState::kMaking; }));
  hsm::finalize_all();
  MadeKeys made;
  made.recovery_package = package_path(*settings_, name);
  FUGO_TRY(make_directory(settings_->recovery.package_directory));
  FUGO_ASSIGN(const auto targets, ceremony_targets(*settings_));
  FUGO_TRY(remove_remains(remains));
  auto done =
      hsm::run_ceremony(targets, names, settings_->recovery.public_key, made.recovery_package);
  hsm::finalize_all();
  FUGO_TRY(done);
  made.rows = rows_of(*done);
  made.wrapped_data_key = std::move(done->wrapped_data_key);
  return made;
}

Result<std::vector<TokenVisit>> KeyAdministration::remove(const std::vector<KeyName>& names) {
  FUGO_TRY(check_states(*settings_, names, [](KeyState s) {
    return s != KeyState::kActive && s != KeyState::kAccepting && s != KeyState::kChain;
  }));
  return visit_all(names);
}

Status KeyAdministration::take_back(const std::vector<KeyName>& names, const std::string& name) {
  if (names.empty()) return {};
  FUGO_TRY(check_can_make());
  FUGO_TRY(check_states(*settings_, names, [](KeyState s) { return s == KeyState::kMaking; }));
  FUGO_ASSIGN(const auto visits, visit_all(names));
  for (const auto& visit : visits)
    if (visit.error) return tl::unexpected<Error>(*visit.error);
  return remove_dead_package(package_path(*settings_, name), names);
}

Result<std::vector<TokenVisit>> KeyAdministration::visit_all(const std::vector<KeyName>& names) {
  hsm::finalize_all();
  std::vector<TokenVisit> visits;
  for (const auto role : configured_roles(*settings_)) {
    TokenVisit visit;
    visit.role = role;
    FUGO_ASSIGN(const auto token, settings_->token(role));
    auto removed = hsm::destroy_keys(token, names);
    if (removed) {
      visit.token = std::move(*removed);
      visit.time = unix_now();
    } else {
      visit.error = std::move(removed).error();
    }
    visits.push_back(std::move(visit));
  }
  hsm::finalize_all();
  return visits;
}

}  // namespace fugo::daemon
