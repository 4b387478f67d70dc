// Staging: how a regeneration writes the files of a new generation beside the ledger's writer.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::keystore {

// StagedPeople is the next piece of a generation that is being made. Spans must live until the
// call returns.
struct StagedPeople {
  RunRow run;  // as it shall stand afterwards: people_done is first_id + people.size()
  Generation generation = 0;  // LedgerState::staged_generation
  PersonId first_id = 0;
  std::span<const PersonRecord> people;  // a deleted person's is a tombstone
  std::span<const IndexEntry> index;     // sorted; without the deleted
  PersonId deleted_people = 0;           // LedgerState's when they were read
};

// Staging is what one process at a time holds that regenerates: the lock regeneration.lock. Its
// files have numbers of their own (from kFirstStagedFile on), which the writer leaves alone while
// a run is open, so that both work at once: what either has prepared is compared with the ledger
// in the transaction that commits it. One thread.
class Staging {
 public:
  // open takes the lock (kRefused, naming the holder's process, when another has it) and removes
  // staged files that no manifest names: of a process that died. `ledger` must outlive it, and not
  // be open for reading only.
  [[nodiscard]] static Result<std::unique_ptr<Staging>> open(Ledger& ledger);
  virtual ~Staging() = default;

  // add_people writes and syncs files of the piece and commits them with the run's row. kStale,
  // and nothing is changed, when people were deleted since they were read: read them anew.
  [[nodiscard]] virtual Status add_people(const StagedPeople& piece) = 0;

  // merge merges files of the staged generation until none are due. `stop` (may be empty) is asked
  // now and then; true ends it with kRefused.
  [[nodiscard]] virtual Status merge(Generation generation, const std::function<bool()>& stop) = 0;

  // take_numbers gives the first of `count` file numbers that nobody else gets.
  [[nodiscard]] virtual FileNumber take_numbers(std::uint64_t count) = 0;

  // unlink removes files that a commit took out of the manifest, and syncs the directory.
  [[nodiscard]] virtual Status unlink(std::span<const FileRow> rows) = 0;

  // remove_leftovers sees to it that no bulk file is left that no manifest names, whoever wrote it:
  // of somebody who died between a commit and its unlinking. Where another process is the writer,
  // files that it is just writing look the same, so it waits until the writer has named or removed
  // each (a writer removes what was left when it opens the ledger, and when a run ends); kRefused,
  // with their number, when some are still there after `patience`.
  [[nodiscard]] virtual Status remove_leftovers(std::chrono::milliseconds patience) = 0;
};

}  // namespace fugo::keystore
