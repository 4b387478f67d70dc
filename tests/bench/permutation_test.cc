#include "bench/permutation.h"

#include <gtest/gtest.h>

#include <vector>

namespace fugo::bench {
namespace {

TEST(Permutation, EveryValueOnceForAnySize) {
  for (const std::uint64_t size : {1U, 2U, 3U, 10U, 99U, 100U, 101U, 12'345U}) {
    const Permutation permutation(size, 7);
    std::vector<int> seen(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      const auto value = permutation.at(i);
      ASSERT_LT(value, size);
      ASSERT_EQ(seen[value]++, 0) << size << " " << i;
    }
  }
}

TEST(Permutation, OrderFollowsTheKey) {
  const Permutation one(1'000'000, 1), again(1'000'000, 1), other(1'000'000, 2);
  std::size_t equal = 0, in_place = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(one.at(i), again.at(i));
    equal += one.at(i) == other.at(i) ? 1 : 0;
    in_place += one.at(i) == i ? 1 : 0;
  }
  EXPECT_LT(equal, 5U);
  EXPECT_LT(in_place, 5U);
}

TEST(Permutation, LargeRangesStayInRange) {
  for (const std::uint64_t size : {10'000'000'000U, 10'000'000'000'000'000U}) {
    const Permutation permutation(size, 3);
    for (std::uint64_t i = 0; i < 1000; ++i) {
      EXPECT_LT(permutation.at(i), size);
      EXPECT_LT(permutation.at(size - 1 - i), size);
    }
  }
}

}  // namespace
}  // namespace fugo::bench
