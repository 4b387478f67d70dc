// Sessions with a token: owned, pooled, and closed when an error has spoiled them.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "hsm/module.h"
#include "hsm/pin.h"

namespace fugo::hsm {

// Session owns one PKCS#11 session and closes it. Use by one thread at a time.
class Session {
 public:
  // open is C_OpenSession; kReadWrite is needed to make or destroy token objects.
  enum class Access : std::uint8_t { kReadOnly, kReadWrite };
  [[nodiscard]] static Result<Session> open(std::shared_ptr<Module> module, CK_SLOT_ID slot,
                                            Access access);
  Session() = default;
  ~Session() { close(); }
  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;

  // login is C_Login; CKR_USER_ALREADY_LOGGED_IN is success, since login is per process.
  [[nodiscard]] Status login(CK_USER_TYPE user, Pin& pin);
  void close();

  [[nodiscard]] CK_SESSION_HANDLE handle() const { return handle_; }
  [[nodiscard]] CK_FUNCTION_LIST* functions() const { return module_->functions(); }

 private:
  std::shared_ptr<Module> module_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

// SessionPool keeps idle sessions for reuse. Thread-safe. It outlives its leases.
class SessionPool {
 public:
  SessionPool(std::shared_ptr<Module> module, CK_SLOT_ID slot)
      : module_(std::move(module)), slot_(slot) {}

  // Lease is the use of one session, which goes back to the pool afterwards unless spoiled.
  class Lease {
   public:
    Lease(SessionPool* pool, Session session) : pool_(pool), session_(std::move(session)) {}
    ~Lease();
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), session_(std::move(other.session_)) {}
    Lease& operator=(Lease&&) = delete;

    [[nodiscard]] CK_SESSION_HANDLE handle() const { return session_.handle(); }
    [[nodiscard]] CK_FUNCTION_LIST* functions() const { return session_.functions(); }
    [[nodiscard]] Session& session() { return session_; }
    // check turns a return value into a Status, and marks the session when the value spoils it.
    [[nodiscard]] Status check(CK_RV rv, const char* function);
    // spoil has the session closed instead of reused: an operation was left unfinished in it.
    void spoil() { spoiled_ = true; }

   private:
    SessionPool* pool_;
    Session session_;
    bool spoiled_ = false;
  };

  [[nodiscard]] Result<Lease> acquire();
  // clear closes the idle sessions.
  void clear();
  [[nodiscard]] std::size_t idle() const;

 private:
  const std::shared_ptr<Module> module_;
  const CK_SLOT_ID slot_;
  mutable std::mutex mutex_;
  std::vector<Session> idle_;  // guarded by mutex_
};

}  // namespace fugo::hsm
