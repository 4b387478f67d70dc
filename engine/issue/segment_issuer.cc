#include "engine/issue/segment_issuer.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/parallel.h"
#include "base/text.h"

namespace fugo::engine {
namespace {

using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::size_t kDigestGrain = 16 * 1024;
constexpr std::size_t kReadGrain = 32 * 1024;

Status add_in_pieces(
    std::size_t count, keystore::DigestSum& sum,
    const std::function<Status(std::size_t, std::size_t, keystore::DigestSum&)>& add_piece) {
  std::mutex mutex;
  return parallel_ranges(count, kDigestGrain, hardware_threads(),
                         [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                           keystore::DigestSum piece;
                           FUGO_TRY(add_piece(first, last - first, piece));
                           const std::lock_guard lock(mutex);
                           sum.add(piece);
                           return {};
                         });
}

}  // namespace

std::size_t SegmentIssuer::bytes_locked(std::size_t max_rows) {
  return max_rows * (3 * sizeof(Block) + sizeof(keystore::CheckValue) + sizeof(std::uint64_t) +
                     sizeof(keystore::PersonRecord));
}

Result<std::unique_ptr<SegmentIssuer>> SegmentIssuer::create(Site& site, std::size_t max_rows) {
  std::unique_ptr<SegmentIssuer> issuer(new SegmentIssuer(site));
  FUGO_ASSIGN(issuer->people_, PeopleColumns::create(max_rows));
  FUGO_ASSIGN(issuer->symbols_, SecretArray<Block>::create(max_rows));
  FUGO_ASSIGN(issuer->work_, SecretArray<Block>::create(max_rows));
  FUGO_ASSIGN(issuer->new_people_, SecretArray<keystore::PersonRecord>::create(max_rows));
  return issuer;
}

Result<IssueOutcome> SegmentIssuer::issue(const IssueRows& rows, keystore::SegmentRow segment,
                                          const keystore::Actor& actor, keystore::JobRow& job) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  segment.number = state.next_segment;
  segment.job = job.number;
  segment.time = job.time;

  PeopleFinder finder(site_.symbols(), *site_.ledger().keys(), *snapshot, site_.starts(), people_);
  FUGO_TRY(finder.run(rows.codes));
  FUGO_TRY(going());
  give_ids(state.next_person, rows.codes.size());
  FUGO_TRY(issuances_.find(*snapshot, rows.agencies, people_.ids, state.next_person,
                           keystore::kNoSegment));
  FUGO_TRY(going());
  FUGO_TRY(make_symbols(rows, site_.active_generation().number));
  FUGO_TRY(going());
  collect_people(segment.number);
  collect_issued(rows, segment.number);

  keystore::SegmentData data;
  segment.people_new = static_cast<std::uint32_t>(new_people_rows_.size());
  segment.issuances_new = static_cast<std::uint32_t>(new_issued_.size());
  data.row = segment;
  data.linkage_generation = site_.active_generation().linkage_generation;
  data.job = job;
  data.people = new_people_.span().first(new_people_rows_.size());
  data.index = new_index_;
  data.issued = new_issued_;
  FUGO_TRY(add_digests(rows, segment.time, data));
  count(rows, actor, data);
  FUGO_TRY(going());
  FUGO_TRY(site_.ledger().commit_segment(data));
  job = data.job;
  return IssueOutcome{symbols_.span().first(rows.codes.size()), issuances_.results(),
                      segment.people_new, segment.issuances_new};
}

Result<IssueOutcome> SegmentIssuer::answer(const IssueRows& rows,
                                           const keystore::SegmentRow& segment,
                                           keystore::Generation generation) {
  const keystore::GenerationRow& active = site_.active_generation();
  const auto* const of = generation == 0 ? &active : site_.find_accepted(generation);
  if (of == nullptr) return fail(ErrorCode::kRefused, "this symbol version is not in use");
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  PeopleFinder finder(site_.symbols(), *site_.ledger().keys(), *snapshot, site_.starts(), people_);
  FUGO_TRY(finder.run(rows.codes));
  FUGO_TRY(going());
  const std::string where = "segment " + std::to_string(segment.number);
  if (std::find(people_.ids.begin(), people_.ids.end(), kNoPerson) != people_.ids.end())
    return fail(ErrorCode::kRefused, "a person of this answered request is not in the ledger",
                where, "people were deleted since; the answers cannot be made again");
  FUGO_TRY(
      issuances_.find(*snapshot, rows.agencies, people_.ids, snapshot->people(), segment.number));
  if (of->linkage_generation != active.linkage_generation)
    FUGO_TRY(take_linkage_of(*snapshot, of->linkage_generation, rows.codes.size()));
  FUGO_TRY(make_symbols(rows, of->number));
  return IssueOutcome{symbols_.span().first(rows.codes.size()), issuances_.results(),
                      segment.people_new, static_cast<std::uint32_t>(issuances_.new_rows().size())};
}

// New people get ids in the order of their first rows.
void SegmentIssuer::give_ids(PersonId first_new, std::size_t rows) {
  new_people_rows_.clear();
  PersonId next = first_new;
  std::vector<std::uint32_t> followers;
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (people_.ids[row] != kNoPerson) continue;
    if (people_.leaders[row] == row) {
      people_.ids[row] = next++;
      new_people_rows_.push_back(row);
    } else {
      followers.push_back(row);
    }
  }
  for (const std::uint32_t row : followers) {
    const std::uint32_t leader = people_.leaders[row];
    people_.ids[row] = people_.ids[leader];
    people_.symbols[row] = people_.symbols[leader];
    people_.counters[row] = people_.counters[leader];
  }
}

void SegmentIssuer::collect_people(keystore::SegmentNumber segment) {
  const auto& start = site_.starts().back().made_by;
  new_index_.clear();
  for (std::size_t i = 0; i < new_people_rows_.size(); ++i) {
    const std::uint32_t row = new_people_rows_[i];
    keystore::PersonRecord& record = new_people_[i];
    record = {};
    record.linkage_symbol = people_.symbols[row];
    record.check_value = people_.checks[row];
    record.counter = people_.counters[row];
    record.start = start.number;
    record.method = start.linkage_method;
    record.segment = segment;
  }
  if (new_people_rows_.empty()) return;
  const PersonId first_new = people_.ids[new_people_rows_.front()];
  const auto add = [&](std::uint32_t row) {
    new_index_.push_back(
        {people_.digests[row], people_.ids[row], keystore::symbol_tag(people_.checks[row])});
  };
  for (const KeyedRow& item : people_.by_digest)
    if (people_.leaders[item.row] == item.row && people_.ids[item.row] >= first_new) add(item.row);
  if (people_.collided)  // digests of later rounds stand out of order
    std::sort(new_index_.begin(), new_index_.end(), [](const auto& a, const auto& b) {
      return std::tie(a.digest, a.id) < std::tie(b.digest, b.id);
    });
}

void SegmentIssuer::collect_issued(const IssueRows& rows, keystore::SegmentNumber segment) {
  new_issued_.clear();
  for (const std::uint32_t row : issuances_.new_rows())
    new_issued_.push_back({{rows.agencies[row], people_.ids[row]}, segment});
}

// The linkage symbols that the rows' people have in another generation take the place of today's.
Status SegmentIssuer::take_linkage_of(const keystore::Snapshot& snapshot,
                                      keystore::Generation linkage_generation, std::size_t rows) {
  std::vector<KeyedRow> sorted, scratch;
  sorted.reserve(rows);
  for (std::uint32_t row = 0; row < rows; ++row) sorted.push_back({people_.ids[row], row});
  sort_by_key(sorted, scratch);
  std::vector<PersonId> ids;
  ids.reserve(rows);
  for (const KeyedRow& item : sorted) ids.push_back(static_cast<PersonId>(item.key));
  return parallel_ranges(
      rows, kReadGrain, hardware_threads(),
      [&](std::size_t first, std::size_t last, std::size_t) -> Status {
        const auto records = new_people_.span().subspan(first, last - first);
        FUGO_TRY(snapshot.read_people(linkage_generation,
                                      std::span(ids).subspan(first, last - first), records));
        for (std::size_t i = first; i < last; ++i)
          people_.symbols[sorted[i].row] = records[i - first].linkage_symbol;
        return {};
      });
}

Status SegmentIssuer::make_symbols(const IssueRows& rows, keystore::Generation generation) {
  return site_.symbols().agency(generation, rows.agencies,
                                people_.symbols.span().first(rows.codes.size()),
                                symbols_.span().first(rows.codes.size()));
}

Result<SegmentIssuer::Masks> SegmentIssuer::masks_of(keystore::AgencyNumber agency,
                                                     std::int64_t time) {
  const auto known = masks_.find({agency, time});
  if (known != masks_.end()) return known->second;
  const auto& agencies = site_.agencies();
  const auto row = std::find_if(agencies.begin(), agencies.end(),
                                [&](const auto& item) { return item.number == agency; });
  if (row == agencies.end())
    return fail(ErrorCode::kInternal, "an accepted row names an agency that is not registered");
  const auto digest = site_.ledger().content_digest();
  Masks masks;
  FUGO_ASSIGN(masks.plain, digest->agency_mask(row->code));
  FUGO_ASSIGN(masks.timed, digest->agency_time_mask(row->code, time));
  masks_.emplace(std::pair{agency, time}, masks);
  return masks;
}

Status SegmentIssuer::add_digests(const IssueRows& rows, std::int64_t time,
                                  keystore::SegmentData& data) {
  const auto digest = site_.ledger().content_digest();
  FUGO_TRY(add_in_pieces(data.people.size(), data.people_digest,
                         [&](std::size_t first, std::size_t count, keystore::DigestSum& sum) {
                           return digest->add_people(data.people.subspan(first, count), sum);
                         }));
  const auto new_rows = issuances_.new_rows();
  plain_masks_.clear();
  timed_masks_.clear();
  Masks masks;
  for (std::size_t i = 0; i < new_rows.size(); ++i) {
    const keystore::AgencyNumber agency = rows.agencies[new_rows[i]];
    if (i == 0 || agency != rows.agencies[new_rows[i - 1]]) {
      FUGO_ASSIGN(masks, masks_of(agency, time));
    }
    plain_masks_.push_back(masks.plain);
    timed_masks_.push_back(masks.timed);
    work_[i] = people_.symbols[new_rows[i]];
  }
  const auto bases = work_.span().first(new_rows.size());
  keystore::DigestSum& timed = data.times_digest;
  std::mutex mutex;
  return add_in_pieces(
      new_rows.size(), data.issued_digest,
      [&](std::size_t first, std::size_t count, keystore::DigestSum& sum) -> Status {
        const auto piece = bases.subspan(first, count);
        FUGO_TRY(digest->person_bases(piece, piece));
        FUGO_TRY(digest->add_issuances(piece, std::span(plain_masks_).subspan(first, count), sum));
        keystore::DigestSum timed_piece;
        FUGO_TRY(digest->add_issuances(piece, std::span(timed_masks_).subspan(first, count),
                                       timed_piece));
        const std::lock_guard lock(mutex);
        timed.add(timed_piece);
        return {};
      });
}

// Moves the job's counts on, and writes statistics and the journal's entry.
void SegmentIssuer::count(const IssueRows& rows, const keystore::Actor& actor,
                          keystore::SegmentData& data) const {
  const auto& generation = site_.active_generation();
  const auto results = issuances_.results();
  std::vector<std::pair<std::uint32_t, std::uint32_t>> counts(std::size_t{1} << 16U);
  std::uint64_t existing = 0;
  std::uint64_t superseded = 0;
  for (std::size_t row = 0; row < results.size(); ++row) {
    auto& [made, found] = counts[rows.agencies[row]];
    if (results[row] == RowResult::kNew) ++made;
    if (results[row] == RowResult::kExisting) ++found, ++existing;
    if (results[row] == RowResult::kSuperseded) ++superseded;
  }
  const std::string day = local_day(data.row.time);
  for (std::size_t agency = 0; agency < counts.size(); ++agency) {
    const auto& [made, found] = counts[agency];
    if (made != 0 || found != 0)
      data.stats.push_back(
          {day, static_cast<keystore::AgencyNumber>(agency), generation.number, made, found, 0});
  }
  data.job.rows_done = data.row.first_row + data.row.rows;
  data.job.segments += 1;
  if (data.job.first_segment == keystore::kNoSegment) data.job.first_segment = data.row.number;
  data.job.count_new += data.row.issuances_new;
  data.job.count_existing += existing;
  data.job.count_rejected += superseded;
  data.job.people_new += data.row.people_new;
  data.journal = keystore::journal_entry(actor, "issue.segment",
                                         nlohmann::json{{"request", data.job.id},
                                                        {"segment", data.row.number},
                                                        {"rows", data.row.rows},
                                                        {"new", data.row.issuances_new},
                                                        {"existing", existing},
                                                        {"people_new", data.row.people_new}}
                                             .dump());
}

}  // namespace fugo::engine
