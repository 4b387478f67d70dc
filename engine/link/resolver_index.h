// ResolverIndex: the tables that resolve one-way symbols; built, kept current, bounded, given up.
#pragma once

#include <atomic>
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
#include "engine/link/patience.h"
#include "engine/link/symbol_table.h"

namespace fugo::engine {

// ResolverIndex holds a table for each generation and agency that was asked for. Thread-safe. A
// table that is there is used without waiting, also while it is brought up to date; one thread
// builds a missing one, and those that need the same one, or its room, wait for it.
class ResolverIndex {
 public:
  explicit ResolverIndex(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  // kIfThere makes and waits for nothing; kAsItIs takes a table that may not know the newest
  // issuances; kCurrent knows all of the view's.
  enum class Freshness : std::uint8_t { kIfThere, kAsItIs, kCurrent };

  // Held is a table, and whether it knows all of the view's issuances.
  struct Held {
    std::shared_ptr<const SymbolTable> table;
    bool current = false;
    // It knows the view's and nothing later: a newer one may lack people who were deleted since.
    bool exact = false;
  };

  // table gives an agency's table, built first where there is none (null with kIfThere). kRefused
  // when it does not fit into most_bytes, and then only; kIo when others who build it, or hold its
  // room, took longer than the patience lasts, or memory for secrets cannot be locked; else errors
  // of token and ledger.
  [[nodiscard]] Result<Held> table(const LinkView& view, const keystore::GenerationRow& generation,
                                   keystore::AgencyNumber agency, Freshness freshness,
                                   Patience& patience);

  // table_if_there is table() with kIfThere that does not count as a use of the table.
  [[nodiscard]] Held table_if_there(const LinkView& view, keystore::Generation generation,
                                    keystore::AgencyNumber agency);

  // build_all builds those of these agencies' tables that are missing, all in one pass over the
  // people. Who asks for one of them meanwhile does not wait for the pass, but builds it. kRefused
  // when they do not all fit: the first ones that fit beside each other are built, and none of
  // these agencies' tables is evicted for them.
  [[nodiscard]] Status build_all(const LinkView& view, const keystore::GenerationRow& generation,
                                 std::span<const keystore::AgencyNumber> agencies,
                                 const std::function<Status()>& keep_going);
  // refresh brings every table up to date that is there; false when it left some out, which others
  // are making now.
  [[nodiscard]] Result<bool> refresh(const LinkView& view,
                                     const std::function<Status()>& keep_going);

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
  using Agencies = std::span<const keystore::AgencyNumber>;  // ascending
  // make_room evicts until `bytes` more fit, and counts them as taken. It waits for those who use
  // or build tables: kIo when they took too long, kRefused when there can never be room.
  [[nodiscard]] Status make_room(std::uint64_t bytes, Agencies spared, Patience& patience);
  // evict_oldest: false when there is no table to evict but those of the spared.
  [[nodiscard]] bool evict_oldest(Agencies spared);
  // make_table takes the room that a table of so many entries needs, and makes it.
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table(std::uint64_t entries,
                                                                unsigned id_bits, Agencies spared,
                                                                Patience& patience);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> make_table_of(const LinkView& view,
                                                                   keystore::AgencyNumber agency,
                                                                   Agencies spared,
                                                                   Patience& patience);
  [[nodiscard]] Result<std::shared_ptr<SymbolTable>> build(
      const LinkView& view, const keystore::GenerationRow& generation,
      keystore::AgencyNumber agency, Entry& entry, Patience& patience);
  [[nodiscard]] Status catch_up(const LinkView& view, const keystore::GenerationRow& generation,
                                keystore::AgencyNumber agency, Entry& entry);
  // add gives the table up where there is no room for a larger one: it will be built anew.
  [[nodiscard]] Status add(const LinkView& view, Entry& entry, std::span<const Block> symbols,
                           std::span<const keystore::PersonId> ids);
  // note_known remembers, under `making`, what a table that was brought to this view has seen.
  static void note_known(Entry& entry, const LinkView& view);

  const std::uint64_t most_bytes_;
  std::mutex building_all_;  // held for a pass over all people: the next finds its tables
  std::atomic<std::uint64_t> tick_{0};
  std::atomic<std::uint64_t> evictions_{0};
  mutable std::shared_mutex entries_mutex_;
  std::map<Name, std::shared_ptr<Entry>> entries_;
  const std::shared_ptr<Room> room_ = std::make_shared<Room>();
};

}  // namespace fugo::engine
