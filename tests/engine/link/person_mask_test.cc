// PersonMask: handles tell who somebody is to the one who made them, and nobody else.
#include "engine/link/person_mask.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace fugo::engine {
namespace {

using keystore::kNoPerson;
using keystore::PersonId;

TEST(PersonMask, ShowsWhatItHid) {
  const PersonMask mask;
  std::mt19937_64 random(1);
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  for (PersonId i = 0; i < 2000; ++i) {
    const PersonId id = i < 1000 ? i : static_cast<PersonId>(random() % kNoPerson);
    const auto handle = mask.hide(id);
    ASSERT_EQ(mask.show(handle), id);
    ASSERT_EQ(mask.hide(id), handle);
    seen.insert({handle.opaque[0], handle.opaque[1]});
  }
  EXPECT_GE(seen.size(), 1999U);
  EXPECT_EQ(mask.show(mask.hide(kNoPerson - 1)), kNoPerson - 1);
}

TEST(PersonMask, AHandleDoesNotHoldTheId) {
  const PersonMask mask;
  // Two masks hide the same person differently, and neighbours share nothing.
  EXPECT_NE(mask.hide(5), PersonMask().hide(5));
  const auto a = mask.hide(6), b = mask.hide(7);
  EXPECT_NE(a.opaque[0], b.opaque[0]);
  EXPECT_NE(a.opaque[1] ^ b.opaque[1], 6U ^ 7U);
  EXPECT_NE(a.opaque[1] >> 32U, 0U);
}

TEST(PersonMask, ForeignAndForgedHandlesAreNobody) {
  const PersonMask mask, other;
  std::mt19937_64 random(2);
  EXPECT_EQ(mask.show(PersonHandle{}), kNoPerson);
  EXPECT_EQ(mask.show(mask.hide(kNoPerson)), kNoPerson);
  for (PersonId id = 0; id < 1000; ++id) {
    ASSERT_EQ(mask.show(other.hide(id)), kNoPerson);
    const auto handle = mask.hide(id);
    for (unsigned bit = 0; bit < 128; ++bit) {
      auto forged = handle;
      forged.opaque[bit / 64] ^= std::uint64_t{1} << (bit % 64);
      ASSERT_EQ(mask.show(forged), kNoPerson) << "bit " << bit;
    }
    // The tag of one person beside the number of another.
    const auto next = mask.hide(id + 1);
    ASSERT_EQ(mask.show({{handle.opaque[0], next.opaque[1]}}), kNoPerson);
    ASSERT_EQ(mask.show({{random(), random()}}), kNoPerson);
  }
}

}  // namespace
}  // namespace fugo::engine
