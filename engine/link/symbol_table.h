// SymbolTable: which people one agency's one-way symbols may belong to, in memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "keystore/types.h"

namespace fugo::engine {

// SymbolTable maps symbols to candidates: a slot of 8 bytes holds a person's id and as many bits
// of the symbol as there is room for beside it (36 in a country of 125 million), so that a
// candidate is nearly always right; who asks verifies it. Slots lie in buckets of one cache line;
// a full bucket's overflow goes to the next. Any number of threads may find and insert at once.
// The memory is zeroed, kept out of core dumps and forked children, and wiped at the end; it is
// not locked: it holds no symbol, and no number that leads to one without the token.
class SymbolTable {
 public:
  // create makes room for `entries` at kLoad and for ids below 2^id_bits - 1.
  [[nodiscard]] static Result<std::unique_ptr<SymbolTable>> create(std::uint64_t entries,
                                                                   unsigned id_bits);
  ~SymbolTable();
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;

  // bytes_for is what a table for so many entries takes.
  [[nodiscard]] static std::uint64_t bytes_for(std::uint64_t entries);

  // insert adds people beside their symbols, of equal number. False when the table is full to the
  // last slot, or an id does not fit: it is then to be made anew. What is there already stays once.
  [[nodiscard]] bool insert(std::span<const Block> symbols,
                            std::span<const keystore::PersonId> ids);
  // find calls found(id) for each candidate.
  template <typename Found>
  void find(const Block& symbol, const Found& found) const {
    const std::uint64_t key = key_of(symbol);
    for (std::uint64_t bucket = bucket_of(key), tried = 0; tried < buckets_;
         ++tried, bucket = after(bucket)) {
      for (std::size_t i = 0; i < kSlots; ++i) {
        const std::uint64_t slot = slots_[bucket * kSlots + i].load(std::memory_order_acquire);
        if (slot == 0) return;
        if ((slot & ~id_mask_) == key)
          found(static_cast<keystore::PersonId>((slot & id_mask_) - 1));
      }
    }
  }
  // prefetch asks for the cache line that find and insert begin with.
  void prefetch(const Block& symbol) const {
    __builtin_prefetch(&slots_[bucket_of(key_of(symbol)) * kSlots]);
  }

  // copy_to inserts all of this table's entries into another.
  [[nodiscard]] bool copy_to(SymbolTable& other) const;

  [[nodiscard]] std::uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t bytes() const { return mapped_; }
  [[nodiscard]] unsigned id_bits() const { return id_bits_; }
  // crowded: it should be made larger before more is inserted.
  [[nodiscard]] bool crowded(std::uint64_t more) const;

 private:
  using Slot = std::atomic<std::uint64_t>;
  static_assert(Slot::is_always_lock_free && sizeof(Slot) == 8);
  static constexpr std::size_t kSlots = 8;  // in a bucket: 64 bytes

  SymbolTable() = default;

  // key_of is the part of a symbol that a slot keeps, in its place.
  [[nodiscard]] std::uint64_t key_of(const Block& symbol) const {
    return load_be<std::uint64_t>(symbol.bytes.data()) & ~id_mask_;
  }
  [[nodiscard]] std::uint64_t bucket_of(std::uint64_t key) const {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(key) * buckets_) >> 64U);
  }
  [[nodiscard]] std::uint64_t after(std::uint64_t bucket) const {
    return bucket + 1 == buckets_ ? 0 : bucket + 1;
  }
  enum class Inserted : std::uint8_t { kNew, kThere, kNoRoom };
  [[nodiscard]] Inserted insert_slot(std::uint64_t slot);

  Slot* slots_ = nullptr;
  std::uint64_t buckets_ = 0;
  std::uint64_t mapped_ = 0;  // bytes
  std::uint64_t id_mask_ = 0;
  unsigned id_bits_ = 0;
  std::atomic<std::uint64_t> entries_{0};
};

}  // namespace fugo::engine
