// Linking: from one agency's symbols to another's, through the people of the ledger.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/link/link_status.h"
#include "engine/site.h"

namespace fugo::engine {

// LinkItem is one symbol of A and what became of it.
struct LinkItem {
  Block symbol;
  LinkStatus status = LinkStatus::kUnknown;
  Block linked;  // B's symbol when the status is kOk
};

// link_symbols converts symbols of agency `from` into symbols of agency `to`. Items that are
// already kBadSymbol are left alone. `from`'s may be of any generation that is accepted, `to`'s are
// of the active one. One-way symbols are resolved by recomputing, in bulk and in
// bounded memory, the symbol of everyone whom `from` was issued; invertible ones by the token.
// Agencies are named by code; an unknown one is kRefused. Suspended agencies can be linked.
// `keep_going`, where given, is asked between pieces; its error ends the work.
[[nodiscard]] Status link_symbols(Site& site, std::string_view from, std::string_view to,
                                  std::span<LinkItem> items,
                                  const std::function<Status()>& keep_going = {});

}  // namespace fugo::engine
