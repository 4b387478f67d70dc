#include "daemon/site_setup.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/group_share.h"
#include "base/text.h"
#include "daemon/build_directory.h"
#include "daemon/embedded_tokens.h"
#include "daemon/key_making.h"
#include "daemon/link_usage.h"
#include "engine/methods.h"
#include "hsm/ceremony.h"
#include "hsm/setup.h"

namespace fugo::daemon {
namespace {

using hsm::KeyAlgorithm;
using hsm::KeyPurpose;

constexpr std::string_view kRecoveryReadme =
    "This directory holds what is needed to rebuild the tokens when all of them are lost.\n"
    "\n"
    "recovery-package.json  every key, wrapped to the recovery public key\n"
    "recovery-public.pem    the recovery public key\n"
    "recovery-private.pem   the recovery private key: opens the package\n"
    "\n"
    "THE PRIVATE KEY DOES NOT BELONG HERE. Whoever has it and the package has every key of this\n"
    "site. It was made here only so that a trial needs no further steps. For earnest use, make\n"
    "the key pair elsewhere, keep the private key away from this site and from its operators,\n"
    "and give fugo init the public key (--recovery-public-key).\n";

class SiteBuilder {
 public:
  SiteBuilder(const SetupOptions& options, std::optional<gid_t> group, BuildDirectory& build,
              std::string& applied)
      : options_(options),
        group_(group),
        home_(build.path()),
        target_(build.target()),
        applied_(applied) {}

  Status build() {
    FUGO_TRY(make_directory(home_ / "ledger"));
    // Before anything is in it: what is made there takes group and mode from it.
    if (group_) FUGO_TRY(share_directory(home_ / "ledger", *group_));
    FUGO_TRY(make_directory(home_ / "recovery"));
    FUGO_TRY(prepare_tokens());
    FUGO_TRY(prepare_recovery_key());
    std::vector<hsm::CeremonyTarget> targets;
    for (const auto& token : tokens_) targets.push_back({token, {}});
    targets.front().so_pin_file = so_pin_file_;
    FUGO_ASSIGN(ceremony_, hsm::run_ceremony(targets, first_keys(), recovery_key_,
                                             home_ / "recovery/recovery-package.json"));
    if (!embedded())
      applied_ = "the keys of version 1 that were made are in the tokens: remove them there";
    FUGO_TRY(create_ledger());
    hsm::finalize_all();  // the tokens' directories must not be in use when they move
    FUGO_TRY(write_configuration());
    if (embedded())
      for (const auto& role : kSetupRoles)
        FUGO_TRY(point_softhsm_conf(home_ / "tokens" / role.name, target_ / "tokens" / role.name));
    return sync_tree(home_);
  }

 private:
  [[nodiscard]] bool embedded() const { return options_.tokens.empty(); }

  Status prepare_tokens() {
    if (embedded()) {
      FUGO_ASSIGN(module_, find_softhsm(options_.module));
      FUGO_TRY(make_directory(home_ / "tokens"));
    } else {
      module_ = std::filesystem::absolute(options_.module);
    }
    for (std::size_t i = 0; i < kSetupRoles.size(); ++i) {
      hsm::TokenSettings token;
      if (embedded()) {
        const auto* name = kSetupRoles[i].name;
        FUGO_ASSIGN(token, make_embedded_token(module_, home_ / "tokens" / name, name));
      } else {
        token.module = module_;
        token.uri = options_.tokens[i].uri;
        token.pin_file = std::filesystem::absolute(options_.tokens[i].pin_file);
        FUGO_TRY(try_given_token(token));
      }
      token.role = kSetupRoles[i].role;
      tokens_.push_back(std::move(token));
    }
    so_pin_file_ = embedded() ? home_ / "tokens/issuing/so-pin"
                              : std::filesystem::absolute(options_.so_pin_file);
    return {};
  }

  // A given token is tried before anything is made in any of them.
  Status try_given_token(const hsm::TokenSettings& settings) {
    FUGO_ASSIGN(const auto token, hsm::Token::open(settings));
    const auto name = token->description();  // the serial number included
    if (std::find(given_.begin(), given_.end(), name) != given_.end())
      return fail(ErrorCode::kUsage, "the token " + name + " was given for two roles", settings.uri,
                  "issuing, linking and standby must be three tokens");
    given_.push_back(name);
    if (options_.environment == "production" &&
        token->description().find("SoftHSM") != std::string::npos)
      return fail(ErrorCode::kRefused, "SoftHSM is refused in production", settings.uri,
                  "use the tokens of a hardware security module");
    return {};
  }

  Status prepare_recovery_key() {
    if (!options_.recovery_key.empty()) {
      recovery_key_ = std::filesystem::absolute(options_.recovery_key);
      return {};
    }
    FUGO_ASSIGN(const auto files, hsm::make_recovery_key_pair(home_ / "recovery"));
    recovery_key_ = files.public_key;
    return write_durably(home_ / "recovery/README", as_bytes(kRecoveryReadme), 0644);
  }

  Status create_ledger() {
    FUGO_ASSIGN(const auto token, hsm::Token::open(tokens_.front()));
    keystore::LedgerHeader header;
    FUGO_TRY(token->random(header.ledger_id.bytes));
    header.environment = options_.environment;
    header.wrapped_data_key = ceremony_.wrapped_data_key;
    header.created = unix_now();
    FUGO_ASSIGN(const auto wrap_key,
                token->find_key({KeyPurpose::kDataWrap, KeyAlgorithm::kAes256, 1}, std::nullopt));
    FUGO_ASSIGN(const auto data_key, token->unwrap_data_key(wrap_key, header.wrapped_data_key));
    return keystore::Ledger::create(
        home_ / "ledger", header, data_key,
        [&](keystore::Update& update) { return fill(update, header.created); });
  }

  Status fill(keystore::Update& update, std::int64_t now) {
    auto labels = nlohmann::ordered_json::array();
    for (const auto& key : ceremony_.keys) {
      keystore::KeyRow row;
      row.purpose = static_cast<std::uint8_t>(key.name.purpose);
      row.algorithm = static_cast<std::uint8_t>(key.name.algorithm);
      row.version = key.name.version;
      row.state = keystore::KeyState::kActive;
      row.fingerprint = key.fingerprint;
      row.label = hsm::key_label(key.name);
      row.created = now;
      if (key.name.purpose == KeyPurpose::kJournal) row.public_key = ceremony_.journal_public_key;
      FUGO_TRY(update.put_key(row));
      labels.push_back(row.label);
    }
    keystore::GenerationRow generation;
    generation.linkage_method =
        static_cast<std::uint8_t>(engine::find_method(options_.linkage_method)->number);
    generation.created = now;
    FUGO_TRY(update.put_generation(generation));
    const nlohmann::ordered_json details = {{"environment", options_.environment},
                                            {"linkage_method", options_.linkage_method},
                                            {"schema", keystore::kSchemaVersion},
                                            {"keys", labels}};
    return update.append_journal(options_.actor, "init", details.dump());
  }

  // With a linking group each account has a configuration with the tokens that are its own.
  Status write_configuration() {
    const auto issuing = home_ / "fugo.toml", linking = home_ / "linking.toml";
    if (!group_) return write_durably(issuing, as_bytes(config_text(true, true)), 0600);
    FUGO_TRY(write_durably(issuing, as_bytes(config_text(true, false)), 0600));
    FUGO_TRY(write_durably(linking, as_bytes(config_text(false, true)), 0640));
    FUGO_TRY(give_to_group(linking, *group_, 0640));
    const auto uses = home_ / kLinkUsageFolder;
    FUGO_TRY(make_directory(uses));
    FUGO_TRY(give_to_group(uses, *group_, kLinkUsageMode));
    // To pass through; only the owner lists them.
    if (embedded()) FUGO_TRY(give_to_group(home_ / "tokens", *group_, 0710));
    return give_to_group(home_, *group_, 0710);
  }

  // Within the site paths are relative, so that what moves with it is found.
  [[nodiscard]] std::string config_text(bool issuing, bool linking) const {
    std::string text = fmt::format(
        "# The site's configuration; docs/operation.md lists every key.\n"
        "environment = {}\ntime_zone = \"Asia/Tokyo\"\nlock_memory = \"preferred\"\n\n"
        "[ledger]\ndirectory = \"ledger\"\n\n[hsm]\nmodule = {}\n",
        quoted(options_.environment), quoted(module_.string()));
    for (std::size_t i = 0; i < kSetupRoles.size(); ++i) {
      if (!(kSetupRoles[i].role == hsm::TokenRole::kLinking ? linking : issuing)) continue;
      const std::string name = kSetupRoles[i].name;
      const auto pin = embedded() ? "tokens/" + name + "/pin" : tokens_[i].pin_file.string();
      text += fmt::format("\n[hsm.{}]\nuri = {}\npin_file = {}\n", name, quoted(tokens_[i].uri),
                          quoted(pin));
      if (embedded())
        text += fmt::format("softhsm_conf = {}\n", quoted("tokens/" + name + "/softhsm2.conf"));
      if (kSetupRoles[i].role == hsm::TokenRole::kIssuing)
        text += fmt::format("so_pin_file = {}\n",
                            quoted(embedded() ? "tokens/issuing/so-pin" : so_pin_file_.string()));
    }
    // Only whoever has the issuing token makes keys.
    if (issuing)
      text += fmt::format("\n[recovery]\npublic_key = {}\npackage_directory = \"recovery\"\n",
                          quoted(options_.recovery_key.empty() ? "recovery/recovery-public.pem"
                                                               : recovery_key_.string()));
    return text;
  }

  // JSON's strings are TOML's basic strings.
  static std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  const SetupOptions& options_;
  const std::optional<gid_t> group_;  // that links
  const std::filesystem::path home_, target_;
  std::string& applied_;
  std::filesystem::path module_, recovery_key_, so_pin_file_;
  std::vector<hsm::TokenSettings> tokens_;
  std::vector<std::string> given_;  // what the given tokens are called
  hsm::CeremonyResult ceremony_;
};

Status check(const SetupOptions& options) {
  const bool production = options.environment == "production";
  if (!production && options.environment != "test")
    return fail(ErrorCode::kUsage, "must be test or production", "--environment");
  if (!options.tokens.empty() && options.module.empty())
    return fail(ErrorCode::kUsage, "tokens were given without a module", "--module");
  if (!options.tokens.empty() && options.so_pin_file.empty())
    return fail(ErrorCode::kUsage, "the PIN of the issuing token's security officer is needed",
                "--issuing-so-pin-file", "the officer marks the keys that wrap as trusted");
  if (production && options.tokens.empty())
    return fail(ErrorCode::kUsage, "production needs tokens of its own", "--environment",
                "give --module, --issuing-uri, --linking-uri, --standby-uri and their PIN files");
  if (production && options.recovery_key.empty())
    return fail(ErrorCode::kUsage, "production needs a recovery key that was made elsewhere",
                "--recovery-public-key");
  const auto* method = engine::find_method(options.linkage_method);
  if (method == nullptr || !method->for_linkage)
    return fail(ErrorCode::kUsage, "is not a method for linkage symbols", "--linkage-method",
                "cmac-ff-aes256 or hmac-sha256");
  if (method->test_only && production)
    return fail(ErrorCode::kRefused, "test methods are refused in production", "--linkage-method");
  return {};
}

}  // namespace

Result<SetupReport> set_up_site(const SetupOptions& options, std::string& applied) {
  FUGO_TRY(check(options));
  std::optional<gid_t> group;
  if (!options.linking_group.empty()) {
    FUGO_ASSIGN(group, find_group(options.linking_group));
  }
  FUGO_ASSIGN(auto build, BuildDirectory::create(options.directory));
  SiteBuilder builder(options, group, build, applied);
  const auto built = builder.build();
  hsm::finalize_all();  // before the directory with the tokens goes
  FUGO_TRY(built);
  FUGO_TRY(build.publish());
  return SetupReport{build.target(), options.tokens.empty(), options.recovery_key.empty(),
                     first_keys().size(), group.has_value()};
}

}  // namespace fugo::daemon
