// What commands say of shipments, and of a site that stands by.
#pragma once

#include <string>

#include "daemon/command/context.h"
#include "daemon/second_site/follow.h"

namespace fugo::daemon {

[[nodiscard]] Json shipped_document(const LastShipment& last);
[[nodiscard]] Json standby_document(const StandbyMark& mark);
[[nodiscard]] std::string standby_text(const StandbyMark& mark);

// site_document and site_text are for fugo status: what a ledger's directory tells of other sites.
// Null and empty where it tells nothing.
[[nodiscard]] Json site_document(const std::filesystem::path& ledger);
[[nodiscard]] std::string site_text(const std::filesystem::path& ledger);

}  // namespace fugo::daemon
