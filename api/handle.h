// What stands behind a handle of the C interface, and how its calls begin and end.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <new>
#include <span>

#include "api/include/fugo/fugo.h"
#include "api/use_spooler.h"
#include "base/secret.h"
#include "engine/link/linking.h"

namespace fugo::api {

// OpenHandle counts the handles of this process; with the last one PKCS#11 is finished with.
class OpenHandle {
 public:
  OpenHandle();
  ~OpenHandle();
  OpenHandle(const OpenHandle&) = delete;
  OpenHandle& operator=(const OpenHandle&) = delete;
};

}  // namespace fugo::api

// A copy of it is in every forked child too, where only `owner` may be looked at: what Linking
// holds is not there (MADV_DONTFORK), and its token, readers and threads are the parent's.
struct fugo_linkage {
  pid_t owner = ::getpid();
  fugo::api::OpenHandle counted;  // before the token that `linking` holds: it goes last
  std::unique_ptr<fugo::engine::Linking> linking;
  std::unique_ptr<fugo::api::UseSpooler> uses;  // of `linking`
};

namespace fugo::api {

// guarded runs what may throw: nothing crosses the edge of the library.
template <typename Work>
fugo_status guarded(Work&& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return FUGO_UNAVAILABLE;
  } catch (...) {
    return FUGO_INTERNAL;
  }
}

// usable is what every call asks first.
inline fugo_status usable(const fugo_linkage* handle) {
  if (handle == nullptr) return FUGO_BAD_CALL;
  return handle->owner == ::getpid() ? FUGO_OK : FUGO_FORKED;
}

// Scratch is memory for `count` items of one call, on the stack when they are few, wiped after use.
template <typename T>
class Scratch {
 public:
  explicit Scratch(std::size_t count) : count_(count) {
    if (count > kFew) many_ = std::make_unique<T[]>(count);
  }
  ~Scratch() { wipe(span().data(), count_ * sizeof(T)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] std::span<T> span() { return {many_ ? many_.get() : few_.data(), count_}; }
  [[nodiscard]] T& operator[](std::size_t i) { return span()[i]; }

 private:
  static constexpr std::size_t kFew = 8;
  std::size_t count_;
  std::array<T, kFew> few_{};
  std::unique_ptr<T[]> many_;
};

}  // namespace fugo::api
