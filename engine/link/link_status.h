// What becomes of one item of a linking call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fugo::engine {

// LinkStatus is the outcome for one item. Part of the installed interface: never change a number.
enum class LinkStatus : std::uint8_t {
  kOk = 1,
  kNotIssued = 2,       // this agency has no symbol for this person
  kUnknown = 3,         // no such person, or the agency was never issued the symbol
  kSuperseded = 4,      // the person's code was changed
  kBadSymbol = 5,       // form or check character
  kUnknownAgency = 6,   // no open agency has this code or number
  kFrozen = 7,          // linking was stopped by an operator
  kQuotaExceeded = 8,   // the inquiring agency's limit of the day
  kUnavailable = 9,     // the token or the ledger did not answer: ask again later
  kIndexTooLarge = 10,  // the agency's table does not fit the memory that was set for it
  kForked = 11,         // the process was forked: the child must open for itself
};
inline constexpr std::size_t kLinkStatuses = 12;

// link_status_name gives the contract's name: "ok", "not_issued", "unknown", ...
[[nodiscard]] std::string_view link_status_name(LinkStatus status);

}  // namespace fugo::engine
