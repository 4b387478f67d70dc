#include "daemon/embedded_tokens.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"
#include "hsm/pin.h"
#include "hsm/setup.h"

namespace fugo::daemon {
namespace {

constexpr std::array<const char*, 4> kSoftHsmPlaces = {
    "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"};

}  // namespace

Result<std::filesystem::path> find_softhsm(const std::filesystem::path& wanted) {
  if (!wanted.empty()) return std::filesystem::absolute(wanted);
  std::error_code ignored;
  for (const char* place : kSoftHsmPlaces)
    if (std::filesystem::exists(place, ignored)) return std::filesystem::path(place);
  return fail(ErrorCode::kUsage, "SoftHSM was not found", "--module",
              "install the package softhsm2, or name its library with --module");
}

Result<hsm::TokenSettings> make_embedded_token(const std::filesystem::path& module,
                                               const std::filesystem::path& directory,
                                               const std::string& name) {
  hsm::TokenSettings token;
  token.module = module;
  token.uri = fmt::format("pkcs11:token=fugo-{}", name);
  token.pin_file = directory / "pin";
  token.softhsm_conf = directory / "softhsm2.conf";
  FUGO_TRY(make_directory(directory));
  FUGO_TRY(hsm::write_softhsm_conf(token.softhsm_conf, directory / "objects"));
  FUGO_TRY(hsm::make_pin_file(token.pin_file));
  FUGO_TRY(hsm::make_pin_file(directory / "so-pin"));
  FUGO_TRY(hsm::initialise_token(module, token.softhsm_conf, fmt::format("fugo-{}", name),
                                 directory / "so-pin", token.pin_file));
  return token;
}

Status point_softhsm_conf(const std::filesystem::path& directory,
                          const std::filesystem::path& home) {
  const auto text = fmt::format(
      "# Made by fugo init. The path must be absolute: change it when the site is moved.\n"
      "directories.tokendir = {}\n"
      "objectstore.backend = file\n"
      "log.level = ERROR\n"
      "slots.removable = false\n",
      (home / "objects").string());
  return write_durably(directory / "softhsm2.conf", as_bytes(text), 0600);
}

Status sync_tree(const std::filesystem::path& root) {
  std::error_code error;
  for (auto at = std::filesystem::recursive_directory_iterator(root, error);
       !error && at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_directory()) {
      FUGO_TRY(sync_directory(at->path()));
    } else if (at->is_regular_file()) {
      FUGO_ASSIGN(const auto file, open_file(at->path(), O_RDONLY));
      FUGO_TRY(sync_file(file.get(), at->path()));
    }
  }
  if (error) return fail_errno("cannot read the directory", root.string(), error.value());
  return sync_directory(root);
}

}  // namespace fugo::daemon
