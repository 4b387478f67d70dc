// The journal outside of the ledger: one entry a line, as JSON, for people and for a SIEM.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

// entry_document has every field of an entry; entry_line is the document on one line, without a
// line feed. The hashes are in it, so a line can be checked without the ledger.
[[nodiscard]] nlohmann::ordered_json entry_document(const keystore::JournalEntry& entry);
[[nodiscard]] std::string entry_line(const keystore::JournalEntry& entry);

// parse_entry_line: kDamaged, naming `where`, for what is no entry, or when its hash is not that of
// its content.
[[nodiscard]] Result<keystore::JournalEntry> parse_entry_line(const std::string& line,
                                                              const std::string& where);

}  // namespace fugo::daemon
