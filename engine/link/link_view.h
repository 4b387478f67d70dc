// LinkView: the ledger as linking sees it after one commit, and who keeps it up to date.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "engine/accepted.h"
#include "engine/link/patience.h"
#include "engine/site.h"
#include "engine/symbols.h"

namespace fugo::engine {

// Registry is the agencies, the generations and the keys of one registry version. Immutable.
struct Registry {
  std::uint64_t version = 0;
  std::vector<keystore::Agency> agencies;
  std::unordered_map<std::string, keystore::AgencyNumber> numbers;  // of open agencies, by code
  std::vector<const keystore::Agency*> by_number;                   // null: none, or closed
  // Those whose symbols are answered, and those that are still accepted: the active one first.
  std::vector<Accepted> generations;
  std::shared_ptr<Symbols> symbols;

  [[nodiscard]] const keystore::GenerationRow& active() const { return generations.front().row; }
  // accepted: null when the symbols of this generation are not resolved.
  [[nodiscard]] const Accepted* accepted(keystore::Generation number) const {
    for (const Accepted& generation : generations)
      if (generation.row.number == number) return &generation;
    return nullptr;
  }
  // renewed tells whether an agency has symbols in an older generation that it has not in the
  // active one.
  [[nodiscard]] bool renewed(const keystore::GenerationRow& older,
                             keystore::AgencyNumber agency) const {
    const keystore::Agency* const row = find(agency);
    return row != nullptr && !same_symbols(*row, older, active());
  }
  [[nodiscard]] const keystore::Agency* find(keystore::AgencyNumber number) const {
    return number < by_number.size() ? by_number[number] : nullptr;
  }
};

// LinkView is immutable; whoever holds it sees one state of the ledger throughout.
struct LinkView {
  std::uint64_t transaction = 0;  // that it was read after
  bool frozen = false;
  keystore::SegmentNumber last_segment = keystore::kNoSegment;
  std::shared_ptr<const Registry> registry;
  std::shared_ptr<const keystore::Snapshot> snapshot;
  std::shared_ptr<const keystore::LedgerKeys> keys;  // that the snapshot's index was made with
};

// ViewKeeper gives the newest view. Thread-safe: a thread that finds that there was a commit reads
// the new view; others that come meanwhile wait for it, since theirs must be as new, as long as
// their patience lasts (kIo). A ledger that was given new keys is opened again.
class ViewKeeper {
 public:
  // The ledger of `site` belongs to this one: nobody else asks for it.
  explicit ViewKeeper(Site& site)
      : site_(site), token_(site.shared_token()), ledger_(site.shared_ledger()) {}

  // current is at least as new as every commit that ended before it was called.
  [[nodiscard]] Result<std::shared_ptr<const LinkView>> current(Patience& patience);
  // last is the newest that was given; null: none yet.
  [[nodiscard]] std::shared_ptr<const LinkView> last() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }
  // last_transaction is the ledger's.
  [[nodiscard]] std::uint64_t last_transaction() const { return ledger()->last_transaction(); }
  // ledger is open as it was for the newest view.
  [[nodiscard]] std::shared_ptr<keystore::Ledger> ledger() const {
    const std::lock_guard lock(mutex_);
    return ledger_;
  }

 private:
  [[nodiscard]] Result<std::shared_ptr<const LinkView>> read_or_reopen(const LinkView* previous);
  [[nodiscard]] Result<std::shared_ptr<const LinkView>> read(const LinkView* previous) const;
  [[nodiscard]] Result<std::shared_ptr<const Registry>> read_registry(std::uint64_t version) const;

  Site& site_;
  const std::shared_ptr<hsm::Token> token_;
  std::timed_mutex reading_;  // held while a view is read: over calls of the token too
  mutable std::mutex mutex_;  // held for a copy of a pointer
  std::shared_ptr<const LinkView> view_;
  std::shared_ptr<keystore::Ledger> ledger_;  // changed under reading_ too
};

}  // namespace fugo::engine
