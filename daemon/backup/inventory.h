// backup.json: what a backup holds, signed. See docs/backup.md.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "keystore/copy.h"

namespace fugo::daemon {

// The names in a backup's directory.
inline constexpr const char* kInventoryFile = "backup.json";
inline constexpr const char* kBackupLedger = "ledger";

inline constexpr std::size_t kMostInventoryBytes = 64U << 20U;

// Inventory is the ledger that a backup holds, and its files.
struct Inventory {
  std::string ledger_id;  // hexadecimal
  std::string environment;
  std::int64_t taken = 0;
  std::string operator_name, order;
  std::uint64_t commits = 0, people = 0, issuances = 0, journal_entries = 0;
  std::string journal_head, digest, digest_without_times;  // hexadecimal
  std::string journal_key;                                 // label of the key that signs
  std::vector<keystore::CopiedFile> files;
};

// inventory_of describes a ledger that was copied.
[[nodiscard]] Result<Inventory> inventory_of(const keystore::Ledger& ledger,
                                             const keystore::LedgerCopy& copy);

// check_same is kDamaged unless the ledger that stands now is the one that was described.
[[nodiscard]] Status check_same(const keystore::Ledger& ledger, const Inventory& inventory);

[[nodiscard]] nlohmann::ordered_json document_of(const Inventory& inventory);

// inventory_from reads what document_of wrote, whatever else the document has; kDamaged.
[[nodiscard]] Result<Inventory> inventory_from(const nlohmann::ordered_json& document,
                                               const std::filesystem::path& file);

// is_ledger_file tells whether this can be the name of a file of a copy: "data.mdb", or a bulk
// file's. No such name leads out of the directory.
[[nodiscard]] bool is_ledger_file(const std::string& name);

// parse_inventory: kDamaged for anything that this program did not write, names of files that are
// not a ledger's included.
[[nodiscard]] Result<Inventory> parse_inventory(const std::string& text,
                                                const std::filesystem::path& file);

}  // namespace fugo::daemon
