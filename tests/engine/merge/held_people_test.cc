// HeldPeople: rows of an agency's people in pieces, over a ledger of more ids than are read at
// once.
#include "engine/merge/held_people.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/engine/issue/memory_snapshot.h"

namespace fugo::engine {
namespace {

using keystore::PersonId;

constexpr PersonId kPeople = 3'500'000;
constexpr PersonId kStep = 7919;  // every kStep-th person is held

// Wide is a ledger of many people, few of whom are held by agency 5, and all by agency 4.
class Wide : public testing::MemorySnapshot {
 public:
  Wide() {
    for (PersonId id = 0; id < kPeople; id += kStep) issued[{5, id}] = 1;
    for (PersonId id = 0; id < 100; ++id) issued[{4, id}] = issued[{6, id}] = 1;
  }
  [[nodiscard]] PersonId people() const override { return kPeople; }
};

std::vector<PersonId> expected(std::uint64_t first, std::size_t count) {
  std::vector<PersonId> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(static_cast<PersonId>(first + i) * kStep);
  return ids;
}

std::vector<PersonId> got(HeldPeople& held, const Wide& wide, std::uint64_t first,
                          std::size_t count) {
  const auto ids = held.rows(wide, first, count);
  EXPECT_TRUE(ids) << ids.error().message();
  return ids ? std::vector<PersonId>(ids->begin(), ids->end()) : std::vector<PersonId>();
}

TEST(HeldPeople, PiecesOfAnySizeInOrderGiveEverybodyOnce) {
  const Wide wide;
  const std::size_t all = wide.issued.size() - 200;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100}, all}) {
    HeldPeople held(5);
    for (std::uint64_t row = 0; row < all; row += piece) {
      const std::size_t count = std::min<std::size_t>(piece, all - row);
      ASSERT_EQ(got(held, wide, row, count), expected(row, count)) << piece << " at " << row;
    }
  }
}

TEST(HeldPeople, RowsAheadAndBehindAreCounted) {
  const Wide wide;
  HeldPeople held(5);
  EXPECT_EQ(got(held, wide, 400, 20), expected(400, 20));
  EXPECT_EQ(got(held, wide, 3, 150), expected(3, 150));
  EXPECT_EQ(got(held, wide, 3, 1), expected(3, 1));
  EXPECT_EQ(got(held, wide, 4, 0), expected(4, 0));
}

TEST(HeldPeople, FewerThanAskedForIsDamage) {
  const Wide wide;
  HeldPeople held(5);
  const std::size_t all = wide.issued.size() - 200;
  EXPECT_EQ(got(held, wide, all - 1, 1), expected(all - 1, 1));
  const auto more = held.rows(wide, all - 1, 2);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, ErrorCode::kDamaged);
  const auto beyond = held.rows(wide, all + 1, 1);
  ASSERT_FALSE(beyond);
}

}  // namespace
}  // namespace fugo::engine
