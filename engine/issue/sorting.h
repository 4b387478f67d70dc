// Sorting rows by a 64-bit key, the way every step of a segment needs it.
#pragma once

#include <cstdint>
#include <vector>

namespace fugo::engine {

// KeyedRow is a key and the row it belongs to.
struct KeyedRow {
  std::uint64_t key = 0;
  std::uint32_t row = 0;
};

// sort_by_key sorts ascending by key; equal keys keep their order (so rows that came in ascending
// stay so). Radix sort in O(items); `scratch` is working memory that callers keep for the next
// time. Digits in which all keys agree cost nothing.
void sort_by_key(std::vector<KeyedRow>& items, std::vector<KeyedRow>& scratch);

}  // namespace fugo::engine
