// What became of locking secrets into memory, for whoever warns of it.
#pragma once

#include <cstddef>

namespace fugo {

// most_unlocked_bytes is the largest number of secret bytes that were ever alive at once in this
// process and could not be locked; see unlocked_bytes. Thread-safe.
[[nodiscard]] std::size_t most_unlocked_bytes();

}  // namespace fugo
