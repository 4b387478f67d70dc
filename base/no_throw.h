// Exceptions of libraries below, made errors at the edges of what promises not to throw.
#pragma once

#include <exception>
#include <new>
#include <system_error>

#include "base/result.h"

namespace fugo {

// no_throw runs `work`, which gives a Status; what it throws becomes an error: kIo where memory or
// the system failed, else kInternal. The texts are short enough to need no memory themselves.
template <typename Work>
[[nodiscard]] Status no_throw(const Work& work) noexcept {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kIo, "no memory left");
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kIo, "system refused", {}, {},
                static_cast<std::uint64_t>(error.code().value()));
  } catch (...) {
    return fail(ErrorCode::kInternal, "a call threw");
  }
}

}  // namespace fugo
