// Owned: a pointer that a C library's function releases.
#pragma once

#include <memory>

namespace fugo {

template <auto release>
struct ReleaseBy {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};

// Owned<EVP_PKEY, EVP_PKEY_free> releases what it holds by that function.
template <typename T, auto release>
using Owned = std::unique_ptr<T, ReleaseBy<release>>;

}  // namespace fugo
