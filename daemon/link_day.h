// What a day's quota of linking was used for: by every process, as far as it left its counts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/calendar.h"
#include "base/result.h"
#include "engine/link/linking.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// add_journaled adds the uses of one entry of the journal, `link` or `link.use`, by agency, and
// nothing for another act. `files`, where it is given, gets the names of the files that were
// journaled.
using UsesByAgency = std::map<std::string, engine::LinkUse>;
void add_journaled(const keystore::JournalEntry& entry, UsesByAgency& uses,
                   std::set<std::string>* files = nullptr);

// LinkDay adds up the uses of today, of the time zone given: what the journal says since the day
// began, and what waits in the folder of uses for the daemon. Uses that were left on an earlier day
// are of that day, whenever the daemon journals them. A process that is at work leaves its counts
// about once a minute: these are not known before. Not thread-safe.
class LinkDay {
 public:
  // `folder` is where processes that link leave their counts: daemon/link_usage.h.
  LinkDay(std::filesystem::path folder, Calendar calendar)
      : folder_(std::move(folder)), calendar_(std::move(calendar)) {}

  // read brings the sums up to date. Of the journal only what is new is read, but for the first
  // time on a day.
  [[nodiscard]] Status read(const keystore::Ledger& ledger);
  // day is that of the last read, which the sums are of: midnight may have come since.
  [[nodiscard]] std::int64_t day() const { return day_; }
  // entries is how many entries the journal had.
  [[nodiscard]] std::uint64_t entries() const { return next_; }
  // used is how much of the agency's quota of today is used; uses are all agencies'.
  [[nodiscard]] std::uint64_t used(const std::string& agency) const;
  [[nodiscard]] std::vector<engine::LinkUse> uses() const;

 private:
  void read_folder(std::int64_t today);
  [[nodiscard]] Status read_back(const keystore::Ledger& ledger, std::uint64_t end,
                                 std::int64_t today);
  void add_waiting(UsesByAgency& uses) const;

  const std::filesystem::path folder_;
  const Calendar calendar_;
  std::int64_t day_ = -1;
  std::uint64_t next_ = 0;  // sequence of the first entry that was not read
  UsesByAgency journaled_;
  std::set<std::string> taken_;  // files whose uses are in journaled_
  std::map<std::string, std::vector<engine::LinkUse>> waiting_;
};

}  // namespace fugo::daemon
