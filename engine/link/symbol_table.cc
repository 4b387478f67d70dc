#include "engine/link/symbol_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/secret.h"

namespace fugo::engine {
namespace {

constexpr double kLoad = 0.87;         // of the slots, when a table is made
constexpr double kCrowded = 0.93;      // beyond it, look-ups go through too many buckets
constexpr std::uint64_t kPage = 4096;  // bytes

std::uint64_t buckets_for(std::uint64_t entries, std::uint64_t slots) {
  const auto wanted = static_cast<std::uint64_t>(static_cast<double>(entries) / kLoad) + 1;
  return (wanted + slots - 1) / slots;
}

}  // namespace

std::uint64_t SymbolTable::bytes_for(std::uint64_t entries) {
  const std::uint64_t bytes = buckets_for(entries, kSlots) * kSlots * sizeof(Slot);
  return (bytes + kPage - 1) / kPage * kPage;
}

Result<std::unique_ptr<SymbolTable>> SymbolTable::create(std::uint64_t entries, unsigned id_bits) {
  std::unique_ptr<SymbolTable> table(new SymbolTable);
  table->mapped_ = bytes_for(entries);
  // All of the pages: what rounding up gave is room for those who come later.
  table->buckets_ = table->mapped_ / (kSlots * sizeof(Slot));
  table->id_bits_ = id_bits;
  table->id_mask_ = (std::uint64_t{1} << id_bits) - 1;
  void* memory = ::mmap(nullptr, table->mapped_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    table->mapped_ = 0;
    return fail_errno("cannot allocate the table of an agency's symbols", "mmap", errno);
  }
  ::madvise(memory, table->mapped_, MADV_DONTDUMP);
  ::madvise(memory, table->mapped_, MADV_DONTFORK);
  ::madvise(memory, table->mapped_, MADV_HUGEPAGE);  // look-ups go everywhere
  table->slots_ = static_cast<Slot*>(memory);        // zero bytes are empty slots
  return table;
}

SymbolTable::~SymbolTable() {
  if (mapped_ == 0) return;
  wipe(static_cast<void*>(slots_), mapped_);
  ::munmap(static_cast<void*>(slots_), mapped_);
}

bool SymbolTable::insert(std::span<const Block> symbols, std::span<const keystore::PersonId> ids) {
  constexpr std::size_t kAhead = 16;
  std::uint64_t added = 0;
  bool room = true;
  for (std::size_t i = 0; i < symbols.size() && room; ++i) {
    if (i + kAhead < symbols.size()) prefetch(symbols[i + kAhead]);
    const std::uint64_t stored = std::uint64_t{ids[i]} + 1;
    const Inserted done =
        stored > id_mask_ ? Inserted::kNoRoom : insert_slot(key_of(symbols[i]) | stored);
    added += done == Inserted::kNew ? 1 : 0;
    room = done != Inserted::kNoRoom;
  }
  entries_.fetch_add(added, std::memory_order_relaxed);
  return room;
}

SymbolTable::Inserted SymbolTable::insert_slot(std::uint64_t slot) {
  std::uint64_t bucket = bucket_of(slot & ~id_mask_);
  for (std::uint64_t tried = 0; tried < buckets_; ++tried, bucket = after(bucket)) {
    for (std::size_t i = 0; i < kSlots; ++i) {
      Slot& place = slots_[bucket * kSlots + i];
      std::uint64_t there = place.load(std::memory_order_relaxed);
      if (there == 0 && place.compare_exchange_strong(there, slot, std::memory_order_release,
                                                      std::memory_order_relaxed))
        return Inserted::kNew;
      if (there == slot) return Inserted::kThere;
    }
  }
  return Inserted::kNoRoom;
}

bool SymbolTable::copy_to(SymbolTable& other) const {
  if (other.id_bits_ < id_bits_) return false;
  std::uint64_t added = 0;
  bool room = true;
  for (std::uint64_t i = 0; i < buckets_ * kSlots && room; ++i) {
    const std::uint64_t slot = slots_[i].load(std::memory_order_acquire);
    if (slot == 0) continue;
    // Fewer bits of the symbol fit beside wider ids.
    const Inserted done = other.insert_slot((slot & ~other.id_mask_) | (slot & id_mask_));
    added += done == Inserted::kNew ? 1 : 0;
    room = done != Inserted::kNoRoom;
  }
  other.entries_.fetch_add(added, std::memory_order_relaxed);
  return room;
}

bool SymbolTable::crowded(std::uint64_t more) const {
  const auto slots = static_cast<double>(buckets_ * kSlots);
  return static_cast<double>(entries() + more) > kCrowded * slots;
}

}  // namespace fugo::engine
