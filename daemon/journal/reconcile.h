// What was done after the state that this ledger is in, by the journal that was kept outside of it.
// See docs/second-site.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/journal/journal_check.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// LostJob is a request that this ledger lacks some or all of.
struct LostJob {
  std::string id, kind;         // "issue", "change", "delete", "merge"
  std::uint64_t first = 0;      // sequence of its first entry that is lacking
  std::int64_t time = 0;        // of that
  bool known_here = false;      // the ledger has its job
  std::string end = "in part";  // or "answered", "cancelled", "held", "deleted"
  std::uint64_t segments = 0, rows = 0, made = 0, existing = 0;  // committed since
};

// Reconciliation is the list, and what stands in the way of the same symbols.
struct Reconciliation {
  std::uint64_t entries = 0;                   // that this ledger lacks
  std::uint64_t unlisted = 0;                  // of them beyond what is listed
  std::vector<LostJob> jobs;                   // in order
  std::vector<keystore::JournalEntry> others;  // every other act that changes something, in order
  std::vector<std::string> obstacles;
  bool parted = false;  // this ledger went on by itself: two sites went on
  // Entries, this ledger's and the copies', that are what a signed checkpoint was made of: beyond
  // them anybody who can write the copies may have added some, or taken some away.
  std::uint64_t signed_entries = 0;
  // Copies that end with a piece of a line: who wrote them died, or still writes. The act that it
  // begins is not listed.
  std::vector<std::filesystem::path> torn;
};

// kMostListed bounds the memory that the list takes.
inline constexpr std::size_t kMostListed = 1'000'000;

// reconcile reads files that journal export or journal copy wrote, or that every act is in, and the
// files of folders of them; the first `most_listed` entries that are lacking are listed. kDamaged
// when one is not sound, two contradict one another, or the journal that they make is not that of
// one of the signed `checkpoints`; kRefused when entries between the ledger's end and the copies'
// are in none of them.
[[nodiscard]] Result<Reconciliation> reconcile(
    const keystore::Ledger& ledger, const std::vector<std::filesystem::path>& copies,
    const std::vector<std::filesystem::path>& checkpoints, std::size_t most_listed = kMostListed);

// JournalCopy is what copy_journal did.
struct JournalCopy {
  std::filesystem::path file;  // empty: there was nothing new
  std::uint64_t first = 0, entries = 0;
};

// copy_journal writes the entries that a folder does not have yet into a file of their own there:
// "journal-FIRST-LAST.jsonl". kRefused while another process does. kDamaged when the folder's last
// entry is not in the journal: the ledger was put back to an older state.
[[nodiscard]] Result<JournalCopy> copy_journal(const keystore::Ledger& ledger,
                                               const std::filesystem::path& folder);

}  // namespace fugo::daemon
