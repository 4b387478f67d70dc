// ResolverIndex: the tables that resolve one-way symbols; built, kept current, bounded, given up.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/link/link_view.h"
#include "engine/link/symbol_table.h"

namespace fugo::engine {

// ResolverIndex holds a table for each generation and agency that was asked for. Thread-safe. A
// table that is there is used without waiting, also while it is brought up to date; one thread
// builds a missing one, and those that need the same one wait for it.
class ResolverIndex {
 public:
  explicit ResolverIndex(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  // kAsItIs takes a table that may not know the newest issuances; kCurrent knows all of the view's.
  enum class Freshness : std::uint8_t { kAsItIs, kCurrent };

  // Held is a table, and whether it knows all of the view's issuances.
  struct Held {
    std::shared_ptr<const SymbolTable> table;
    bool current = false;
  };

  // table gives an agency's table, built first where there is none. kRefused when it does not fit
  // into most_bytes; else errors of token and ledger.
  [[nodiscard]] Result<Held> table(const LinkView& view, const keystore::GenerationRow& generation,
                                   keystore::AgencyNumber agency, Freshness freshness);

  // table_if_there builds nothing and waits for nobody; the table may be null.
  [[nodiscard]] Held table_if_there(const LinkView& view, keystore::Generation generation,
                                    keystore::AgencyNumber agency);

  // build_all builds those of these agencies' tables that are missing, all in one pass over the
  // people. kRefused, and the first ones that fit are built, when they do not all fit.
  [[nodiscard]] Status build_all(const LinkView& view, const keystore::GenerationRow& generation,
                                 std::span<const keystore::AgencyNumber> agencies,
                                 const std::function<Status()>& keep_going);
  // refresh brings every table up to date that is there.
  [[nodiscard]] Status refresh(const LinkView& view, const std::function<Status()>& keep_going);

  struct Totals {
    std::uint64_t tables = 0, entries = 0, bytes = 0, evictions = 0;
  };
  [[nodiscard]] Totals totals() const;

 private:
  using Name = std::pair<keystore::Generation, keystore::AgencyNumber>;

  struct Entry {
    std::mutex making;  // held by who builds or brings up to date
    // Guarded by `making`.
    std::vector<keystore::FileNumber> known_files;
    keystore::SegmentNumber last_segment = keystore::kNoSegment;

    std::atomic<std::uint64_t> last_used{0};  // a tick of the index
    mutable std::mutex mutex;                 // guards those below, for a copy
    std::shared_ptr<SymbolTable> table;
    std::uint64_t transaction = 0;  // of the newest view whose issuances the table knows

    [[nodiscard]] std::shared_ptr<SymbolTable> get() const {
      const std::lock_guard lock(mutex);
      return table;
    }
    [[nodiscard]] Held held(const LinkView& view) const {
      const std::lock_guard lock(mutex);
      return {table, table && transaction >= view.transaction};
    }
    void brought_to(std::uint64_t of_transaction) {
      const std::lock_guard lock(mutex);
      transaction = of_transaction;
    }
    void put(std::shared_ptr<SymbolTable> other) {
      const std::lock_guard lock(mutex);
      table = std::move(other);
    }
    void put(std::shared_ptr<SymbolTable> other, std::uint64_t of_transaction) {
      const std::lock_guard lock(mutex);
      table = std::move(other);
      transaction = of_transaction;
    }
  };

  [[nodiscard]] std::shared_ptr<Entry> entry(const Name& name);
  // make_room evicts until `bytes` more fit; kRefused when they never will. Counts them as taken.
  [[nodiscard]] Status make_room(std::uint64_t bytes);
  // make_table takes the room that a table of so many entries needs, and makes it.
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table(std::uint64_t entries,
                                                                unsigned id_bits);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table_of(const LinkView& view,
                                                                   keystore::AgencyNumber agency);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> build(
      const LinkView& view, const keystore::GenerationRow& generation,
      keystore::AgencyNumber agency, Entry& entry);
  [[nodiscard]] Status catch_up(const LinkView& view, const keystore::GenerationRow& generation,
                                keystore::AgencyNumber agency, Entry& entry);
  [[nodiscard]] Status add(Entry& entry, std::span<const Block> symbols,
                           std::span<const keystore::PersonId> ids);
  // note_known remembers, under `making`, what a table that was brought to this view has seen.
  static void note_known(Entry& entry, const LinkView& view);

  const std::uint64_t most_bytes_;
  std::atomic<std::uint64_t> tick_{0};
  std::atomic<std::uint64_t> evictions_{0};
  mutable std::shared_mutex entries_mutex_;
  std::map<Name, std::shared_ptr<Entry>> entries_;
  std::mutex room_mutex_;
  // Of all tables that are alive, also those that a thread still uses after their eviction.
  std::shared_ptr<std::atomic<std::uint64_t>> bytes_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

}  // namespace fugo::engine
