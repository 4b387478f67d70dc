#include "engine/issue/sorting.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace fugo::engine {
namespace {

std::vector<KeyedRow> random_rows(std::size_t count, std::uint64_t mask, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<KeyedRow> rows(count);
  for (std::uint32_t i = 0; i < count; ++i) rows[i] = {random() & mask, i};
  return rows;
}

TEST(SortByKey, AgreesWithAStableSort) {
  const std::uint64_t masks[] = {~0ULL, 0xFF, 0xFFFF000000000000ULL, 0x3FF, 0, 0xFFFFFFFF,
                                 // Three digits of a few values each, and ties below them.
                                 0xE000'0800'0040'03FFULL, 0x0001'8000'3000'0601ULL};
  std::vector<KeyedRow> scratch;
  for (const std::uint64_t mask : masks) {
    for (const std::size_t count : {0U, 1U, 2U, 3U, 1000U, 100'000U}) {
      auto rows = random_rows(count, mask, 7);
      auto expected = rows;
      std::stable_sort(expected.begin(), expected.end(),
                       [](const auto& a, const auto& b) { return a.key < b.key; });
      sort_by_key(rows, scratch);
      ASSERT_EQ(rows.size(), expected.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(rows[i].key, expected[i].key);
        ASSERT_EQ(rows[i].row, expected[i].row);
      }
    }
  }
}

}  // namespace
}  // namespace fugo::engine
