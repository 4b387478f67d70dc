// fugo init: makes a site.
#include <fmt/format.h>

#include <array>
#include <memory>

#include "daemon/command/commands.h"
#include "daemon/site_setup.h"

namespace fugo::daemon {
namespace {

// InitOptions is what the command line says.
struct InitOptions {
  std::string directory;
  std::string environment = "test";
  std::string module;
  std::array<std::string, 3> uris, pin_files;  // in the order of kSetupRoles
  std::string so_pin_file, recovery_key;
  std::string linkage_method = "cmac-ff-aes256";
  std::string linking_group;
};

Result<SetupOptions> setup_options(const InitOptions& given) {
  SetupOptions options;
  options.directory = given.directory;
  options.environment = given.environment;
  options.module = given.module;
  options.recovery_key = given.recovery_key;
  options.so_pin_file = given.so_pin_file;
  options.linkage_method = given.linkage_method;
  options.linking_group = given.linking_group;
  std::size_t named = 0;
  for (std::size_t i = 0; i < kSetupRoles.size(); ++i) {
    named += (given.uris[i].empty() ? 0U : 1U) + (given.pin_files[i].empty() ? 0U : 1U);
    options.tokens.push_back({given.uris[i], given.pin_files[i]});
  }
  if (named == 0) options.tokens.clear();
  if (named != 0 && named != 2 * kSetupRoles.size())
    return fail(ErrorCode::kUsage, "a URI and a PIN file are needed for each of the three tokens",
                "fugo init", "a key that is in one token only can be lost");
  return options;
}

Outcome describe(const SetupReport& report, const InitOptions& given) {
  const auto at = [&](const char* name) { return (report.directory / name).string(); };
  Outcome outcome;
  outcome.document = {
      {"directory", report.directory.string()},
      {"environment", given.environment},
      {"configuration", at("fugo.toml")},
      {"ledger", at("ledger")},
      {"tokens", report.embedded ? Json(at("tokens")) : Json(nullptr)},
      {"recovery", at("recovery")},
      {"linkage_method", given.linkage_method},
      {"linking_configuration", report.shared ? Json(at("linking.toml")) : Json(nullptr)},
      {"keys", report.keys}};
  auto& text = outcome.text;
  text = fmt::format("A site of environment {} was made in {}\n\n", given.environment,
                     report.directory.string());
  text += fmt::format("  configuration  {}\n  ledger         {}\n", at("fugo.toml"), at("ledger"));
  if (report.embedded)
    text += fmt::format("  tokens         {}/{{issuing,linking,standby}}, a PIN file in each\n",
                        at("tokens"));
  if (report.shared) text += fmt::format("  for linking    {}\n", at("linking.toml"));
  text += fmt::format("  recovery       {}\n\n", at("recovery"));
  text += fmt::format("{} keys of version 1 are in the tokens.\n", report.keys);
  if (report.embedded)
    text +=
        "The tokens are SoftHSM's: software that keeps keys in files. This is for trial and test,\n"
        "not for earnest use.\n";
  if (report.made_recovery_key)
    text += fmt::format(
        "The recovery private key is beside its package and does not belong there: see {}.\n",
        at("recovery/README"));
  if (report.shared && report.embedded)
    text += fmt::format(
        "The linking token is to be the linking account's, which only root can do:\n"
        "  chown -R ACCOUNT: {}\n",
        at("tokens/linking"));
  text += fmt::format("\nNext: fugo --config {} agency import FILE\n", at("fugo.toml"));
  return outcome;
}

Result<Outcome> run(Context& context, const InitOptions& given) {
  context.applied = "nothing was made";
  FUGO_ASSIGN(auto options, setup_options(given));
  FUGO_ASSIGN(options.actor, context.actor());
  FUGO_ASSIGN(const auto report, set_up_site(options, context.applied));
  return describe(report, given);
}

}  // namespace

void add_init(CLI::App& app, Context& context) {
  auto given = std::make_shared<InitOptions>();
  auto* command = app.add_subcommand("init", "Make a site: tokens, keys, configuration, ledger");
  command->add_option("--dir", given->directory, "Directory of the site, absent or empty")
      ->required();
  command->add_option("--environment", given->environment, "test (default) or production");
  command->add_option("--module", given->module, "PKCS#11 library (default: SoftHSM's)");
  for (std::size_t i = 0; i < kSetupRoles.size(); ++i) {
    const std::string name = kSetupRoles[i].name;
    command->add_option("--" + name + "-uri", given->uris[i],
                        "RFC 7512 URI of the " + name + " token");
    command->add_option("--" + name + "-pin-file", given->pin_files[i],
                        "File with the PIN of the " + name + " token");
  }
  command->add_option("--issuing-so-pin-file", given->so_pin_file,
                      "File with the PIN of the issuing token's security officer");
  command->add_option("--recovery-public-key", given->recovery_key,
                      "RSA public key (PEM) for the recovery package (default: a pair is made)");
  command->add_option("--linking-group", given->linking_group,
                      "Group of the account that links: may read the ledger, not write it");
  command->add_option("--linkage-method", given->linkage_method,
                      "cmac-ff-aes256 (default) or hmac-sha256");
  command->callback(
      [&context, given] { context.command = [given](Context& c) { return run(c, *given); }; });
}

}  // namespace fugo::daemon
