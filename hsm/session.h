// Sessions with a token: owned, pooled, and closed when an error has spoiled them.
#pragma once

#include <atomic>
#include <chrono>
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

  // login is C_Login; CKR_USER_ALREADY_LOGGED_IN is success, since login is per process. See
  // log_in_user() for a login that repeats itself.
  [[nodiscard]] Status login(CK_USER_TYPE user, Pin& pin);
  // check_logged_in is CKR_USER_NOT_LOGGED_IN where the user's private objects cannot be seen:
  // a search would find no key and say nothing of why.
  [[nodiscard]] Status check_logged_in() const;
  // close ends the session; nothing to do when the library was initialised anew since.
  void close();
  // forget lets go of a session that is gone: its number may name another one by now.
  void forget();

  // is_void tells whether the library was initialised anew since this session was opened.
  [[nodiscard]] bool is_void() const { return module_->epoch() != epoch_; }
  [[nodiscard]] CK_SESSION_HANDLE handle() const { return handle_; }
  [[nodiscard]] CK_FUNCTION_LIST* functions() const { return module_->functions(); }

 private:
  std::shared_ptr<Module> module_;
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
  std::uint64_t epoch_ = 0;
};

// SessionPool keeps idle sessions for reuse. Thread-safe. It outlives its leases.
class SessionPool {
 public:
  // `limit` is how long acquire() waits while the library is initialised anew.
  SessionPool(std::shared_ptr<Module> module, CK_SLOT_ID slot, std::chrono::milliseconds limit)
      : module_(std::move(module)), limit_(limit), slot_(slot) {}

  // Lease is the use of one session, which goes back to the pool afterwards unless spoiled. The
  // library is not initialised anew meanwhile. A thread has one Lease at a time.
  class Lease {
   public:
    Lease(SessionPool* pool, CallGate::Pass pass, Session session)
        : pool_(pool), pass_(std::move(pass)), session_(std::move(session)) {}
    ~Lease();
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)),
          pass_(std::move(other.pass_)),
          session_(std::move(other.session_)),
          spoiled_(other.spoiled_) {}
    Lease& operator=(Lease&&) = delete;

    [[nodiscard]] CK_SESSION_HANDLE handle() const { return session_.handle(); }
    [[nodiscard]] CK_FUNCTION_LIST* functions() const { return pool_->module_->functions(); }
    [[nodiscard]] const Session& session() const { return session_; }
    // check turns a return value into a Status, and marks the session when the value spoils it.
    [[nodiscard]] Status check(CK_RV rv, const char* function);
    // spoil has the session closed instead of reused: an operation was left unfinished in it, or
    // `rv` says that it is gone.
    void spoil(CK_RV rv = CKR_OK) {
      spoiled_ = true;
      if (ends_session(rv)) session_.forget();
    }

   private:
    SessionPool* pool_;
    CallGate::Pass pass_;  // given back after the session
    Session session_;
    bool spoiled_ = false;
  };

  [[nodiscard]] Result<Lease> acquire();
  // clear closes the idle sessions; with a Pass held, and no Lease.
  void clear();
  // move_to is for a token that came back in another slot.
  void move_to(CK_SLOT_ID slot) { slot_.store(slot); }
  // dropped counts the sessions that were closed because they were spoiled, or might have been.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  const std::shared_ptr<Module> module_;
  const std::chrono::milliseconds limit_;
  std::atomic<CK_SLOT_ID> slot_;
  std::atomic<std::uint64_t> dropped_{0};
  std::mutex mutex_;
  std::vector<Session> idle_;  // guarded by mutex_
};

}  // namespace fugo::hsm
