// How a token comes back: sessions, login and handles renewed, or the whole library.
#include <fmt/format.h>

#include <algorithm>

#include "hsm/login.h"
#include "hsm/pkcs11_token.h"

namespace fugo::hsm {

Result<std::unique_lock<std::timed_mutex>> Pkcs11Token::lock_within(std::timed_mutex& mutex) {
  // Who waits for an attempt that has hung for long does not wait for all of the limit again.
  const auto patience =
      std::max(settings_.call_limit - recovery_.in_attempt(), std::chrono::milliseconds{1});
  std::unique_lock lock(mutex, patience);
  if (lock.owns_lock()) return lock;
  return fail(
      ErrorCode::kHsm,
      fmt::format("a call to the token has been hanging for {} ms", settings_.call_limit.count()),
      "PKCS#11 module", "if it stays like that, the process has to be started again");
}

Result<SessionPool::Lease> Pkcs11Token::acquire(const Entry& entry) {
  FUGO_ASSIGN(auto lease, pool_.acquire());
  // The lease keeps the epoch from changing.
  if (entry.epoch == module_->epoch()) [[likely]]
    return lease;
  return fail_rv(CKR_OBJECT_HANDLE_INVALID, "C_Initialize");
}

void Pkcs11Token::prefill(MutableByteView output) {
  const auto filler = filler_.fetch_add(1, std::memory_order_relaxed);
  std::fill(output.begin(), output.end(), filler);
}

tl::unexpected<Error> Pkcs11Token::wrong_answer(std::string what, std::string where) {
  wrong_answers_.fetch_add(1, std::memory_order_relaxed);
  return fail(ErrorCode::kHsm, std::move(what), std::move(where),
              "another key answered, or the device computes wrongly; nothing of that call was used",
              kWrongAnswer);
}

Status Pkcs11Token::make_usable() {
  const std::uint64_t generation = generation_.load();
  FUGO_TRY(recovery_.check_due());
  return recover(generation, Depth::kSessions, {});
}

Status Pkcs11Token::recover(std::uint64_t generation, Depth depth, const Error& why) {
  // Held until every handle is fresh: a thread that waits here goes on with those.
  FUGO_ASSIGN(const auto lock, lock_within(recovery_mutex_));
  if (generation_.load() != generation) return {};
  if (auto due = recovery_.check_due(); !due) {
    if (recovery_.usable()) return tl::unexpected<Error>(why);
    return due;
  }
  recovery_.begin();
  auto done = renew(depth);
  if (!done) {
    // Whatever it was: the token cannot be used now, and may be later.
    done.error().code = ErrorCode::kHsm;
    recovery_.end_badly(done.error(), false);
    return done;
  }
  generation_.fetch_add(1);
  recovery_.end_well();
  return {};
}

Status Pkcs11Token::renew(Depth depth) {
  const std::uint64_t epoch = module_->epoch();
  const auto renew_both = [this]() -> Status {
    FUGO_TRY(renew_login());
    return renew_handles();
  };
  if (depth == Depth::kSessions) {
    auto done = renew_both();
    if (done || !worth_a_recovery(done.error()) || refuses_pin(done.error().native)) return done;
  }
  if (!module_->is_foreign()) FUGO_TRY(module_->reinitialise(epoch, settings_.call_limit));
  return renew_both();
}

Status Pkcs11Token::renew_login() {
  FUGO_ASSIGN(const auto lock, lock_within(admin_mutex_));
  FUGO_ASSIGN(const auto pass, module_->enter(settings_.call_limit));
  // Old sessions first: what closes a dead one later could meet a new one of the same number.
  pool_.clear();
  sentinel_.close();
  FUGO_ASSIGN(const auto found, find_token(*module_, settings_.uri));
  pool_.move_to(found.slot);
  FUGO_ASSIGN(auto session, Session::open(module_, found.slot, Session::Access::kReadOnly));
  FUGO_TRY(log_in_user(session, found, settings_.pin_file));
  sentinel_ = std::move(session);
  const std::unique_lock keys_lock(keys_mutex_);
  info_ = found.info;
  return {};
}

Status Pkcs11Token::renew_handles() {
  std::vector<Entry> known;
  {
    const std::shared_lock lock(keys_mutex_);
    known = keys_;
  }
  for (const Entry& entry : known) {
    FUGO_ASSIGN(const auto fresh, look_up(entry.name, entry.fingerprint));
    const std::unique_lock lock(keys_mutex_);
    for (Entry& place : keys_)
      if (place.name == fresh.name) place = fresh;
  }
  return {};
}

}  // namespace fugo::hsm
