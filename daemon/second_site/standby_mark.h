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

// AppliedShipment is one, and the ledger as it left it.
struct AppliedShipment {
  bool final = false;  // it was the first site's last
  std::uint64_t number = 0;
  std::string sha256;                              // of its inventory
  std::int64_t taken = 0;                          // when it was made,
  std::int64_t applied = 0;                        // and applied
  std::uint64_t commits = 0, journal_entries = 0;  // of the ledger as it then was
  std::string journal_head, digest, digest_without_times;

  // matches tells whether a ledger in this state is as the shipment left it.
  [[nodiscard]] bool matches(const keystore::LedgerState& state) const;
};

// StandbyMark says that a ledger follows another, or was handed over by its last shipment.
struct StandbyMark : AppliedShipment {
  bool following = true;  // else it was handed over
  std::string folder;     // where shipments come from
  // Random, of this site alone: what custodians approve is bound to it.
  std::string site;
  std::uint64_t epoch = 0;  // of a ledger that was handed over: its own, before
  // The newest shipments that were applied here, and the SHA-256 of their inventories.
  std::map<std::uint64_t, std::string> known;
  // One whose rows were about to be adopted: a process that dies then leaves the ledger as either.
  std::optional<AppliedShipment> next;
};

// new_site_id is random, in hexadecimal.
[[nodiscard]] Result<std::string> new_site_id();

// mark_of is the mark after a shipment was applied where `before` was.
[[nodiscard]] StandbyMark mark_of(const ReadShipment& read, const StandbyMark& before = {});

// settle makes the shipment that was about to be applied the applied one, where the ledger has it.
void settle(StandbyMark& mark, const keystore::LedgerState& state);

// read_mark: nothing when the ledger does not stand by; kDamaged for a mark that is none.
[[nodiscard]] Result<std::optional<StandbyMark>> read_mark(const std::filesystem::path& ledger);
[[nodiscard]] Status write_mark(const std::filesystem::path& ledger, const StandbyMark& mark);
// remove_mark makes the ledger serve.
[[nodiscard]] Status remove_mark(const std::filesystem::path& ledger);

}  // namespace fugo::daemon
