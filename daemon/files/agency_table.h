// AgencyTable: from an agency's code in a request to the ledger's number of it, fast.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

inline constexpr std::size_t kMaxAgencyCodeLength = 16;

// AgencyEntry is what a request's row needs to know of an agency.
struct AgencyEntry {
  keystore::AgencyNumber number = 0;
  keystore::AgencyState state = keystore::AgencyState::kActive;
};

// PackedCode is an agency code of at most 16 characters as two numbers: quick to compare.
struct PackedCode {
  std::uint64_t high = 0, low = 0;  // characters 0 to 7, and 8 to 15

  // append adds the character at position `i` (0 to 15), which is not the zero byte.
  void append(std::size_t i, std::uint8_t character) {
    std::uint64_t& half = i < 8 ? high : low;
    half = half << 8U | character;
  }
  [[nodiscard]] bool empty() const { return high == 0; }
  friend bool operator==(const PackedCode&, const PackedCode&) = default;
};
// pack_code packs a code of at most 16 characters.
[[nodiscard]] PackedCode pack_code(std::string_view code);

// AgencyTable is immutable and thread-safe.
class AgencyTable {
 public:
  // create reads the registry. kDamaged when a code is longer than 16 characters or empty, when a
  // code occurs twice, or when a number is 0.
  [[nodiscard]] static Result<AgencyTable> create(std::span<const keystore::Agency> agencies);

  // find gives the agency of a code; nullptr when there is none, or when it is closed: a closed
  // agency counts as unknown.
  [[nodiscard]] const AgencyEntry* find(std::string_view code) const;
  [[nodiscard]] const AgencyEntry* find(const PackedCode& code) const {
    for (std::size_t at = home(code);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.code == code && !code.empty())
        return slot.entry.state == keystore::AgencyState::kClosed ? nullptr : &slot.entry;
      if (slot.code.empty()) return nullptr;
    }
  }

  // highest_number is the greatest number of any agency, closed ones included; 0 for no agency.
  [[nodiscard]] keystore::AgencyNumber highest_number() const { return highest_; }

 private:
  struct Slot {
    PackedCode code;
    AgencyEntry entry;
  };
  // home is the slot where the search for a code begins; the multiplier is odd and random.
  [[nodiscard]] std::size_t home(const PackedCode& code) const {
    const std::uint64_t mixed =
        (code.high ^ (code.low * 0x9E3779B97F4A7C15U)) * 0xD6E8FEB86659FD93U;
    return static_cast<std::size_t>(mixed >> 32U) & mask_;
  }
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  keystore::AgencyNumber highest_ = 0;
};

}  // namespace fugo::daemon
