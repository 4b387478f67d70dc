#include "engine/issue/sorting.h"

#include <algorithm>
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

// This many digits that vary settle the order of a segment's random keys, all but a few.
constexpr std::size_t kDigitsSorted = 3;

using Counts = std::array<std::uint32_t, kDigitValues>;

// sort_by_digit moves items to scratch by one digit, of which `counts` has the numbers, and swaps.
void sort_by_digit(std::vector<KeyedRow>& items, std::vector<KeyedRow>& scratch, std::size_t digit,
                   Counts& counts) {
  std::uint32_t start = 0;
  for (auto& value : counts) {
    const std::uint32_t count = value;
    value = start;
    start += count;
  }
  for (const KeyedRow& item : items) scratch[counts[digit_of(item.key, digit)]++] = item;
  items.swap(scratch);
}

// sort_ties sorts each run of items whose keys are equal from `lowest_digit` up.
void sort_ties(std::vector<KeyedRow>& items, std::size_t lowest_digit) {
  const auto prefix = [lowest_digit](const KeyedRow& item) {
    return item.key >> (lowest_digit * kDigitBits);
  };
  for (auto first = items.begin(); first != items.end();) {
    auto last = first + 1;
    while (last != items.end() && prefix(*last) == prefix(*first)) ++last;
    if (last - first > 1)
      std::stable_sort(first, last,
                       [](const KeyedRow& a, const KeyedRow& b) { return a.key < b.key; });
    first = last;
  }
}

}  // namespace

void sort_by_key(std::vector<KeyedRow>& items, std::vector<KeyedRow>& scratch) {
  if (items.size() < 2) return;
  scratch.resize(items.size());
  std::vector<Counts> counts(kDigits);
  for (const KeyedRow& item : items)
    for (std::size_t digit = 0; digit < kDigits; ++digit)
      ++counts[digit][digit_of(item.key, digit)];

  const auto varies = [&](std::size_t digit) {
    return counts[digit][digit_of(items.front().key, digit)] != items.size();
  };
  std::size_t lowest = kDigits;
  for (std::size_t varying = 0; lowest > 0 && varying < kDigitsSorted;)
    if (varies(--lowest)) ++varying;
  bool ties = false;
  for (std::size_t digit = 0; digit < lowest; ++digit) ties = ties || varies(digit);
  for (std::size_t digit = lowest; digit < kDigits; ++digit)
    if (varies(digit)) sort_by_digit(items, scratch, digit, counts[digit]);
  if (ties) sort_ties(items, lowest);
}

}  // namespace fugo::engine
