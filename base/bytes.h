// Byte views, the 16-byte block, and big-endian integers.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace fugo {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

// Block is one AES block, and so the form of every symbol: 16 bytes, big-endian as a number.
struct alignas(16) Block {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const Block&, const Block&) = default;
  friend auto operator<=>(const Block&, const Block&) = default;
};
static_assert(sizeof(Block) == 16);

[[nodiscard]] inline Block operator^(const Block& a, const Block& b) {
  std::uint64_t x[2], y[2];
  std::memcpy(x, a.bytes.data(), 16);
  std::memcpy(y, b.bytes.data(), 16);
  x[0] ^= y[0];
  x[1] ^= y[1];
  Block out;
  std::memcpy(out.bytes.data(), x, 16);
  return out;
}

// load_be reads a big-endian unsigned integer; `from` holds at least sizeof(Int) bytes.
template <typename Int>
[[nodiscard]] inline Int load_be(const std::uint8_t* from) {
  Int value = 0;
  for (std::size_t i = 0; i < sizeof(Int); ++i)
    value = static_cast<Int>(static_cast<Int>(value << 8U) | from[i]);
  return value;
}
template <>
[[nodiscard]] inline std::uint8_t load_be(const std::uint8_t* from) {
  return *from;
}

// store_be writes `value` big-endian into sizeof(Int) bytes at `to`.
template <typename Int>
inline void store_be(std::uint8_t* to, Int value) {
  for (std::size_t i = sizeof(Int); i-- > 0;) {
    to[i] = static_cast<std::uint8_t>(value);
    if constexpr (sizeof(Int) > 1) value = static_cast<Int>(value >> 8U);
  }
}

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace fugo
