#include "daemon/key_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/key_making.h"
#include "daemon/site_access.h"
#include "hsm/ceremony.h"
#include "keystore/standby.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

namespace fs = std::filesystem;
using hsm::KeyName;
using keystore::KeyState;

// packages_of lists what was given, or every package of the recovery folder.
Result<std::vector<fs::path>> packages_of(const Settings& settings, const KeyRecovery& wanted) {
  if (!wanted.packages.empty()) return wanted.packages;
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(settings.recovery.package_directory, error)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("recovery-package") && entry.path().extension() == ".json")
      found.push_back(entry.path());
  }
  if (error)
    return fail_errno("cannot read", settings.recovery.package_directory.string(), error.value());
  if (found.empty())
    return fail(ErrorCode::kRefused, "there is no recovery package",
                settings.recovery.package_directory.string(), "give --package FILE");
  std::sort(found.begin(), found.end());
  return found;
}

// TokenRecovery fills one token.
class TokenRecovery {
 public:
  TokenRecovery(const Settings& settings, const KeyRecovery& wanted, const hsm::RecoveryKey& key,
                std::string& applied)
      : settings_(settings), wanted_(wanted), key_(key), applied_(applied) {}

  Result<RecoveredToken> recover() {
    FUGO_ASSIGN(const auto lock, keystore::take_keys_lock(settings_.ledger_directory));
    FUGO_ASSIGN(token_, settings_.token(wanted_.role));
    FUGO_ASSIGN(const auto files, packages_of(settings_, wanted_));
    for (const auto& file : files) FUGO_TRY(read_package(file));
    hsm::finalize_all();
    FUGO_TRY(open_the_ledger());
    auto begun = check_approved();
    if (begun) begun = journal("keys.recover.start");
    if (!begun) {
      FUGO_TRY(take_back(put_));
      return tl::unexpected<Error>(begun.error());
    }
    FUGO_TRY(put_the_rest());
    FUGO_TRY(check());
    FUGO_TRY(journal("keys.recover"));
    applied_ = "the keys are in the token";
    return std::move(done_);
  }

 private:
  // read_package: of a folder full of packages one that is unreadable may not be needed.
  Status read_package(const fs::path& file) {
    auto package = hsm::read_recovery_package(file);
    if (package) {
      packages_.push_back(std::move(*package));
      return {};
    }
    if (!wanted_.packages.empty()) return tl::unexpected<Error>(std::move(package).error());
    done_.unread.push_back(package.error().message());
    return {};
  }

  Status check_approved() {
    if (settings_.custodians.empty() || wanted_.by_shares) return {};
    auto approved = [&]() -> Status {
      FUGO_ASSIGN(const auto site, open_ledger(settings_, wanted_.role, keystore::Access::kRead));
      FUGO_ASSIGN(approval_, check_approvals(settings_, *site.ledger, recover_act(wanted_.role),
                                             wanted_.approval));
      return {};
    }();
    hsm::finalize_all();
    return approved;
  }

  // open_the_ledger sees to the one key that the registry can be read with.
  Status open_the_ledger() {
    FUGO_ASSIGN(const auto header, keystore::Ledger::read_header(settings_.ledger_directory));
    const KeyName wrap{hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256,
                       header.wrap_key_version};
    FUGO_ASSIGN(const bool there, has({wrap, std::nullopt}));
    if (!there) FUGO_TRY(put({wrap}));
    auto opened = read_registry();
    if (!opened && !there) {
      opened.error().what += ": the key that the package has does not open this ledger";
      FUGO_TRY(take_back({wrap}));
    }
    return opened;
  }

  Status read_registry() {
    FUGO_ASSIGN(const auto site, open_ledger(settings_, wanted_.role, keystore::Access::kRead));
    FUGO_ASSIGN(rows_, site.ledger->key_rows());
    done_.token = site.token->description();
    hsm::finalize_all();
    return {};
  }

  Result<bool> has(const hsm::ExpectedKey& key) const {
    const auto there = [&]() -> Result<bool> {
      FUGO_ASSIGN(const auto token, hsm::Token::open(token_));
      FUGO_TRY(check_token_for(settings_, *token));
      const auto found = token->find_key(key.name, key.fingerprint);
      if (found || found.error().code == ErrorCode::kRefused) return found.has_value();
      return tl::unexpected<Error>(found.error());
    }();
    hsm::finalize_all();
    return there;
  }

  Status put_the_rest() {
    std::vector<KeyName> missing;
    for (const auto& row : rows_) {
      const auto name = name_of(row);
      const bool dead = row.state == KeyState::kDestroyed || row.state == KeyState::kMaking;
      if (dead || !placement_of(name, wanted_.role).present) continue;
      FUGO_ASSIGN(const bool there, has(expected_key(row)));
      const bool just_put = std::count(done_.labels.begin(), done_.labels.end(), row.label) != 0;
      if (there && !just_put) done_.present.push_back(row.label);
      // Nothing depends on a retired key, and its destruction may have been agreed to.
      if (!there && row.state != KeyState::kRetired) missing.push_back(name);
    }
    return put(missing);
  }

  [[nodiscard]] bool in_a_package(const KeyName& name) const {
    return std::any_of(packages_.begin(), packages_.end(),
                       [&](const auto& package) { return package_has(package, name); });
  }
  static bool package_has(const hsm::RecoveryPackage& package, const KeyName& name) {
    return std::any_of(package.keys.begin(), package.keys.end(),
                       [&](const auto& entry) { return entry.name == name; });
  }

  // put takes each key from the first package that has it.
  Status put(std::vector<KeyName> names) {
    std::vector<std::string> lacking;
    for (const auto& name : names)
      if (!in_a_package(name)) lacking.push_back(hsm::key_label(name));
    if (!lacking.empty())
      return fail(ErrorCode::kRefused,
                  fmt::format("no package has {}{}{}", fmt::join(lacking, ", "),
                              done_.unread.empty() ? "" : "; unreadable are: ",
                              fmt::join(done_.unread, "; ")),
                  "recovery packages", "give the packages of those versions too, by --package");
    for (const auto& package : packages_) {
      std::vector<KeyName> here;
      std::copy_if(names.begin(), names.end(), std::back_inserter(here),
                   [&](const KeyName& name) { return package_has(package, name); });
      if (here.empty()) continue;
      FUGO_TRY(hsm::recover_keys(token_, package, here, key_));
      hsm::finalize_all();
      for (const auto& name : here) {
        done_.labels.push_back(hsm::key_label(name));
        std::erase(names, name);
        put_.push_back(name);
      }
      applied_ = "keys were put into the token; run it again to go on";
    }
    return {};
  }

  Status take_back(const std::vector<KeyName>& names) {
    hsm::finalize_all();
    FUGO_TRY(hsm::destroy_keys(token_, names).map([](auto&&) {}));
    hsm::finalize_all();
    applied_ = "nothing was applied";
    return {};
  }

  // check looks at the whole token; keys that are not what the registry says do not stay.
  Status check() {
    std::vector<hsm::ExpectedKey> expected = expected_keys(rows_);
    auto faults = [&]() -> Result<std::vector<Error>> {
      FUGO_ASSIGN(const auto token, hsm::Token::open(token_));
      return token->verify_keys(expected);
    }();
    hsm::finalize_all();
    FUGO_TRY(faults.map([](auto&&) {}));
    if (faults->empty()) return {};
    Error first = faults->front();
    if (first.code == ErrorCode::kHsm || first.code == ErrorCode::kIo)
      return tl::unexpected<Error>(std::move(first));  // the token went away: nothing is known
    FUGO_TRY(take_back(put_));
    first.code = ErrorCode::kDamaged;
    first.hint =
        "the packages are not this ledger's, or were changed; what was put there was removed";
    return tl::unexpected<Error>(std::move(first));
  }

  // journal: a ledger that stands by is another site's, and a backup's copy is gone afterwards:
  // neither is written, and that is said.
  Status journal(const char* act) {
    done_.journaled = !wanted_.of_backup && !keystore::stands_by(settings_.ledger_directory);
    if (!done_.journaled) return {};
    FUGO_ASSIGN(const auto site, open_ledger(settings_, wanted_.role, keystore::Access::kAppend));
    FUGO_ASSIGN(const auto update, site.ledger->begin());
    nlohmann::ordered_json details = {{"role", role_name(wanted_.role)},
                                      {"token", done_.token},
                                      {"keys", done_.labels},
                                      {"present", done_.present.size()}};
    details.update(approval_);
    if (wanted_.by_shares) details["by_shares"] = true;
    FUGO_TRY(update->append_journal(wanted_.actor, act, details.dump()));
    auto done = update->commit();
    hsm::finalize_all();
    return done;
  }

  const Settings& settings_;
  const KeyRecovery& wanted_;
  const hsm::RecoveryKey& key_;
  std::string& applied_;
  hsm::TokenSettings token_;
  std::vector<hsm::RecoveryPackage> packages_;
  std::vector<keystore::KeyRow> rows_;
  std::vector<KeyName> put_;
  nlohmann::ordered_json approval_ = nlohmann::ordered_json::object();
  RecoveredToken done_;
};

}  // namespace

Result<hsm::TokenRole> read_role(const std::string& name) {
  for (const auto role :
       {hsm::TokenRole::kIssuing, hsm::TokenRole::kLinking, hsm::TokenRole::kStandby})
    if (role_name(role) == name) return role;
  return fail(ErrorCode::kUsage, "must be issuing, linking or standby", "--role");
}

KeyAct recover_act(hsm::TokenRole role) { return {"keys.recover", {role_name(role)}}; }

Result<RecoveredToken> recover_token(const Settings& settings, const KeyRecovery& wanted,
                                     const hsm::RecoveryKey& key, std::string& applied) {
  auto done = TokenRecovery(settings, wanted, key, applied).recover();
  hsm::finalize_all();
  return done;
}

}  // namespace fugo::daemon
