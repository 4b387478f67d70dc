// A shipment: what a ledger has become since the one before, for a second site that follows it.
// See docs/second-site.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/backup/inventory.h"
#include "daemon/config.h"
#include "hsm/token.h"

namespace fugo::daemon {

inline constexpr const char* kShipmentFile = "shipment.json";

// Shipment is the signed inventory of one. `inventory.files` come with it; `kept` are the files
// that the rows name as well, and that came with earlier ones.
struct Shipment {
  std::uint64_t number = 0;     // from 1
  std::string previous_sha256;  // of the shipment before; empty: whole, it needs none before
  bool final = false;           // the ledger was handed over: there is none after it
  Inventory inventory;
  std::vector<std::string> kept;

  [[nodiscard]] bool whole() const { return previous_sha256.empty(); }
};

// ReadShipment is one that was found to be signed, and where it lies.
struct ReadShipment {
  Shipment shipment;
  std::string sha256;  // of the inventory as signed, hexadecimal
  std::filesystem::path directory;
};

// shipment_name is the directory's: "shipment-0000000001".
[[nodiscard]] std::string shipment_name(std::uint64_t number);

// shipments_in lists those that lie in a folder, by number: directories that have an inventory. A
// shipment that is still being carried must have another name until it is whole.
[[nodiscard]] Result<std::map<std::uint64_t, std::filesystem::path>> shipments_in(
    const std::filesystem::path& folder);

[[nodiscard]] nlohmann::ordered_json document_of(const Shipment& shipment);

// look_at reads an inventory without looking who signed it: nothing must be done on its word.
[[nodiscard]] Result<Shipment> look_at(const std::filesystem::path& directory);

// sha256_of is that of a shipment's inventory as it lies there, signed or not.
[[nodiscard]] Result<std::string> sha256_of(const std::filesystem::path& directory);

// read_shipment: kDamaged unless the inventory is signed by the journal key that it names, as this
// token has it itself: nothing of the shipment is used for that.
[[nodiscard]] Result<ReadShipment> read_shipment(hsm::Token& token,
                                                 const std::filesystem::path& directory);

// signing_token opens the first configured token that has journal keys.
[[nodiscard]] Result<std::shared_ptr<hsm::Token>> signing_token(const Settings& settings);

}  // namespace fugo::daemon
