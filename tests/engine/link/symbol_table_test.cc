// SymbolTable against a model: what is found, when it is full, and while others insert.
#include "engine/link/symbol_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

namespace fugo::engine {
namespace {

using keystore::PersonId;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned kIdBits = 16;
constexpr std::uint64_t kSlotBytes = 8;

Block symbol_of(std::uint64_t head, std::uint64_t tail = 0) {
  Block symbol;
  store_be(symbol.bytes.data(), head);
  store_be(symbol.bytes.data() + 8, tail);
  return symbol;
}

std::unique_ptr<SymbolTable> make_table(std::uint64_t entries, unsigned id_bits = kIdBits) {
  auto table = SymbolTable::create(entries, id_bits);
  EXPECT_TRUE(table);
  return std::move(*table);
}

std::vector<PersonId> found_in(const SymbolTable& table, const Block& symbol) {
  std::vector<PersonId> ids;
  table.find(symbol, [&](PersonId id) { ids.push_back(id); });
  return ids;
}

// Model holds what a table of ids of `id_bits` must find: people by the bits that it keeps.
class Model {
 public:
  explicit Model(unsigned id_bits) : id_bits_(id_bits) {}
  void insert(const Block& symbol, PersonId id) {
    auto& ids = ids_[key(symbol)];
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) return;
    ids.push_back(id);
    ++entries_;
  }
  [[nodiscard]] std::vector<PersonId> find(const Block& symbol) const {
    const auto found = ids_.find(key(symbol));
    return found == ids_.end() ? std::vector<PersonId>{} : found->second;
  }
  [[nodiscard]] std::uint64_t entries() const { return entries_; }

 private:
  [[nodiscard]] std::uint64_t key(const Block& symbol) const {
    return load_be<std::uint64_t>(symbol.bytes.data()) >> id_bits_;
  }
  const unsigned id_bits_;
  std::map<std::uint64_t, std::vector<PersonId>> ids_;
  std::uint64_t entries_ = 0;
};

// Entries as one agency might have them, but many share a bucket, or all the bits that are kept.
struct Entries {
  std::vector<Block> symbols;
  std::vector<PersonId> ids;
};
Entries random_entries(std::mt19937_64& random, std::size_t count) {
  Entries entries;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t head = random();
    if (random() % 4 == 0) head &= 0xF000'0000'0000'FFFF;                 // few buckets
    if (random() % 4 == 0) head = (head & 0xFF) * 0x0101'0000'0000'0000;  // few symbols
    entries.symbols.push_back(symbol_of(head, random()));
    entries.ids.push_back(static_cast<PersonId>(random() % ((1U << kIdBits) - 1)));
  }
  return entries;
}

void expect_all(const SymbolTable& table, const Model& model, const std::vector<Block>& symbols) {
  for (const Block& symbol : symbols) {
    auto found = found_in(table, symbol), right = model.find(symbol);
    std::sort(found.begin(), found.end());
    std::sort(right.begin(), right.end());
    ASSERT_EQ(found, right);
  }
  EXPECT_EQ(table.entries(), model.entries());
}

TEST(SymbolTable, FindsWhatAModelFinds) {
  for (unsigned seed = 1; seed <= 25; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t count = 1 + random() % 6000;
    const auto entries = random_entries(random, count);
    const auto table = make_table(count);
    Model model(kIdBits);
    std::size_t first = 0;
    while (first < count) {  // in pieces of any length
      const std::size_t piece = std::min<std::size_t>(random() % 700, count - first);
      ASSERT_TRUE(table->insert(std::span(entries.symbols).subspan(first, piece),
                                std::span(entries.ids).subspan(first, piece)));
      for (std::size_t i = first; i < first + piece; ++i)
        model.insert(entries.symbols[i], entries.ids[i]);
      first += piece;
    }
    expect_all(*table, model, entries.symbols);
    expect_all(*table, model, random_entries(random, 2000).symbols);
    // What is there already stays once.
    ASSERT_TRUE(table->insert(entries.symbols, entries.ids));
    expect_all(*table, model, entries.symbols);
    if (HasFatalFailure()) return;
  }
}

TEST(SymbolTable, IsMadeOfZeroBytesAndFindsNothing) {
  const auto table = make_table(0);
  EXPECT_EQ(table->entries(), 0U);
  EXPECT_GT(table->bytes(), 0U);
  EXPECT_THAT(found_in(*table, symbol_of(0)), IsEmpty());
  EXPECT_THAT(found_in(*table, symbol_of(~0ULL)), IsEmpty());
}

TEST(SymbolTable, TheFirstAndTheLastPersonAreFound) {
  const auto table = make_table(10);
  constexpr PersonId kLast = (1U << kIdBits) - 2;
  const std::vector<Block> symbols = {symbol_of(0), symbol_of(~0ULL), symbol_of(0)};
  ASSERT_TRUE(table->insert(symbols, std::vector<PersonId>{0, kLast, kLast}));
  EXPECT_THAT(found_in(*table, symbols[0]), UnorderedElementsAre(0U, kLast));
  EXPECT_THAT(found_in(*table, symbols[1]), UnorderedElementsAre(kLast));
  // The next one does not fit, and leaves what is there as it was.
  EXPECT_FALSE(table->insert({symbols.data(), 1}, std::vector<PersonId>{kLast + 1}));
  EXPECT_THAT(found_in(*table, symbols[0]), UnorderedElementsAre(0U, kLast));
  EXPECT_EQ(table->entries(), 3U);
}

// All symbols begin in the last bucket: what has no room there goes round to the first.
TEST(SymbolTable, OverflowGoesOnBehindTheLastBucket) {
  const auto table = make_table(400);
  Entries entries;
  Model model(kIdBits);
  for (PersonId id = 0; id < 400; ++id) {
    entries.symbols.push_back(symbol_of(~0ULL << 20U | id << 16U));
    entries.ids.push_back(id);
    model.insert(entries.symbols.back(), id);
  }
  ASSERT_TRUE(table->insert(entries.symbols, entries.ids));
  expect_all(*table, model, entries.symbols);
}

TEST(SymbolTable, IsFullAtTheLastSlotOnly) {
  const auto table = make_table(1);
  const std::uint64_t slots = table->bytes() / kSlotBytes;
  std::mt19937_64 random(1);
  Model model(kIdBits);
  std::vector<Block> symbols;
  for (PersonId id = 0; id < slots; ++id) {
    symbols.push_back(symbol_of(random()));
    model.insert(symbols.back(), id);
    ASSERT_TRUE(table->insert({&symbols.back(), 1}, {&id, 1})) << id << " of " << slots;
  }
  EXPECT_TRUE(table->crowded(0));
  const PersonId more = static_cast<PersonId>(slots);
  const Block another = symbol_of(random());
  EXPECT_FALSE(table->insert({&another, 1}, {&more, 1}));
  // It ends all the same when there is no empty slot to end at.
  EXPECT_THAT(found_in(*table, another), IsEmpty());
  expect_all(*table, model, symbols);
  const PersonId there = 0;
  EXPECT_TRUE(table->insert({symbols.data(), 1}, {&there, 1}));
}

TEST(SymbolTable, RoomForTheEntriesThatItWasMadeForIsNotCrowded) {
  for (const std::uint64_t entries : {0ULL, 1ULL, 400ULL, 5000ULL, 123456ULL}) {
    const auto table = make_table(entries, 20);
    EXPECT_EQ(table->bytes(), SymbolTable::bytes_for(entries));
    EXPECT_GT(table->bytes() / kSlotBytes, entries);
    EXPECT_FALSE(table->crowded(entries));
    EXPECT_TRUE(table->crowded(table->bytes() / kSlotBytes));
  }
}

TEST(SymbolTable, AWiderCopyFindsTheSame) {
  std::mt19937_64 random(7);
  const auto entries = random_entries(random, 3000);
  const auto table = make_table(3000);
  ASSERT_TRUE(table->insert(entries.symbols, entries.ids));
  for (const unsigned id_bits : {kIdBits, kIdBits + 1, 27U}) {
    const auto larger = make_table(6000, id_bits);
    ASSERT_TRUE(table->copy_to(*larger));
    Model model(id_bits);  // which keeps fewer bits of the symbols
    for (std::size_t i = 0; i < entries.ids.size(); ++i)
      model.insert(entries.symbols[i], entries.ids[i]);
    expect_all(*larger, model, entries.symbols);
    if (HasFatalFailure()) return;
  }
  EXPECT_FALSE(table->copy_to(*make_table(6000, kIdBits - 1)));
  EXPECT_FALSE(table->copy_to(*make_table(0)));  // too small
}

// Whoever looks while others insert finds everything whose insertion had ended, and nothing that
// nobody put in.
TEST(SymbolTable, ThreadsFindWhileThreadsInsert) {
  constexpr std::size_t kWriters = 3, kOfEach = 20'000;
  std::mt19937_64 random(3);
  Entries entries = random_entries(random, kWriters * kOfEach);
  for (PersonId i = 0; i < entries.ids.size(); ++i) entries.ids[i] = i;
  const auto table = make_table(entries.ids.size(), 17);
  Model model(17);
  for (std::size_t i = 0; i < entries.ids.size(); ++i)
    model.insert(entries.symbols[i], entries.ids[i]);

  std::atomic<std::size_t> done[kWriters] = {};
  std::atomic<bool> failed{false}, written{false};
  const auto write = [&](std::size_t writer) {
    for (std::size_t i = 0; i < kOfEach; ++i) {
      const std::size_t at = writer * kOfEach + i;
      if (!table->insert({&entries.symbols[at], 1}, {&entries.ids[at], 1})) failed = true;
      done[writer].store(i + 1, std::memory_order_release);
    }
  };
  const auto read = [&](unsigned seed) {
    std::mt19937_64 own(seed);
    while (!written) {
      const std::size_t writer = own() % kWriters;
      const std::size_t ready = done[writer].load(std::memory_order_acquire);
      if (ready == 0) continue;
      const std::size_t at = writer * kOfEach + own() % ready;
      const auto ids = found_in(*table, entries.symbols[at]);
      const auto right = model.find(entries.symbols[at]);
      if (std::count(ids.begin(), ids.end(), entries.ids[at]) != 1) failed = true;
      for (const PersonId id : ids)
        if (std::find(right.begin(), right.end(), id) == right.end()) failed = true;
    }
  };
  std::vector<std::thread> readers, writers;
  for (unsigned i = 0; i < 2; ++i) readers.emplace_back(read, i);
  for (std::size_t i = 0; i < kWriters; ++i) writers.emplace_back(write, i);
  for (auto& thread : writers) thread.join();
  written = true;
  for (auto& thread : readers) thread.join();
  EXPECT_FALSE(failed);
  expect_all(*table, model, entries.symbols);
}

}  // namespace
}  // namespace fugo::engine
