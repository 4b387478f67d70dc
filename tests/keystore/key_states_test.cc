// The registry of keys: which steps a key's state may take, and what never changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

constexpr std::array kStates = {KeyState::kPending, KeyState::kActive,    KeyState::kAccepting,
                                KeyState::kRetired, KeyState::kDestroyed, KeyState::kChain,
                                KeyState::kMaking};

// The specification's list, docs/spec/keys.md.
const std::set<std::pair<KeyState, KeyState>> kAllowed = {
    {KeyState::kMaking, KeyState::kPending},    {KeyState::kMaking, KeyState::kDestroyed},
    {KeyState::kPending, KeyState::kActive},    {KeyState::kPending, KeyState::kRetired},
    {KeyState::kActive, KeyState::kAccepting},  {KeyState::kActive, KeyState::kRetired},
    {KeyState::kActive, KeyState::kChain},      {KeyState::kAccepting, KeyState::kRetired},
    {KeyState::kAccepting, KeyState::kChain},   {KeyState::kChain, KeyState::kRetired},
    {KeyState::kRetired, KeyState::kDestroyed},
};

// path_to lists the states that a new key goes through to come to one.
std::vector<KeyState> path_to(KeyState state) {
  switch (state) {
    case KeyState::kMaking:
      return {KeyState::kMaking};
    case KeyState::kPending:
      return {KeyState::kPending};
    case KeyState::kActive:
      return {KeyState::kPending, KeyState::kActive};
    case KeyState::kAccepting:
      return {KeyState::kPending, KeyState::kActive, KeyState::kAccepting};
    case KeyState::kChain:
      return {KeyState::kPending, KeyState::kActive, KeyState::kChain};
    case KeyState::kRetired:
      return {KeyState::kPending, KeyState::kRetired};
    case KeyState::kDestroyed:
      return {KeyState::kPending, KeyState::kRetired, KeyState::kDestroyed};
  }
  return {};
}

class KeyStates : public testing::Test {
 protected:
  KeyStates() {
    EXPECT_TRUE(place_.create());
    auto opened = place_.open(Access::kAppend);
    EXPECT_TRUE(opened);
    ledger_ = std::move(*opened);
  }

  [[nodiscard]] Status put(const KeyRow& row) const {
    FUGO_ASSIGN(const auto update, ledger_->begin());
    FUGO_TRY(update->put_key(row));
    return update->commit();
  }

  // make brings a new key of this version into a state.
  [[nodiscard]] KeyRow make(std::uint16_t version, KeyState state) const {
    KeyRow row{1, 1, version, KeyState::kPending, Block{{7}}, "key-" + std::to_string(version),
               5, {}};
    for (const auto step : path_to(state)) {
      row.state = step;
      const auto done = put(row);
      EXPECT_TRUE(done) << done.error().message();
    }
    return row;
  }

  const LedgerPlace place_;
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(KeyStates, OnlyTheseStepsAreTaken) {
  std::uint16_t version = 100;
  for (const auto from : kStates)
    for (const auto to : kStates) {
      if (from == to) continue;
      KeyRow row = make(++version, from);
      row.state = to;
      const auto stepped = put(row);
      EXPECT_EQ(stepped.has_value(), kAllowed.contains({from, to}))
          << static_cast<int>(from) << " to " << static_cast<int>(to);
      if (!stepped) {
        EXPECT_EQ(stepped.error().code, ErrorCode::kRefused);
        EXPECT_NE(stepped.error().what.find(row.label), std::string::npos);
        row.state = from;
      }
      EXPECT_EQ(ledger_->key_rows()->back(), row);
    }
}

TEST_F(KeyStates, ANewKeyIsPendingOrBeingMade) {
  std::uint16_t version = 500;
  for (const auto state : kStates) {
    const KeyRow row{1, 1, ++version, state, Block{{7}}, "label", 5, {}};
    const bool allowed = state == KeyState::kPending || state == KeyState::kMaking;
    EXPECT_EQ(put(row).has_value(), allowed) << static_cast<int>(state);
  }
}

TEST_F(KeyStates, AVersionIsNeverAnotherKey) {
  std::uint16_t version = 700;
  for (const auto state : kStates) {
    const KeyRow row = make(++version, state);
    EXPECT_TRUE(put(row)) << "the same row again";
    std::array<KeyRow, 4> others = {row, row, row, row};
    others[0].fingerprint = Block{{8}};
    others[1].label = "another";
    others[2].created = 6;
    others[3].public_key = {1};
    for (const auto& other : others) {
      const bool unknown_yet = state == KeyState::kMaking && other.label == row.label;
      const auto changed = put(other);
      EXPECT_EQ(changed.has_value(), unknown_yet) << static_cast<int>(state);
      if (!changed) {
        EXPECT_EQ(changed.error().code, ErrorCode::kRefused);
      }
    }
  }
}

}  // namespace
}  // namespace fugo::keystore
