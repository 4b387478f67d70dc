#include "hsm/call_gate.h"

#include <fmt/format.h>

namespace fugo::hsm {
namespace {

tl::unexpected<Error> hung(const char* what, CallGate::Milliseconds limit) {
  return fail(ErrorCode::kHsm, fmt::format("{} for {} ms", what, limit.count()), "PKCS#11 module",
              "if it stays like that, the process has to be started again");
}

}  // namespace

Result<CallGate::Pass> CallGate::enter(Milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, limit, [this] { return !closed_; }))
    return hung("the module has been initialising itself", limit);
  ++inside_;
  return Pass(shared_from_this());
}

Status CallGate::close(Milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, limit, [this] { return !closed_; }))
    return hung("the module has been initialising itself", limit);
  closed_ = true;
  if (changed_.wait_for(lock, limit, [this] { return inside_ == 0; })) return {};
  closed_ = false;
  changed_.notify_all();
  return hung("a call to the token has been hanging", limit);
}

void CallGate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

void CallGate::leave() {
  const std::lock_guard lock(mutex_);
  if (--inside_ == 0 && closed_) changed_.notify_all();
}

}  // namespace fugo::hsm
