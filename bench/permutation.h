// Random-looking numbers without repetition and without a table.
#pragma once

#include <array>
#include <cstdint>

namespace fugo::bench {

// mix is a fast, well-spread 64-bit hash (the finaliser of SplitMix64). Not for secrets.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

// Permutation maps [0, size) onto itself, each value once, in an order that `key` chooses: a
// Feistel network over pairs of digits in base ceil(sqrt(size)), walked on until the value is in
// range. Where size is a square, as 10^10 is, there is nothing to walk.
class Permutation {
 public:
  // size is 1 ... 2^62.
  Permutation(std::uint64_t size, std::uint64_t key);

  // at gives the value at `index`, which is below size.
  [[nodiscard]] std::uint64_t at(std::uint64_t index) const;

 private:
  static constexpr std::size_t kRounds = 6;
  [[nodiscard]] std::uint64_t shuffle_once(std::uint64_t value) const;

  std::uint64_t size_;
  std::uint64_t base_;
  std::array<std::uint64_t, kRounds> round_keys_{};
};

}  // namespace fugo::bench
