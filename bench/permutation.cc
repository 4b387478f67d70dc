#include "bench/permutation.h"

#include <cmath>

namespace fugo::bench {

Permutation::Permutation(std::uint64_t size, std::uint64_t key)
    : size_(size), base_(static_cast<std::uint64_t>(std::sqrt(static_cast<double>(size)))) {
  // The root of a double is off by at most one here; base * base must cover the range.
  while (base_ > 1 && (base_ - 1) * (base_ - 1) >= size_) --base_;
  while (base_ * base_ < size_) ++base_;
  for (std::size_t i = 0; i < kRounds; ++i) round_keys_[i] = mix(key ^ mix(i + 1));
}

std::uint64_t Permutation::shuffle_once(std::uint64_t value) const {
  std::uint64_t left = value / base_;
  std::uint64_t right = value % base_;
  for (const std::uint64_t round_key : round_keys_) {
    std::uint64_t sum = left + mix(right ^ round_key) % base_;
    if (sum >= base_) sum -= base_;
    left = right;
    right = sum;
  }
  return left * base_ + right;
}

std::uint64_t Permutation::at(std::uint64_t index) const {
  do index = shuffle_once(index);
  while (index >= size_);
  return index;
}

}  // namespace fugo::bench
