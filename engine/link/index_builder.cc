#include "engine/link/index_builder.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/secret.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::PersonId;

constexpr std::size_t kPeopleAtOnce = std::size_t{1} << 19U;  // a worker's range of ids
constexpr std::size_t kRecordsAtOnce = 4096;                  // opened before their L is kept
constexpr std::size_t kPiece = std::size_t{1} << 15U;         // symbols made in one go
// From this share of the people on, reading all of them in order is cheaper than by id.
constexpr std::uint64_t kDense = 8;

keystore::SegmentNumber last_segment_of(const LinkView& view, keystore::Generation generation) {
  const Accepted* const accepted = view.registry->accepted(generation);
  return accepted == nullptr ? keystore::kNoSegment : accepted->last_segment;
}

// people_of is how many people a linkage generation has: an older one ends before those who came
// since.
PersonId people_of(const keystore::Snapshot& snapshot, keystore::Generation linkage_generation) {
  std::uint64_t people = 0;
  for (const auto& file : snapshot.files())
    if (file.kind == keystore::FileKind::kPerson && file.generation == linkage_generation)
      people = std::max(people, file.first_id + file.entries);
  return static_cast<PersonId>(people);
}

// Filler fills tables with the issuances of one range of people. One thread.
class Filler {
 public:
  Filler(const LinkView& view, const keystore::GenerationRow& generation) noexcept
      : view_(view),
        generation_(generation),
        last_segment_(last_segment_of(view, generation.number)) {}

  Status create() {
    FUGO_ASSIGN(records_, SecretArray<keystore::PersonRecord>::create(kRecordsAtOnce));
    FUGO_ASSIGN(linkage_, SecretArray<Block>::create(kPiece));
    FUGO_ASSIGN(symbols_, SecretArray<Block>::create(kPiece));
    ids_.reserve(kPiece);
    agencies_.reserve(kPiece);
    return {};
  }

  // keep_people holds the linkage symbols of [first, last): look-ups by id are then not needed.
  Status keep_people(PersonId first, PersonId last) {
    if (kept_.size() == 0) {
      FUGO_ASSIGN(kept_, SecretArray<Block>::create(kPeopleAtOnce));
    }
    kept_first_ = first;
    for (PersonId at = first; at < last;) {
      const auto count = static_cast<PersonId>(std::min<std::size_t>(kRecordsAtOnce, last - at));
      const auto records = records_.span().first(count);
      FUGO_TRY(view_.snapshot->read_people_range(generation_.linkage_generation, at, records));
      for (PersonId i = 0; i < count; ++i) kept_[at - first + i] = records[i].linkage_symbol;
      at += count;
    }
    keeps_ = true;
    return {};
  }

  Status fill(std::span<const IndexTarget> targets, PersonId first, PersonId last) {
    for (const IndexTarget& target : targets) {
      const auto visit = [&](std::span<const keystore::IssuedEntry> entries) -> Status {
        for (const auto& entry : entries)
          if (entry.segment <= last_segment_) FUGO_TRY(add(target, entry.key.id));
        return {};
      };
      FUGO_TRY(view_.snapshot->scan_issued(target.agency, first, last, visit));
      if (ids_.size() > starts_of_targets_end()) close_run(target);
    }
    return flush();
  }

  // recompute makes the symbols of ascending ids for one agency and gives them to `take`.
  Status recompute(AgencyNumber agency, std::span<const PersonId> ids, const IdsAndSymbols& take) {
    for (std::size_t first = 0; first < ids.size(); first += kPiece) {
      const auto some = ids.subspan(first, std::min(kPiece, ids.size() - first));
      ids_.assign(some.begin(), some.end());
      agencies_.assign(some.size(), agency);
      FUGO_TRY(make_symbols());
      FUGO_TRY(take(ids_, symbols_.span().first(ids_.size())));
    }
    ids_.clear();
    agencies_.clear();
    return {};
  }

 private:
  // Run is the items of one target within the piece: they end at `end`.
  struct Run {
    SymbolTable* table;
    std::size_t end;
  };

  [[nodiscard]] std::size_t starts_of_targets_end() const {
    return runs_.empty() ? 0 : runs_.back().end;
  }
  void close_run(const IndexTarget& target) { runs_.push_back({target.table, ids_.size()}); }

  Status add(const IndexTarget& target, PersonId id) {
    ids_.push_back(id);
    agencies_.push_back(target.agency);
    if (ids_.size() < kPiece) return {};
    close_run(target);
    return flush();
  }

  Status flush() {
    FUGO_TRY(make_symbols());
    std::size_t first = 0;
    for (const Run& run : runs_) {
      const std::span<const Block> symbols = symbols_.span().subspan(first, run.end - first);
      if (!run.table->insert(symbols, std::span(ids_).subspan(first, run.end - first)))
        return fail(ErrorCode::kInternal, "a table of symbols was made too small");
      first = run.end;
    }
    runs_.clear();
    ids_.clear();
    agencies_.clear();
    return {};
  }

  // symbols_ of ids_ and agencies_.
  Status make_symbols() {
    if (ids_.empty()) return {};
    FUGO_TRY(read_linkage());
    const auto linkage = linkage_.span().first(ids_.size());
    return view_.registry->symbols->agency(generation_.number, agencies_, linkage,
                                           symbols_.span().first(ids_.size()));
  }

  Status read_linkage() {
    if (keeps_) {
      for (std::size_t i = 0; i < ids_.size(); ++i) linkage_[i] = kept_[ids_[i] - kept_first_];
      return {};
    }
    // The piece is ascending within each run, and there is one run only when nothing is kept.
    for (std::size_t first = 0; first < ids_.size(); first += kRecordsAtOnce) {
      const std::size_t count = std::min(kRecordsAtOnce, ids_.size() - first);
      const auto records = records_.span().first(count);
      FUGO_TRY(view_.snapshot->read_people(generation_.linkage_generation,
                                           std::span(ids_).subspan(first, count), records));
      for (std::size_t i = 0; i < count; ++i) linkage_[first + i] = records[i].linkage_symbol;
    }
    return {};
  }

  const LinkView& view_;
  const keystore::GenerationRow& generation_;
  const keystore::SegmentNumber last_segment_;
  SecretArray<keystore::PersonRecord> records_;
  SecretArray<Block> linkage_, symbols_, kept_;
  PersonId kept_first_ = 0;
  bool keeps_ = false;
  std::vector<PersonId> ids_;
  std::vector<AgencyNumber> agencies_;
  std::vector<Run> runs_;
};

}  // namespace

Status fill_tables(const LinkView& view, const keystore::GenerationRow& generation,
                   std::span<const IndexTarget> targets,
                   const std::function<Status()>& keep_going) {
  std::uint64_t entries = 0;
  for (const IndexTarget& target : targets) {
    FUGO_ASSIGN(const auto count, view.snapshot->count_issued(target.agency));
    entries += count;
  }
  const std::uint64_t people = people_of(*view.snapshot, generation.linkage_generation);
  const bool dense = entries * kDense >= people;
  const auto work = [&](std::size_t first, std::size_t last, std::size_t) -> Status {
    if (keep_going) FUGO_TRY(keep_going());
    Filler filler(view, generation);
    FUGO_TRY(filler.create());
    if (dense)
      FUGO_TRY(filler.keep_people(static_cast<PersonId>(first), static_cast<PersonId>(last)));
    const auto fill = [&](std::span<const IndexTarget> some) {
      return filler.fill(some, static_cast<PersonId>(first), static_cast<PersonId>(last));
    };
    if (dense) return fill(targets);
    for (const IndexTarget& target : targets) FUGO_TRY(fill({&target, 1}));
    return {};
  };
  return parallel_ranges(people, kPeopleAtOnce, hardware_threads(), work);
}

Status recompute_new(const LinkView& view, const keystore::GenerationRow& generation,
                     keystore::AgencyNumber agency, const NewIssuances& which,
                     const IdsAndSymbols& take) {
  const keystore::SegmentNumber last = last_segment_of(view, generation.number);
  if (which.after >= last) return {};
  std::vector<PersonId> ids;
  FUGO_TRY(view.snapshot->scan_newly_issued(
      agency, which.known, [&](std::span<const keystore::IssuedEntry> entries) -> Status {
        for (const auto& entry : entries)
          if (entry.segment > which.after && entry.segment <= last) ids.push_back(entry.key.id);
        return {};
      }));
  if (ids.empty()) return {};
  Filler filler(view, generation);
  FUGO_TRY(filler.create());
  return filler.recompute(agency, ids, take);
}

}  // namespace fugo::engine
