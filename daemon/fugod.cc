// The daemon `fugod`.
#include <fmt/format.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/command/context.h"
#include "daemon/config.h"
#include "daemon/seeing/log.h"
#include "daemon/service/service.h"
#include "hsm/token.h"

namespace {

using namespace fugo;
using namespace fugo::daemon;

int failure(const Error& error) {
  fmt::print(stderr, "fugod: {}\n", error.message());
  return static_cast<int>(exit_code_of(error.code));
}

Status serve(const std::optional<std::string>& config) {
  FUGO_ASSIGN(const auto settings, load_settings(settings_path(config)));
  FUGO_TRY(settings.token(hsm::TokenRole::kIssuing).map([](auto&&) {}));
  FUGO_TRY(set_time_zone(settings.time_zone));
  set_lock_policy(settings.lock_memory);
  start_log("fugod", settings.log.format, settings.log.level);
  return run_service(settings);
}

int run(int argc, const char* const* argv) {
  if (const auto hardened = harden_process(); !hardened) return failure(hardened.error());
  ::umask(077);
  block_signals();
  std::optional<std::string> config;
  CLI::App app("fugod: takes request files from a folder, and answers each once.", "fugod");
  app.set_version_flag("--version", "fugod " FUGO_VERSION);
  app.add_option("--config", config,
                 "Configuration file (default: $FUGO_CONFIG, else ./fugo.toml)");
  app.footer(
      "It stays in the foreground: let systemd or another supervisor start it. SIGTERM stops "
      "it,\nSIGHUP reads the configuration and the registries again. Exit codes are those "
      "of fugo.");
  try {
    app.parse(argc, argv);
    const auto served = serve(config);
    return served ? 0 : failure(served.error());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return failure({ErrorCode::kUsage, error.what(), {}, "fugod --help tells more"});
  } catch (const std::exception& error) {
    return failure({ErrorCode::kInternal, error.what(), {}, "what was committed stays"});
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int exit_code = run(argc, argv);
  // SoftHSM crashes when it is called from static destructors: be done with PKCS#11 here.
  fugo::hsm::finalize_all();
  return exit_code;
}
