// Searching the whole memory of this process for secrets that should not be there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace fugo::test {

// Inverted copies, so that what is searched for is not what searches.
using Inverted = std::vector<std::vector<std::uint8_t>>;
void add_inverted(ByteView bytes, Inverted& to);

// Places counts where one of them lies: in locked memory, or in other memory, which is named.
struct Places {
  std::size_t locked = 0, open = 0;
  std::string where;
};
[[nodiscard]] Places search(const Inverted& wanted);  // each at most 64 bytes

}  // namespace fugo::test
