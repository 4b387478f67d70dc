#include "engine/regenerate/mapper.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <utility>

#include "base/parallel.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::PersonId;

constexpr std::size_t kPeopleAtOnce = std::size_t{1} << 19U;  // a worker's range of ids
constexpr std::size_t kRecordsAtOnce = 4096;                  // opened before their L is kept
constexpr std::size_t kPiece = std::size_t{1} << 15U;         // symbols made in one go

std::uint64_t prefix_of(const Block& symbol) { return load_be<std::uint64_t>(symbol.bytes.data()); }

}  // namespace

// Target is where one agency's pairs go: those whose old symbol's prefix is in [low, high].
struct Mapper::Target {
  AgencyNumber agency = 0;
  std::uint64_t total = 0;
  std::uint64_t low = 0, high = std::numeric_limits<std::uint64_t>::max();
  bool first = true, last = true;
  std::span<MappedPair> room;
  std::atomic<std::size_t> used{0};

  [[nodiscard]] bool wants(const Block& old_symbol) const {
    const std::uint64_t prefix = prefix_of(old_symbol);
    return prefix >= low && prefix <= high;
  }
};

// Filler makes the pairs of one range of people after another. One thread.
class Mapper::Filler {
 public:
  explicit Filler(const Mapper& mapper) noexcept
      : mapper_(mapper), same_(mapper.from_.linkage_generation == mapper.to_.linkage_generation) {}

  Status create() {
    FUGO_ASSIGN(records_, SecretArray<keystore::PersonRecord>::create(kRecordsAtOnce));
    for (auto* array : {&kept_old_, &kept_new_}) {
      FUGO_ASSIGN(*array, SecretArray<Block>::create(kPeopleAtOnce));
    }
    for (auto* array : {&linkage_, &old_, &new_}) {
      FUGO_ASSIGN(*array, SecretArray<Block>::create(kPiece));
    }
    alive_.resize(kPeopleAtOnce);
    return {};
  }

  Status fill(std::span<Target> targets, PersonId first, PersonId last) {
    first_ = first;
    FUGO_TRY(keep(mapper_.from_.linkage_generation, last, kept_old_));
    if (!same_) FUGO_TRY(keep(mapper_.to_.linkage_generation, last, kept_new_));
    for (Target& target : targets) {
      FUGO_TRY(target.agency == 0 ? add_everybody(target, last) : add_issued(target, last));
      FUGO_TRY(flush_records(target));
    }
    return flush();
  }

 private:
  // Run is the items of one target within the piece: they end at `end`.
  struct Run {
    Target* target;
    std::size_t end;
  };

  Status keep(keystore::Generation generation, PersonId last, SecretArray<Block>& kept) {
    for (PersonId at = first_; at < last;) {
      const auto count = static_cast<PersonId>(std::min<std::size_t>(kRecordsAtOnce, last - at));
      const auto records = records_.span().first(count);
      FUGO_TRY(mapper_.snapshot_->read_people_range(generation, at, records));
      for (PersonId i = 0; i < count; ++i) {
        kept[at - first_ + i] = records[i].linkage_symbol;
        alive_[at - first_ + i] = records[i].state != keystore::PersonState::kDeleted ? 1 : 0;
      }
      at += count;
    }
    return {};
  }

  Status add_everybody(Target& target, PersonId last) {
    FUGO_TRY(flush());  // record symbols are made by a key of their own
    for (PersonId id = first_; id < last; ++id)
      if (alive_[id - first_] != 0) FUGO_TRY(add(target, id));
    return {};
  }

  Status add_issued(Target& target, PersonId last) {
    return mapper_.snapshot_->scan_issued(
        target.agency, first_, last, [&](std::span<const keystore::IssuedEntry> entries) -> Status {
          for (const auto& entry : entries)
            if (mapper_.is_wanted(entry)) FUGO_TRY(add(target, entry.key.id));
          return {};
        });
  }

  Status add(Target& target, PersonId id) {
    if (runs_.empty() || runs_.back().target != &target) runs_.push_back({&target, 0});
    ids_.push_back(id);
    agencies_.push_back(target.agency);
    runs_.back().end = ids_.size();
    return ids_.size() < kPiece ? Status{} : flush();
  }

  Status flush_records(const Target& target) { return target.agency == 0 ? flush() : Status{}; }

  Status flush() {
    if (ids_.empty()) return {};
    FUGO_TRY(make(mapper_.from_, kept_old_, old_.span().first(ids_.size())));
    FUGO_TRY(make(mapper_.to_, same_ ? kept_old_ : kept_new_, new_.span().first(ids_.size())));
    std::size_t first = 0;
    for (const Run& run : runs_) {
      FUGO_TRY(store(*run.target, first, run.end));
      first = run.end;
    }
    runs_.clear();
    ids_.clear();
    agencies_.clear();
    return {};
  }

  // Symbols of ids_ and agencies_ in one generation.
  Status make(const keystore::GenerationRow& generation, const SecretArray<Block>& kept,
              std::span<Block> symbols) {
    for (std::size_t i = 0; i < ids_.size(); ++i) linkage_[i] = kept[ids_[i] - first_];
    const auto linkage = std::span<const Block>(linkage_.span()).first(ids_.size());
    if (agencies_.front() == 0) return mapper_.site_.symbols().record(generation, linkage, symbols);
    return mapper_.site_.symbols().agency(generation.number, agencies_, linkage, symbols);
  }

  Status store(Target& target, std::size_t first, std::size_t end) const {
    std::size_t count = 0;
    for (std::size_t i = first; i < end; ++i) count += target.wants(old_[i]) ? 1 : 0;
    const std::size_t at = target.used.fetch_add(count, std::memory_order_relaxed);
    if (at + count > target.room.size())
      return fail(ErrorCode::kInternal, "an agency has more symbols than were counted",
                  "regeneration");
    MappedPair* to = target.room.data() + at;
    for (std::size_t i = first; i < end; ++i)
      if (target.wants(old_[i])) *to++ = {old_[i], new_[i]};
    return {};
  }

  const Mapper& mapper_;
  const bool same_;  // both generations have the same linkage symbols
  SecretArray<keystore::PersonRecord> records_;
  SecretArray<Block> kept_old_, kept_new_, linkage_, old_, new_;
  std::vector<std::uint8_t> alive_;
  PersonId first_ = 0;
  std::vector<PersonId> ids_;
  std::vector<AgencyNumber> agencies_;
  std::vector<Run> runs_;
};

Result<std::uint64_t> Mapper::count_pairs(AgencyNumber agency) const {
  if (agency != 0 && !last_segment_) return snapshot_->count_issued(agency);
  if (agency != 0) {
    std::uint64_t pairs = 0;
    FUGO_TRY(snapshot_->scan_issued(agency, 0, keystore::kNoPerson,
                                    [&](std::span<const keystore::IssuedEntry> entries) -> Status {
                                      for (const auto& entry : entries)
                                        pairs += is_wanted(entry) ? 1 : 0;
                                      return {};
                                    }));
    return pairs;
  }
  std::uint64_t people = 0;
  FUGO_TRY(snapshot_->scan_index(from_.linkage_generation,
                                 [&](std::span<const keystore::IndexEntry> entries) -> Status {
                                   for (const auto& entry : entries)
                                     people += entry.id < people_limit() ? 1 : 0;
                                   return {};
                                 }));
  return people;
}

Status Mapper::map(std::span<const MappingWish> wishes, const TakePart& take,
                   const std::function<Status(std::uint64_t)>& progress) {
  std::uint64_t most = 0;
  for (const MappingWish& wish : wishes) most += wish.pairs;
  FUGO_ASSIGN(pairs_, SecretArray<MappedPair>::create(
                          static_cast<std::size_t>(std::min<std::uint64_t>(most, capacity_))));
  for (std::size_t first = 0; first < wishes.size();) {
    if (wishes[first].pairs > capacity_) {
      FUGO_TRY(map_large(wishes[first++], take, progress));
      continue;
    }
    std::size_t last = first;
    std::uint64_t pairs = 0;
    while (last < wishes.size() && pairs + wishes[last].pairs <= capacity_)
      pairs += wishes[last++].pairs;
    FUGO_TRY(map_group(wishes.subspan(first, last - first), take, progress));
    first = last;
  }
  return {};
}

Status Mapper::map_group(std::span<const MappingWish> group, const TakePart& take,
                         const std::function<Status(std::uint64_t)>& progress) {
  std::vector<Target> targets(group.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < group.size(); ++i) {
    const auto pairs = static_cast<std::size_t>(group[i].pairs);
    targets[i].agency = group[i].agency;
    targets[i].total = pairs;
    targets[i].room = pairs_.span().subspan(at, pairs);
    at += pairs;
  }
  FUGO_TRY(fill(targets));
  for (const Target& target : targets)
    if (target.used != target.room.size())
      return fail(ErrorCode::kDamaged, "an agency has fewer symbols than were counted",
                  "regeneration", "run fugo verify");
  return give(targets, take, progress);
}

// Old symbols are as good as random, so that ranges of equal width hold about equally many.
Status Mapper::map_large(const MappingWish& wish, const TakePart& take,
                         const std::function<Status(std::uint64_t)>& progress) {
  const std::uint64_t parts = wish.pairs / (capacity_ - capacity_ / 8) + 1;
  const std::uint64_t width = std::numeric_limits<std::uint64_t>::max() / parts + 1;
  std::uint64_t given = 0;
  for (std::uint64_t part = 0; part < parts; ++part) {
    std::vector<Target> target(1);
    target[0].agency = wish.agency;
    target[0].total = wish.pairs;
    target[0].low = part * width;
    target[0].first = part == 0;
    target[0].last = part + 1 == parts;
    if (!target[0].last) target[0].high = (part + 1) * width - 1;
    target[0].room = pairs_.span();
    FUGO_TRY(fill(target));
    given += target[0].used;
    if (target[0].last && given != wish.pairs)
      return fail(ErrorCode::kDamaged, "an agency has fewer symbols than were counted",
                  "regeneration", "run fugo verify");
    FUGO_TRY(give(target, take, progress));
  }
  return {};
}

Status Mapper::fill(std::span<Target> targets) {
  const std::size_t threads = hardware_threads();
  std::vector<std::unique_ptr<Filler>> fillers(threads);
  return parallel_ranges(people_limit(), kPeopleAtOnce, threads,
                         [&](std::size_t first, std::size_t last, std::size_t worker) -> Status {
                           auto& filler = fillers[worker];
                           if (!filler) {
                             filler = std::make_unique<Filler>(*this);
                             FUGO_TRY(filler->create());
                           }
                           return filler->fill(targets, static_cast<PersonId>(first),
                                               static_cast<PersonId>(last));
                         });
}

Status Mapper::give(std::span<Target> targets, const TakePart& take,
                    const std::function<Status(std::uint64_t)>& progress) {
  std::mutex mutex;  // of progress
  return parallel_ranges(
      targets.size(), 1, hardware_threads(),
      [&](std::size_t first, std::size_t, std::size_t) -> Status {
        const Target& target = targets[first];
        const std::span<const MappedPair> pairs = target.room.first(target.used);
        std::vector<KeyedRow> order(pairs.size()), scratch;
        for (std::size_t i = 0; i < pairs.size(); ++i)
          order[i] = {prefix_of(pairs[i].old_symbol), static_cast<std::uint32_t>(i)};
        sort_by_key(order, scratch);
        scratch = {};
        // Symbols that share 64 bits: hardly ever any, but the order must not depend on chance.
        for (std::size_t i = 1; i < order.size(); ++i)
          for (std::size_t j = i;
               j > 0 && order[j].key == order[j - 1].key &&
               pairs[order[j].row].old_symbol < pairs[order[j - 1].row].old_symbol;
               --j)
            std::swap(order[j].row, order[j - 1].row);
        FUGO_TRY(take({target.agency, target.total, target.first, target.last, pairs, order}));
        const std::lock_guard lock(mutex);
        return progress ? progress(pairs.size()) : Status{};
      });
}

}  // namespace fugo::engine
