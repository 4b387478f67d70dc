// Linking: from one agency's symbols to another's, through the people of the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/site.h"

namespace fugo::engine {

// LinkStatus is the outcome for one symbol, with the contract's names.
enum class LinkStatus : std::uint8_t {
  kOk = 1,
  kNotIssued = 2,   // B has no symbol for this person
  kUnknown = 3,     // no such person, or A was never issued it
  kSuperseded = 4,  // the person's code was changed
  kBadSymbol = 5,   // form or check character (set by whoever read the text)
};
[[nodiscard]] std::string_view link_status_name(LinkStatus status);

// LinkItem is one symbol of A and what became of it.
struct LinkItem {
  Block symbol;
  LinkStatus status = LinkStatus::kUnknown;
  Block linked;  // B's symbol when the status is kOk
};

// link_symbols converts symbols of agency `from` into symbols of agency `to`. Items that are
// already kBadSymbol are left alone. One-way symbols are resolved by recomputing, in bulk and in
// bounded memory, the symbol of everyone whom `from` was issued; invertible ones by the token.
// Agencies are named by code; an unknown one is kRefused. Suspended agencies can be linked.
// `keep_going`, where given, is asked between pieces; its error ends the work.
[[nodiscard]] Status link_symbols(Site& site, std::string_view from, std::string_view to,
                                  std::span<LinkItem> items,
                                  const std::function<Status()>& keep_going = {});

}  // namespace fugo::engine
