// Copies of the journal outside of the ledger, as the ledger sees to them. See
// docs/exactly-once.md.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::keystore {

// JournalAct is what one transaction adds to the journal.
struct JournalAct {
  std::uint64_t committed = 0;          // entries that the ledger has without it,
  std::array<std::uint8_t, 32> head{};  // and the hash of the last of them
  std::function<Result<JournalEntry>(std::uint64_t sequence)> entry;  // reads one of them
  std::span<const JournalEntry> added;                                // by this transaction
};

// JournalCopier keeps the copies. Thread-safe.
class JournalCopier {
 public:
  // Ready has what write() needs, and excludes others who would write the same copies, until it is
  // destroyed.
  class Ready {
   public:
    virtual ~Ready() = default;
    // write is after the commit, which nothing undoes: a failure is for the next prepare to meet.
    virtual void write() = 0;
  };
  virtual ~JournalCopier() = default;
  // prepare is before the commit, with LMDB's lock held: every copy has what the ledger has, and
  // room for what is added, or the transaction is given up with this error.
  [[nodiscard]] virtual Result<std::unique_ptr<Ready>> prepare(const JournalAct& act) = 0;
};

// keep_copies: what this process commits to the ledger's journal goes through `copier`, as long as
// it has the ledger open.
[[nodiscard]] Status keep_copies(Ledger& ledger, std::shared_ptr<JournalCopier> copier);

}  // namespace fugo::keystore
