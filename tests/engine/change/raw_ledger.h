// What really lies in a ledger's files, read past the ledger's own interface.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "keystore/ledger.h"

namespace fugo::engine::testing {

// Trace is what of one person could be left somewhere.
struct Trace {
  keystore::PersonId id = keystore::kNoPerson;
  Block linkage_symbol;
  keystore::CheckValue check_value{};
  std::uint64_t digest = 0;  // of the index
};

// Traces counts where something of a person was found.
struct Traces {
  int symbols = 0, checks = 0;           // anywhere in a decrypted block of a bulk file
  int index_entries = 0, issuances = 0;  // by id, and index entries by digest
  int patches = 0;                       // living rows of LMDB
  int raw = 0;                           // symbol, check value or digest in plain bytes of any file
  [[nodiscard]] int all() const {
    return symbols + checks + index_entries + issuances + patches + raw;
  }
};

// find_traces decrypts every block of every bulk file with its key from the manifest, and looks
// into every byte of every file of the ledger's directory. The ledger must be open.
[[nodiscard]] Traces find_traces(const keystore::Ledger& ledger,
                                 const std::filesystem::path& directory, const Trace& trace);

// bulk_names are the names in the ledger's data directory, manifest_names those that the living
// rows of the manifest give.
[[nodiscard]] std::set<std::string> bulk_names(const std::filesystem::path& directory);
[[nodiscard]] std::set<std::string> manifest_names(const keystore::Ledger& ledger);

}  // namespace fugo::engine::testing
