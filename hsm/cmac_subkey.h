// The subkey of CMAC.
#pragma once

#include "base/bytes.h"

namespace fugo::hsm {

// doubled is dbl() of SP 800-38B section 6.1 for 128-bit blocks: the block shifted left by one
// bit, and R_128 = 0^120 10000111 added when a one was shifted out. Takes the same time for all
// blocks. K1 of CMAC is doubled(E_K(0^128)).
[[nodiscard]] inline Block doubled(const Block& block) {
  constexpr std::uint64_t kR128 = 0x87;  // SP 800-38B section 5.3: R_128 = 0^120 || 10000111
  const auto high = load_be<std::uint64_t>(block.bytes.data());
  const auto low = load_be<std::uint64_t>(block.bytes.data() + 8);
  const std::uint64_t carry = ~((high >> 63U) - 1U);  // all ones when MSB_1(L) = 1
  Block out;
  store_be(out.bytes.data(), (high << 1U) | (low >> 63U));
  store_be(out.bytes.data() + 8, (low << 1U) ^ (carry & kR128));
  return out;
}

}  // namespace fugo::hsm
