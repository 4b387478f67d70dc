// LinkView: the ledger as linking sees it after one commit, and who keeps it up to date.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/result.h"
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
  std::vector<keystore::GenerationRow> generations;
  std::shared_ptr<Symbols> symbols;

  [[nodiscard]] const keystore::GenerationRow& active() const { return generations.front(); }
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
};

// ViewKeeper gives the newest view. Thread-safe: a thread that finds that there was a commit reads
// the new view; others that come meanwhile wait for it, since theirs must be as new, until their
// `patience` is over (kIo).
class ViewKeeper {
 public:
  ViewKeeper(keystore::Ledger& ledger, std::shared_ptr<hsm::Token> token,
             std::chrono::milliseconds patience)
      : ledger_(ledger), token_(std::move(token)), patience_(patience) {}

  // current is at least as new as every commit that ended before it was called.
  [[nodiscard]] Result<std::shared_ptr<const LinkView>> current();

 private:
  [[nodiscard]] Result<std::shared_ptr<const LinkView>> read(const LinkView* previous) const;
  [[nodiscard]] Result<std::shared_ptr<const Registry>> read_registry(std::uint64_t version) const;

  keystore::Ledger& ledger_;
  const std::shared_ptr<hsm::Token> token_;
  const std::chrono::milliseconds patience_;
  std::timed_mutex reading_;
  std::mutex mutex_;  // held for a copy of the pointer
  std::shared_ptr<const LinkView> view_;
};

}  // namespace fugo::engine
