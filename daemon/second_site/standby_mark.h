// standby.json in a ledger's directory: why the ledger stands by, and as of when it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "daemon/second_site/shipment.h"

namespace fugo::daemon {

// kHandedOver is why issuing and linking are frozen on a ledger that was handed over.
inline constexpr const char* kHandedOver = "handed over to the second site";

// StandbyMark says that a ledger follows another, or was handed over by its last shipment.
struct StandbyMark {
  bool following = true;  // else it was handed over
  bool final = false;     // the last shipment was the first site's last
  std::uint64_t number = 0;
  std::string sha256;                              // of that shipment's inventory
  std::string folder;                              // where shipments come from
  std::int64_t taken = 0;                          // when the shipment was made,
  std::int64_t applied = 0;                        // and applied
  std::uint64_t commits = 0, journal_entries = 0;  // of the ledger as it then was
  std::string journal_head, digest, digest_without_times;
  // The newest shipments that were applied here, and the SHA-256 of their inventories.
  std::map<std::uint64_t, std::string> known;

  // matches tells whether a ledger in this state is as the mark says.
  [[nodiscard]] bool matches(const keystore::LedgerState& state) const;
};

// mark_of is the mark after a shipment was applied; `known` are those that were before it.
[[nodiscard]] StandbyMark mark_of(const ReadShipment& read,
                                  std::map<std::uint64_t, std::string> known = {});

// read_mark: nothing when the ledger does not stand by; kDamaged for a mark that is none.
[[nodiscard]] Result<std::optional<StandbyMark>> read_mark(const std::filesystem::path& ledger);
[[nodiscard]] Status write_mark(const std::filesystem::path& ledger, const StandbyMark& mark);
// remove_mark makes the ledger serve.
[[nodiscard]] Status remove_mark(const std::filesystem::path& ledger);

}  // namespace fugo::daemon
