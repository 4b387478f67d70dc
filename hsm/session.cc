#include "hsm/session.h"

#include <utility>

namespace fugo::hsm {

Result<Session> Session::open(std::shared_ptr<Module> module, CK_SLOT_ID slot, Access access) {
  Session session;
  session.module_ = std::move(module);
  session.epoch_ = session.module_->epoch();
  const CK_FLAGS flags =
      CKF_SERIAL_SESSION | (access == Access::kReadWrite ? CKF_RW_SESSION : CK_FLAGS{0});
  const CK_RV rv =
      session.functions()->C_OpenSession(slot, flags, nullptr, nullptr, &session.handle_);
  if (rv != CKR_OK) session.handle_ = CK_INVALID_HANDLE;
  if (rv != CKR_OK) return fail_rv(rv, "C_OpenSession");
  if (session.handle_ == CK_INVALID_HANDLE)
    return fail_rv(CKR_SESSION_HANDLE_INVALID, "C_OpenSession");
  return session;
}

Session::Session(Session&& other) noexcept
    : module_(std::move(other.module_)),
      handle_(std::exchange(other.handle_, CK_INVALID_HANDLE)),
      epoch_(other.epoch_) {}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    close();
    module_ = std::move(other.module_);
    handle_ = std::exchange(other.handle_, CK_INVALID_HANDLE);
    epoch_ = other.epoch_;
  }
  return *this;
}

Status Session::login(CK_USER_TYPE user, Pin& pin) {
  const CK_RV rv = functions()->C_Login(handle_, user, pin.data(), pin.size());
  if (rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN) return {};
  return fail_rv(rv, "C_Login", rv == CKR_PIN_INCORRECT ? "check the PIN file" : "");
}

Status Session::check_logged_in() const {
  CK_SESSION_INFO info{};
  FUGO_CK(functions(), C_GetSessionInfo, handle_, &info);
  if (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS) return {};
  return fail_rv(CKR_USER_NOT_LOGGED_IN, "C_GetSessionInfo");
}

void Session::close() {
  if (handle_ == CK_INVALID_HANDLE) return;
  if (!is_void()) functions()->C_CloseSession(handle_);
  forget();
}

void Session::forget() {
  handle_ = CK_INVALID_HANDLE;
  module_.reset();
}

SessionPool::Lease::~Lease() {
  if (pool_ == nullptr) return;
  if (spoiled_) {
    pool_->dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const std::lock_guard lock(pool_->mutex_);
  pool_->idle_.push_back(std::move(session_));
}

Status SessionPool::Lease::check(CK_RV rv, const char* function) {
  if (rv == CKR_OK) [[likely]]
    return {};
  if (spoils_session(rv)) spoiled_ = true;
  if (ends_session(rv)) session_.forget();
  return fail_rv(rv, function);
}

Result<SessionPool::Lease> SessionPool::acquire() {
  FUGO_ASSIGN(auto pass, module_->enter(limit_));
  {
    const std::lock_guard lock(mutex_);
    while (!idle_.empty()) {
      Session session = std::move(idle_.back());
      idle_.pop_back();
      if (!session.is_void()) return Lease(this, std::move(pass), std::move(session));
      dropped_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  FUGO_ASSIGN(auto session, Session::open(module_, slot_.load(), Session::Access::kReadOnly));
  return Lease(this, std::move(pass), std::move(session));
}

void SessionPool::clear() {
  std::vector<Session> idle;
  {
    const std::lock_guard lock(mutex_);
    idle.swap(idle_);
  }
  // Without the lock: a call that closes a session may hang.
  dropped_.fetch_add(idle.size(), std::memory_order_relaxed);
  idle.clear();
}

}  // namespace fugo::hsm
