#include "hsm/session.h"

#include <utility>

namespace fugo::hsm {

Result<Session> Session::open(std::shared_ptr<Module> module, CK_SLOT_ID slot, Access access) {
  Session session;
  session.module_ = std::move(module);
  const CK_FLAGS flags =
      CKF_SERIAL_SESSION | (access == Access::kReadWrite ? CKF_RW_SESSION : CK_FLAGS{0});
  FUGO_CK(session.functions(), C_OpenSession, slot, flags, nullptr, nullptr, &session.handle_);
  return session;
}

Session::Session(Session&& other) noexcept
    : module_(std::move(other.module_)), handle_(std::exchange(other.handle_, CK_INVALID_HANDLE)) {}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    close();
    module_ = std::move(other.module_);
    handle_ = std::exchange(other.handle_, CK_INVALID_HANDLE);
  }
  return *this;
}

Status Session::login(CK_USER_TYPE user, Pin& pin) {
  const CK_RV rv = functions()->C_Login(handle_, user, pin.data(), pin.size());
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return {};
  return fail_rv(rv, "C_Login", rv == CKR_PIN_INCORRECT ? "check the PIN file" : "");
}

void Session::close() {
  if (handle_ == CK_INVALID_HANDLE) return;
  functions()->C_CloseSession(std::exchange(handle_, CK_INVALID_HANDLE));
  module_.reset();
}

SessionPool::Lease::~Lease() {
  if (pool_ == nullptr || spoiled_) return;
  const std::lock_guard lock(pool_->mutex_);
  pool_->idle_.push_back(std::move(session_));
}

Status SessionPool::Lease::check(CK_RV rv, const char* function) {
  if (rv == CKR_OK) [[likely]]
    return {};
  if (spoils_session(rv)) spoiled_ = true;
  return fail_rv(rv, function);
}

Result<SessionPool::Lease> SessionPool::acquire() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Session session = std::move(idle_.back());
      idle_.pop_back();
      return Lease(this, std::move(session));
    }
  }
  FUGO_ASSIGN(auto session, Session::open(module_, slot_, Session::Access::kReadOnly));
  return Lease(this, std::move(session));
}

void SessionPool::clear() {
  const std::lock_guard lock(mutex_);
  idle_.clear();
}

std::size_t SessionPool::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_.size();
}

}  // namespace fugo::hsm
