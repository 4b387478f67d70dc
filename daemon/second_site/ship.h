// Sending a ledger to a second site, shipment by shipment. See docs/second-site.md.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "daemon/second_site/shipment.h"

namespace fugo::daemon {

// SiteStage is told what is being done, bytes done and in all.
using SiteStage = std::function<void(const char* stage, std::uint64_t, std::uint64_t)>;

// ShipWishes are what a shipment shall be.
struct ShipWishes {
  bool whole = false;   // with every file, also those that were sent before
  bool always = false;  // also when nothing was done since the last
  // The last: from its commit on nobody writes this ledger, and nobody links. kRefused while a job
  // or a regeneration is unfinished, or a daemon runs.
  bool final = false;
  // Of a final one: what is done with the open ledger before its last transaction.
  std::function<Status(keystore::Ledger&)> before_last = {};
};

// LastShipment is what the ledger's directory remembers of the one that was sent last.
struct LastShipment {
  std::uint64_t number = 0;
  std::string sha256, directory;
  std::int64_t taken = 0;
  std::uint64_t journal_entries = 0;
  std::string journal_head;
  bool final = false;
  std::vector<std::string> files;  // of the ledger as it was sent
};

// last_shipment: nothing when none was sent, or what was remembered is lost: then the next is
// whole.
[[nodiscard]] Result<std::optional<LastShipment>> last_shipment(
    const std::filesystem::path& ledger);

// Shipped is what came of it.
struct Shipped {
  LastShipment last;
  std::uint64_t bytes = 0, new_files = 0;
  std::string digest;
  bool nothing_new = false;  // nothing was sent: `last` is as it was
};

// ship writes the next shipment to `folder`, where it appears complete, by rename, or not at all;
// others go on with the ledger meanwhile. Its entry `ship` is in the journal that it brings. A
// process that died is finished first: what it had signed for is sent once, and nothing of that
// number is made again. kRefused when another process ships, and when the ledger stands by.
[[nodiscard]] Result<Shipped> ship(const Settings& settings, const std::filesystem::path& folder,
                                   const keystore::Actor& actor, const ShipWishes& wishes,
                                   const SiteStage& stage, std::string& applied);

}  // namespace fugo::daemon
