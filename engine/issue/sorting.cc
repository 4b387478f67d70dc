#include "engine/issue/sorting.h"

#include <array>
#include <cstddef>

namespace fugo::engine {
namespace {

constexpr unsigned kDigitBits = 11;
constexpr std::size_t kDigitValues = std::size_t{1} << kDigitBits;
constexpr std::size_t kDigits = (64 + kDigitBits - 1) / kDigitBits;

constexpr std::size_t digit_of(std::uint64_t key, std::size_t digit) {
  return (key >> (digit * kDigitBits)) & (kDigitValues - 1);
}

}  // namespace

void sort_by_key(std::vector<KeyedRow>& items, std::vector<KeyedRow>& scratch) {
  if (items.size() < 2) return;
  scratch.resize(items.size());
  std::vector<std::array<std::uint32_t, kDigitValues>> counts(kDigits);
  for (const KeyedRow& item : items)
    for (std::size_t digit = 0; digit < kDigits; ++digit)
      ++counts[digit][digit_of(item.key, digit)];

  for (std::size_t digit = 0; digit < kDigits; ++digit) {
    auto& starts = counts[digit];
    if (starts[digit_of(items.front().key, digit)] == items.size()) continue;
    std::uint32_t start = 0;
    for (auto& value : starts) {
      const std::uint32_t count = value;
      value = start;
      start += count;
    }
    for (const KeyedRow& item : items) scratch[starts[digit_of(item.key, digit)]++] = item;
    items.swap(scratch);
  }
}

}  // namespace fugo::engine
