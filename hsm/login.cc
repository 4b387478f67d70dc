#include "hsm/login.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <tuple>

#include "hsm/pin.h"

namespace fugo::hsm {
namespace {

// Stamp changes when a file is replaced, written or touched.
using Stamp = std::tuple<dev_t, ino_t, off_t, std::int64_t, std::int64_t>;

Result<Stamp> stamp_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0)
    return fail_errno("cannot examine the PIN file", file.string(), errno);
  return Stamp{status.st_dev, status.st_ino, status.st_size,
               std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
               std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec};
}

// Refusal is what a token said to a PIN.
struct Refusal {
  Stamp stamp;
  CK_RV rv;
};
std::mutex refusals_mutex;
std::map<std::string, Refusal>& refusals() {
  static std::map<std::string, Refusal> by_token_and_file;
  return by_token_and_file;
}

tl::unexpected<Error> refused(CK_RV rv, const std::filesystem::path& pin_file) {
  const bool locked = rv == CKR_PIN_LOCKED;
  return fail(
      ErrorCode::kHsm, "the token refused the PIN: " + rv_name(rv), "C_Login",
      fmt::format("no login is tried with it any more, so that the token does not lock "
                  "itself; {}, then {} {}",
                  locked ? "have the security officer unlock the token" : "check the PIN file",
                  locked ? "touch" : "write or touch", pin_file.string()),
      rv);
}

}  // namespace

Status log_in_user(Session& session, const FoundToken& token,
                   const std::filesystem::path& pin_file) {
  FUGO_ASSIGN(auto pin, Pin::read(pin_file));
  FUGO_ASSIGN(const Stamp stamp, stamp_of(pin_file));
  const std::string key = describe(token.info) + '\n' + pin_file.string();
  {
    const std::lock_guard lock(refusals_mutex);
    const auto found = refusals().find(key);
    if (found != refusals().end() && found->second.stamp == stamp)
      return refused(found->second.rv, pin_file);
  }
  if ((token.info.flags & CKF_USER_PIN_LOCKED) != 0) return refused(CKR_PIN_LOCKED, pin_file);
  if ((token.info.flags & CKF_USER_PIN_FINAL_TRY) != 0)
    return fail(ErrorCode::kHsm, "the token says that one try of the PIN is left", "C_Login",
                "somebody used wrong PINs: log in by hand, with another tool, and it goes on",
                CKR_PIN_INCORRECT);
  auto done = session.login(CKU_USER, pin);
  if (!done && refuses_pin(done.error().native)) {
    const std::lock_guard lock(refusals_mutex);
    refusals()[key] = {stamp, done.error().native};
    return refused(done.error().native, pin_file);
  }
  FUGO_TRY(done);
  return session.check_logged_in();
}

}  // namespace fugo::hsm
