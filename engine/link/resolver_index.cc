#include "engine/link/resolver_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>

#include "engine/link/index_builder.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::GenerationRow;

using std::chrono::milliseconds;

constexpr std::uint64_t kSpare = 64;  // entries that a new table has room for beyond its load
// Whoever looks things up in a table lets it go sooner: after that, the next one is evicted too.
constexpr Patience::Duration kInUse = milliseconds(100);

// A quarter more people than there are can come before tables must be made anew.
unsigned id_bits_for(const LinkView& view) {
  const std::uint64_t people = view.snapshot->people();
  return std::max(16U, static_cast<unsigned>(std::bit_width(people + people / 4 + 2)));
}

// not_too_large keeps a refusal on the way to a table (memory that cannot be locked, a key that is
// not the ledger's) from being taken for that of a table that does not fit.
Status not_too_large(Status done) {
  if (!done && done.error().code == ErrorCode::kRefused) done.error().code = ErrorCode::kIo;
  return done;
}

}  // namespace

std::shared_ptr<ResolverIndex::Entry> ResolverIndex::entry(const Name& name) {
  {
    const std::shared_lock lock(entries_mutex_);
    const auto found = entries_.find(name);
    if (found != entries_.end()) return found->second;
  }
  const std::unique_lock lock(entries_mutex_);
  auto& place = entries_[name];
  if (!place) place = std::make_shared<Entry>();
  return place;
}

Result<ResolverIndex::Held> ResolverIndex::table(const LinkView& view,
                                                 const GenerationRow& generation,
                                                 AgencyNumber agency, Freshness freshness,
                                                 Patience& patience) {
  const auto found = entry({generation.number, agency});
  found->last_used.store(tick_.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  auto held = found->held(view);
  const bool enough = held.current || freshness == Freshness::kAsItIs;
  if ((held.table && enough) || freshness == Freshness::kIfThere) return held;
  const auto lock = patience.wait([&](auto left) { return std::unique_lock(found->making, left); });
  if (!lock) return fail(ErrorCode::kIo, "the table of an agency's symbols is still being made");
  held = found->held(view);
  if (held.table && !held.current) {
    FUGO_TRY(not_too_large(catch_up(view, generation, agency, *found)));
    held = found->held(view);  // a larger one, or none: it may have been evicted
  }
  if (!held.table) {
    FUGO_ASSIGN(held.table, build(view, generation, agency, *found, patience));
  }
  held.current = true;
  return held;
}

ResolverIndex::Held ResolverIndex::table_if_there(const LinkView& view,
                                                  keystore::Generation generation,
                                                  AgencyNumber agency) {
  const std::shared_lock lock(entries_mutex_);
  const auto found = entries_.find({generation, agency});
  if (found == entries_.end()) return {};
  return found->second->held(view);
}

void ResolverIndex::Room::change(std::uint64_t freed) {
  {
    const std::lock_guard lock(mutex);
    bytes -= freed;
    ++changes;
  }
  changed.notify_all();
}

bool ResolverIndex::evict_oldest(Agencies spared) {
  std::shared_ptr<Entry> oldest;
  {
    const std::shared_lock entries(entries_mutex_);
    for (const auto& [name, entry] : entries_)
      if (entry->get() && !std::binary_search(spared.begin(), spared.end(), name.second) &&
          (!oldest || entry->last_used < oldest->last_used))
        oldest = entry;
  }
  if (!oldest) return false;
  oldest->put(nullptr);  // wiped when the last thread that uses it is through
  ++evictions_;
  return true;
}

Status ResolverIndex::make_room(std::uint64_t bytes, Agencies spared, Patience& patience) {
  if (bytes > most_bytes_)
    return fail(ErrorCode::kRefused,
                fmt::format("the table of an agency's symbols takes {} MiB, more than was set",
                            (bytes >> 20U) + 1),
                "linking.index_mib", "set more, or use the method xts-aes256 for this agency");
  std::unique_lock lock(room_->mutex);
  while (room_->bytes + bytes > most_bytes_) {
    const std::uint64_t seen = room_->changes;
    lock.unlock();
    const bool evicted = evict_oldest(spared);
    lock.lock();
    const auto limit = [&](Patience::Duration left) { return evicted ? kInUse : left; };
    const bool changed = patience.wait([&](Patience::Duration left) {
      return room_->changed.wait_for(lock, limit(left), [&] { return room_->changes != seen; });
    });
    if (!evicted && !changed)
      return fail(ErrorCode::kIo, "the memory for tables of agencies' symbols is in use",
                  "linking.index_mib", "set more");
  }
  room_->bytes += bytes;
  return {};
}

Result<std::shared_ptr<SymbolTable>> ResolverIndex::make_table(std::uint64_t entries,
                                                               unsigned id_bits, Agencies spared,
                                                               Patience& patience) {
  const std::uint64_t bytes = SymbolTable::bytes_for(entries + kSpare);
  FUGO_TRY(make_room(bytes, spared, patience));
  auto made = SymbolTable::create(entries + kSpare, id_bits);
  if (!made) {
    room_->change(bytes);
    return tl::unexpected(std::move(made.error()));
  }
  // Its room is free again when the last thread that uses it lets it go.
  return std::shared_ptr<SymbolTable>(made->release(), [room = room_, bytes](SymbolTable* old) {
    delete old;
    room->change(bytes);
  });
}

Result<std::shared_ptr<SymbolTable>> ResolverIndex::make_table_of(const LinkView& view,
                                                                  AgencyNumber agency,
                                                                  Agencies spared,
                                                                  Patience& patience) {
  FUGO_ASSIGN(const std::uint64_t count, view.snapshot->count_issued(agency));
  return make_table(count, id_bits_for(view), spared, patience);
}

void ResolverIndex::note_known(Entry& entry, const LinkView& view) {
  entry.known_files.clear();
  for (const auto& file : view.snapshot->files())
    if (file.kind == keystore::FileKind::kIssued) entry.known_files.push_back(file.number);
  std::sort(entry.known_files.begin(), entry.known_files.end());
  entry.last_segment = view.last_segment;
}

Result<std::shared_ptr<SymbolTable>> ResolverIndex::build(const LinkView& view,
                                                          const GenerationRow& generation,
                                                          AgencyNumber agency, Entry& entry,
                                                          Patience& patience) {
  FUGO_ASSIGN(auto table, make_table_of(view, agency, {}, patience));
  const IndexTarget target{agency, table.get()};
  FUGO_TRY(not_too_large(fill_tables(view, generation, {&target, 1}, {})));
  note_known(entry, view);
  entry.put(table, view.transaction);
  room_->change(0);
  return table;
}

Status ResolverIndex::catch_up(const LinkView& view, const GenerationRow& generation,
                               AgencyNumber agency, Entry& entry) {
  FUGO_TRY(
      recompute_new(view, generation, agency, {entry.known_files, entry.last_segment},
                    [&](std::span<const keystore::PersonId> ids, std::span<const Block> symbols) {
                      return add(view, entry, symbols, ids);
                    }));
  note_known(entry, view);
  entry.brought_to(view.transaction);
  return {};
}

Status ResolverIndex::add(const LinkView& view, Entry& entry, std::span<const Block> symbols,
                          std::span<const keystore::PersonId> ids) {
  const auto table = entry.get();
  if (!table) return {};  // evicted meanwhile: it will be built anew
  const bool wider = std::uint64_t{ids.back()} + 2 > (std::uint64_t{1} << table->id_bits());
  if (!wider && !table->crowded(symbols.size()) && table->insert(symbols, ids)) return {};
  const std::uint64_t entries = (table->entries() + symbols.size()) / 8 * 9;
  Patience none(milliseconds::zero());
  auto larger = make_table(entries, wider ? id_bits_for(view) : table->id_bits(), {}, none);
  if (!larger) {
    entry.put(nullptr);
    return {};
  }
  if (!table->copy_to(**larger) || !(*larger)->insert(symbols, ids))
    return fail(ErrorCode::kInternal, "a larger table of symbols was made too small");
  entry.put(std::move(*larger));
  room_->change(0);
  return {};
}

Status ResolverIndex::build_all(const LinkView& view, const GenerationRow& generation,
                                std::span<const AgencyNumber> agencies,
                                const std::function<Status()>& keep_going) {
  std::vector<AgencyNumber> wanted(agencies.begin(), agencies.end());
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  const std::lock_guard one_pass(building_all_);
  std::vector<std::shared_ptr<Entry>> entries;
  std::vector<std::shared_ptr<SymbolTable>> tables;
  std::vector<IndexTarget> targets;
  Status fits;
  Patience none(milliseconds::zero());  // what is in the way are mostly the tables before this one
  for (const AgencyNumber agency : wanted) {
    auto found = entry({generation.number, agency});
    if (found->get()) continue;
    auto table = make_table_of(view, agency, wanted, none);
    if (!table) {
      fits = tl::unexpected(table.error());
      if (fits.error().code == ErrorCode::kIo) fits.error().code = ErrorCode::kRefused;
      break;
    }
    targets.push_back({agency, table->get()});
    tables.push_back(std::move(*table));
    entries.push_back(std::move(found));
  }
  if (!targets.empty()) FUGO_TRY(not_too_large(fill_tables(view, generation, targets, keep_going)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::unique_lock lock(entries[i]->making, std::try_to_lock);
    if (!lock || entries[i]->get()) continue;  // somebody could not wait, and makes its own
    note_known(*entries[i], view);
    entries[i]->put(std::move(tables[i]), view.transaction);
  }
  tables.clear();
  room_->change(0);
  return fits;
}

Result<bool> ResolverIndex::refresh(const LinkView& view,
                                    const std::function<Status()>& keep_going) {
  std::vector<std::pair<Name, std::shared_ptr<Entry>>> present;
  {
    const std::shared_lock lock(entries_mutex_);
    present.assign(entries_.begin(), entries_.end());
  }
  bool all = true;
  for (const auto& [name, entry] : present) {
    if (keep_going) FUGO_TRY(keep_going());
    if (const Held held = entry->held(view); !held.table || held.current) continue;
    const Accepted* const generation = view.registry->accepted(name.first);
    if (generation == nullptr) continue;
    const std::unique_lock lock(entry->making, std::try_to_lock);
    all = all && lock.owns_lock();
    if (!lock) continue;
    if (const Held held = entry->held(view); held.table && !held.current)
      FUGO_TRY(catch_up(view, generation->row, name.second, *entry));
  }
  return all;
}

void ResolverIndex::keep_only(const Registry& registry) {
  std::vector<std::shared_ptr<Entry>> retired;
  {
    const std::unique_lock lock(entries_mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
      const bool keeps = registry.accepted(at->first.first) != nullptr;
      if (!keeps) retired.push_back(std::move(at->second));
      at = keeps ? std::next(at) : entries_.erase(at);
    }
  }
  // Wiping takes its time. A table that is being built goes with the thread that builds it.
  for (const auto& entry : retired) entry->put(nullptr);
}

ResolverIndex::Totals ResolverIndex::totals() const {
  Totals totals;
  {
    const std::lock_guard room(room_->mutex);
    totals.bytes = room_->bytes;
  }
  totals.evictions = evictions_;
  const std::shared_lock lock(entries_mutex_);
  for (const auto& [name, entry] : entries_) {
    const auto table = entry->get();
    if (!table) continue;
    ++totals.tables;
    totals.entries += table->entries();
  }
  return totals;
}

}  // namespace fugo::engine
