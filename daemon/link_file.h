// Linking a file of symbols: read, convert, journal, answer.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "daemon/link_day.h"
#include "daemon/link_usage.h"
#include "engine/resolve.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// LinkRequest is what to link, and where to put the answer.
struct LinkRequest {
  std::filesystem::path symbols;  // a symbol a line, LF or CRLF
  std::string from, to;           // agency codes
  std::filesystem::path output;   // symbol,status,linked_symbol in the same order, mode 0600
  keystore::Actor actor;
  // Where the act is counted by an account that may not write the ledger; null: it is journaled.
  UsageSpool* spool = nullptr;
  std::uint64_t most_rows = 0;  // a longer file is refused; 0: no limit
  // How many symbols of `from` may be linked in a day, by everybody; 0: no limit. `day` knows what
  // was used of it, and must be there then.
  std::uint64_t quota_per_day = 0;
  LinkDay* day = nullptr;
};

// LinkReport counts the outcomes by engine::LinkStatus.
struct LinkReport {
  std::uint64_t symbols = 0;
  std::array<std::uint64_t, 6> by_status{};
  // answered are those that take of the day's quota: all that were symbols.
  [[nodiscard]] std::uint64_t answered() const {
    return symbols - by_status[static_cast<std::size_t>(engine::LinkStatus::kBadSymbol)];
  }
};

// link_file converts a file. The act is counted and journaled before the answer is published; a
// failure publishes nothing, and a file that is there is never replaced (kRefused). kRefused while
// linking is frozen, which is looked at between pieces. The site is open with the linking token and
// kAppend, or kRead where there is a spool. kRefused, before a symbol is put to the token and again
// before the act is journaled, when the day's quota has not enough left. kIo for a file of more
// than 4 GiB, kRefused for an agency that is not registered. A line that is no symbol is repeated
// in the answer only if it has a symbol's length and no other characters than 0-9A-Za-z.
[[nodiscard]] Result<LinkReport> link_file(engine::Site& site, const LinkRequest& request);

// symbol_lines cuts a text into lines without their ends.
[[nodiscard]] std::vector<std::string_view> symbol_lines(std::string_view text);

}  // namespace fugo::daemon
