#include "engine/merge/agency_merger.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/parallel.h"
#include "base/secret.h"
#include "base/text.h"
#include "engine/change/change_digests.h"
#include "engine/merge/held_people.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::kNoSegment;
using keystore::PersonId;
using keystore::SegmentNumber;

constexpr std::size_t kRecordsAtOnce = 8 * 1024;  // opened by one thread before their L is kept
constexpr std::size_t kKeysAtOnce = 64 * 1024;

// Living is a person who is to be known to the agency that takes over, and a row that says so.
struct Living {
  PersonId id = keystore::kNoPerson;
  std::uint32_t row = 0;
  friend auto operator<=>(const Living&, const Living&) = default;
};

// living_end follows successors to the person who was not superseded before segment `before`.
Result<PersonId> living_end(std::span<const keystore::PersonPatch> patches, SegmentNumber before,
                            PersonId id) {
  for (std::size_t steps = 0; steps <= patches.size(); ++steps) {
    const auto patch = std::lower_bound(
        patches.begin(), patches.end(), id,
        [](const keystore::PersonPatch& p, PersonId wanted) { return p.id < wanted; });
    if (patch == patches.end() || patch->id != id || patch->superseded_in >= before) return id;
    id = patch->successor;
  }
  return fail(ErrorCode::kDamaged, "successors lead back to a person", "ledger, table patches",
              "run fugo verify");
}

class Merger final : public AgencyMerger {
 public:
  Merger(Site& site, const keystore::Agency& from, const keystore::Agency& into,
         const keystore::GenerationRow& generation, SegmentNumber first_segment)
      : site_(site),
        from_(from.number),
        into_(into.number),
        generation_(generation),
        first_segment_(first_segment),
        held_(from.number) {}

  Result<std::span<const MergedSymbols>> merge(keystore::SegmentRow segment,
                                               const keystore::Actor& actor,
                                               keystore::JobRow& job) override;
  Result<std::span<const MergedSymbols>> answer(std::uint64_t first_row, std::size_t rows) override;

 private:
  [[nodiscard]] Status find_people(const keystore::Snapshot& snapshot, std::uint64_t first_row,
                                   std::size_t rows);
  [[nodiscard]] Status read_linkage(const keystore::Snapshot& snapshot,
                                    std::span<const PersonId> ids, std::span<Block> linkage) const;
  [[nodiscard]] Status read_living(const keystore::Snapshot& snapshot);
  [[nodiscard]] Status make_pairs();
  [[nodiscard]] Status find_missing(const keystore::Snapshot& snapshot, SegmentNumber segment,
                                    std::int64_t time);
  void count(const keystore::Actor& actor, keystore::SegmentData& data) const;

  Site& site_;
  const AgencyNumber from_, into_;
  const keystore::GenerationRow generation_;
  SegmentNumber first_segment_;  // of the job; kNoSegment while it has none
  HeldPeople held_;

  // Of the segment, by row.
  std::vector<PersonId> ids_, living_;
  std::vector<std::uint32_t> superseded_;  // rows
  SecretArray<Block> linkage_, living_linkage_, symbols_;
  SecretArray<MergedSymbols> pairs_;
  // Of those that the agency lacks, by id.
  std::vector<keystore::IssuedEntry> issued_;
  std::vector<DatedIssuance> dated_;
};

Result<std::span<const MergedSymbols>> Merger::merge(keystore::SegmentRow segment,
                                                     const keystore::Actor& actor,
                                                     keystore::JobRow& job) {
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  segment.number = state.next_segment;
  segment.job = job.number;
  segment.time = job.time;
  FUGO_TRY(find_people(*snapshot, segment.first_row, segment.rows));
  FUGO_TRY(going());
  FUGO_TRY(make_pairs());
  FUGO_TRY(going());
  FUGO_TRY(find_missing(*snapshot, segment.number, segment.time));
  FUGO_TRY(going());

  keystore::SegmentData data;
  segment.issuances_new = static_cast<std::uint32_t>(issued_.size());
  data.row = segment;
  data.linkage_generation = generation_.linkage_generation;
  data.job = job;
  data.issued = issued_;
  FUGO_TRY(add_issuance_digests(site_, dated_, living_linkage_.span(), data.issued_digest,
                                data.times_digest));
  count(actor, data);
  FUGO_TRY(going());
  FUGO_TRY(site_.ledger().commit_segment(data));
  job = data.job;
  first_segment_ = job.first_segment;
  return std::span<const MergedSymbols>(pairs_.span());
}

Result<std::span<const MergedSymbols>> Merger::answer(std::uint64_t first_row, std::size_t rows) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_TRY(find_people(*snapshot, first_row, rows));
  FUGO_TRY(going());
  FUGO_TRY(make_pairs());
  return std::span<const MergedSymbols>(pairs_.span());
}

// Whom the rows are about, and who lives on for them; with everybody's linkage symbol. What was
// superseded since the merger began does not count: the answers stay as they were.
Status Merger::find_people(const keystore::Snapshot& snapshot, std::uint64_t first_row,
                           std::size_t rows) {
  FUGO_ASSIGN(const auto held, held_.rows(snapshot, first_row, rows));
  ids_.assign(held.begin(), held.end());
  living_ = ids_;
  superseded_.clear();
  const SegmentNumber before = first_segment_ == kNoSegment ? ~SegmentNumber{0} : first_segment_;
  if (snapshot.any_patched())
    for (std::uint32_t row = 0; row < rows; ++row) {
      FUGO_ASSIGN(living_[row], living_end(snapshot.patches(), before, ids_[row]));
      if (living_[row] != ids_[row]) superseded_.push_back(row);
    }
  FUGO_ASSIGN(linkage_, SecretArray<Block>::create(rows));
  FUGO_TRY(read_linkage(snapshot, ids_, linkage_.span()));
  return read_living(snapshot);
}

Status Merger::read_linkage(const keystore::Snapshot& snapshot, std::span<const PersonId> ids,
                            std::span<Block> linkage) const {
  return parallel_ranges(
      ids.size(), kRecordsAtOnce, hardware_threads(),
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        const std::size_t count = last - first;
        FUGO_ASSIGN(auto records, SecretArray<keystore::PersonRecord>::create(count));
        FUGO_TRY(snapshot.read_people(generation_.linkage_generation, ids.subspan(first, count),
                                      records.span()));
        for (std::size_t i = 0; i < count; ++i) linkage[first + i] = records[i].linkage_symbol;
        return {};
      });
}

// Nearly everybody is their own living end.
Status Merger::read_living(const keystore::Snapshot& snapshot) {
  FUGO_ASSIGN(living_linkage_, SecretArray<Block>::create(linkage_.size()));
  std::copy(linkage_.span().begin(), linkage_.span().end(), living_linkage_.data());
  std::vector<Living> ends;
  for (const std::uint32_t row : superseded_) ends.push_back({living_[row], row});
  std::sort(ends.begin(), ends.end());
  std::vector<PersonId> ids;
  for (const Living& end : ends) ids.push_back(end.id);
  FUGO_ASSIGN(auto linkage, SecretArray<Block>::create(ids.size()));
  FUGO_TRY(read_linkage(snapshot, ids, linkage.span()));
  for (std::size_t i = 0; i < ends.size(); ++i) living_linkage_[ends[i].row] = linkage[i];
  return {};
}

Status Merger::make_pairs() {
  const std::size_t rows = ids_.size();
  FUGO_ASSIGN(pairs_, SecretArray<MergedSymbols>::create(rows));
  FUGO_ASSIGN(symbols_, SecretArray<Block>::create(rows));
  std::vector<AgencyNumber> agencies(rows, from_);
  FUGO_TRY(site_.symbols().agency(generation_.number, agencies, linkage_.span(), symbols_.span()));
  for (std::size_t row = 0; row < rows; ++row) pairs_[row].before = symbols_[row];
  std::fill(agencies.begin(), agencies.end(), into_);
  FUGO_TRY(site_.symbols().agency(generation_.number, agencies, living_linkage_.span(),
                                  symbols_.span()));
  for (std::size_t row = 0; row < rows; ++row) pairs_[row].after = symbols_[row];
  return {};
}

// The issuances to be made: of living people whom the agency does not hold yet, each once. An
// earlier segment may have made one, for somebody who was superseded into the same person.
Status Merger::find_missing(const keystore::Snapshot& snapshot, SegmentNumber segment,
                            std::int64_t time) {
  std::vector<Living> wanted(living_.size());
  for (std::uint32_t row = 0; row < wanted.size(); ++row) wanted[row] = {living_[row], row};
  if (!superseded_.empty()) {
    std::sort(wanted.begin(), wanted.end());
    const auto same = [](const Living& a, const Living& b) { return a.id == b.id; };
    wanted.erase(std::unique(wanted.begin(), wanted.end(), same), wanted.end());
  }
  std::vector<keystore::IssuedKey> keys;
  keys.reserve(wanted.size());
  for (const Living& living : wanted) keys.push_back({into_, living.id});
  std::vector<SegmentNumber> segments(keys.size());
  FUGO_TRY(parallel_ranges(keys.size(), kKeysAtOnce, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) {
                             return snapshot.find_issued(
                                 std::span(keys).subspan(first, last - first),
                                 std::span(segments).subspan(first, last - first));
                           }));
  issued_.clear();
  dated_.clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (segments[i] != kNoSegment) continue;
    issued_.push_back({keys[i], segment});
    dated_.push_back({into_, wanted[i].row, time});
  }
  return {};
}

// Moves the job's counts on, and writes statistics and the journal's entry.
void Merger::count(const keystore::Actor& actor, keystore::SegmentData& data) const {
  if (!issued_.empty())
    data.stats.push_back(
        {local_day(data.row.time), into_, generation_.number, issued_.size(), 0, 0});
  data.job.rows_done = data.row.first_row + data.row.rows;
  data.job.segments += 1;
  if (data.job.first_segment == kNoSegment) data.job.first_segment = data.row.number;
  data.job.count_new += issued_.size();
  data.job.count_existing += superseded_.size();
  data.journal = keystore::journal_entry(actor, "merge.segment",
                                         nlohmann::json{{"request", data.job.id},
                                                        {"segment", data.row.number},
                                                        {"rows", data.row.rows},
                                                        {"new", issued_.size()},
                                                        {"superseded", superseded_.size()}}
                                             .dump());
}

}  // namespace

Result<std::unique_ptr<AgencyMerger>> AgencyMerger::create(Site& site, const keystore::Agency& from,
                                                           const keystore::Agency& into,
                                                           const keystore::JobRow& job) {
  const auto* generation = site.find_generation(job.generation);
  if (generation == nullptr)
    return fail(ErrorCode::kDamaged, "the merger's generation is not registered",
                "ledger, table generations", "run fugo verify");
  return std::make_unique<Merger>(site, from, into, *generation, job.first_segment);
}

}  // namespace fugo::engine
