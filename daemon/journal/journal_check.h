// Comparing a ledger's journal with what was kept of it outside: copies and signed checkpoints.
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "daemon/journal/checkpoint.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// for_each_entry reads a ledger's journal from `first` on, its chain checked, in bounded memory.
using VisitEntry = std::function<Status(const keystore::JournalEntry&)>;
[[nodiscard]] Status for_each_entry(const keystore::Ledger& ledger, std::uint64_t first,
                                    const VisitEntry& visit);

// checkpoint_now describes the journal, and with it the ledger's content, as they are: extension
// lines "time", "digest", "digest-without-times" and "configuration" (SHA-256 of its file).
[[nodiscard]] Result<Checkpoint> checkpoint_now(const keystore::Ledger& ledger,
                                                const std::filesystem::path& configuration);

inline constexpr std::size_t kMostMissing = 10'000;

// JournalParting is where a ledger's journal and a copy of it go apart.
struct JournalParting {
  std::uint64_t at = 0;                         // the first entry that differs
  bool ledger_ends = false;                     // the ledger has no entry of that number
  std::uint64_t count = 0;                      // entries of the copy from there on,
  std::vector<keystore::JournalEntry> missing;  // and the first kMostMissing of them
};

// CopyWishes: of a file that grows meanwhile only `most` lines are read. `lacking` is given every
// entry from the parting on, and JournalParting::missing has none then.
struct CopyWishes {
  std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  VisitEntry lacking = {};
};

// ComparedCopy is what a copy has.
struct ComparedCopy {
  std::optional<JournalParting> parting;  // nothing: the ledger has all of it
  std::uint64_t entries = 0;
  bool torn = false;  // a piece of a line is behind them: who wrote it died, or still writes
};

// compare_copy reads a file of entry_line()s, which may begin anywhere; kDamaged, naming the line,
// when an entry was changed, removed or moved within it. Gives where the ledger lacks or
// contradicts it: the ledger was rolled back, or restored from an older backup, and what is missing
// was done all the same.
[[nodiscard]] Result<ComparedCopy> compare_copy(const keystore::Ledger& ledger,
                                                const std::filesystem::path& file,
                                                const CopyWishes& wishes = {});

// compare_checkpoint: kDamaged unless the note is signed by a journal key of the ledger, and the
// ledger's journal begins with the entries that it was made of.
[[nodiscard]] Result<Checkpoint> compare_checkpoint(const keystore::Ledger& ledger,
                                                    const std::filesystem::path& file);

// compare_content: kDamaged when nothing was journaled since the checkpoint and the ledger's
// content is not what was signed for: whoever can write the ledger changed it, and left the
// journal. Where it tells that content was not compared, it proves nothing of content.
enum class ContentCheck : std::uint8_t { kSame, kEntriesSince, kJobIsOpen };
[[nodiscard]] Result<ContentCheck> compare_content(const keystore::Ledger& ledger,
                                                   const Checkpoint& checkpoint,
                                                   const std::filesystem::path& file);

}  // namespace fugo::daemon
