// Copies of the journal that every act is in: files outside of the ledger that only grow. See
// docs/exactly-once.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "keystore/journal_copier.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// kLiveCopy is the copy's name in its folder: the journal from entry 0 on, an entry_line() a line.
inline constexpr const char* kLiveCopy = "journal.jsonl";

// LiveCopies writes to each of the folders, which must be there. Before an act is committed its
// copies are complete, which writes to them what others left out, and have room for it: else the
// act is not committed, with kIo, or kDamaged where a copy tells of what the ledger has not. After
// the commit they are written and synced; a failure then is in failing_copies(), and the next act
// meets it.
class LiveCopies final : public keystore::JournalCopier {
 public:
  explicit LiveCopies(std::vector<std::filesystem::path> folders) : folders_(std::move(folders)) {}
  Result<std::unique_ptr<Ready>> prepare(const keystore::JournalAct& act) override;

 private:
  const std::vector<std::filesystem::path> folders_;
};

// failing_copies is why the copies of these folders could not be written when this process last
// tried: they may lack what it has committed.
[[nodiscard]] std::map<std::filesystem::path, Error> failing_copies();

// CaughtUp is what was missing in a copy.
struct CaughtUp {
  std::uint64_t first = 0, entries = 0;
};

// catch_up writes to a folder's copy what the ledger has and it has not.
[[nodiscard]] Result<CaughtUp> catch_up(const keystore::Ledger& ledger,
                                        const std::filesystem::path& folder);
[[nodiscard]] Status catch_up_all(const keystore::Ledger& ledger,
                                  const std::vector<std::filesystem::path>& folders);

// live_copy_entries counts the entries of a folder's copy, by its last whole line; 0 when there is
// none.
[[nodiscard]] Result<std::uint64_t> live_copy_entries(const std::filesystem::path& folder);

}  // namespace fugo::daemon
