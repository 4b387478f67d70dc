// ResolverIndex: the tables that resolve one-way symbols; built, kept current, bounded, given up.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
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
// builds a missing one, and those that need the same one, or its room, wait for it.
class ResolverIndex {
 public:
  // Who waits for others' building gives up after `patience`, which is kIo.
  ResolverIndex(std::uint64_t most_bytes, std::chrono::milliseconds patience)
      : most_bytes_(most_bytes), patience_(patience) {}

  // kAsItIs takes a table that may not know the newest issuances; kCurrent knows all of the view's.
  enum class Freshness : std::uint8_t { kAsItIs, kCurrent };

  // Held is a table, and whether it knows all of the view's issuances.
  struct Held {
    std::shared_ptr<const SymbolTable> table;
    bool current = false;
    // It knows the view's and nothing later: a newer one may lack people who were deleted since.
    bool exact = false;
  };

  // table gives an agency's table, built first where there is none. kRefused when it does not fit
  // into most_bytes, and then only; kIo when others took too long, or memory for secrets cannot be
  // locked; else errors of token and ledger.
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

  // keep_only gives up the tables of generations that a registry does not accept: they are wiped
  // when the last thread that uses them is through.
  void keep_only(const Registry& registry);

  struct Totals {
    std::uint64_t tables = 0, entries = 0, bytes = 0, evictions = 0;
  };
  [[nodiscard]] Totals totals() const;

 private:
  using Name = std::pair<keystore::Generation, keystore::AgencyNumber>;

  struct Entry {
    std::timed_mutex making;  // held by who builds or brings up to date
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
      return {table, table && transaction >= view.transaction,
              table && transaction == view.transaction};
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
  // Room is what all tables that are alive take: also those that are being built, and those that a
  // thread still uses after their eviction.
  struct Room {
    std::mutex mutex;
    std::condition_variable changed;
    std::uint64_t bytes = 0;    // guarded by mutex
    std::uint64_t changes = 0;  // guarded by mutex; a table went, or can be evicted now
    void change(std::uint64_t freed);
  };
  // make_room evicts until `bytes` more fit, and counts them as taken. It waits for those who use
  // or build tables: kIo after `patience`, kRefused when there can never be room.
  [[nodiscard]] Status make_room(std::uint64_t bytes, std::chrono::milliseconds patience);
  // evict_oldest: false when there is no table to evict.
  [[nodiscard]] bool evict_oldest();
  // make_table takes the room that a table of so many entries needs, and makes it.
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table(std::uint64_t entries,
                                                                unsigned id_bits,
                                                                std::chrono::milliseconds patience);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table_of(
      const LinkView& view, keystore::AgencyNumber agency, std::chrono::milliseconds patience);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> build(
      const LinkView& view, const keystore::GenerationRow& generation,
      keystore::AgencyNumber agency, Entry& entry);
  [[nodiscard]] Status catch_up(const LinkView& view, const keystore::GenerationRow& generation,
                                keystore::AgencyNumber agency, Entry& entry);
  // add gives the table up where there is no room for a larger one: it will be built anew.
  [[nodiscard]] Status add(const LinkView& view, Entry& entry, std::span<const Block> symbols,
                           std::span<const keystore::PersonId> ids);
  // note_known remembers, under `making`, what a table that was brought to this view has seen.
  static void note_known(Entry& entry, const LinkView& view);

  const std::uint64_t most_bytes_;
  const std::chrono::milliseconds patience_;
  std::atomic<std::uint64_t> tick_{0};
  std::atomic<std::uint64_t> evictions_{0};
  mutable std::shared_mutex entries_mutex_;
  std::map<Name, std::shared_ptr<Entry>> entries_;
  const std::shared_ptr<Room> room_ = std::make_shared<Room>();
};

}  // namespace fugo::engine
