#include "engine/issue/people_finder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/parallel.h"

namespace fugo::engine {
namespace {

using keystore::IndexHit;
using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::size_t kLookUpGrain = 32 * 1024;
constexpr std::uint16_t kLastCounter = 0xFFFF;

Status digests_of(const keystore::LedgerKeys& keys, std::span<const Block> symbols,
                  std::span<std::uint64_t> digests) {
  return parallel_ranges(symbols.size(), 64 * 1024, hardware_threads(),
                         [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                           return keys.symbol_digests(symbols.subspan(first, last - first),
                                                      digests.subspan(first, last - first));
                         });
}

void sort_digests(std::span<const std::uint64_t> digests, std::vector<KeyedRow>& sorted) {
  sorted.resize(digests.size());
  for (std::size_t i = 0; i < digests.size(); ++i)
    sorted[i] = {digests[i], static_cast<std::uint32_t>(i)};
  std::vector<KeyedRow> scratch;
  sort_by_key(sorted, scratch);
}

}  // namespace

bool same_secret(const Block& a, const Block& b) {
  const Block difference = a ^ b;
  return (load_be<std::uint64_t>(difference.bytes.data()) |
          load_be<std::uint64_t>(difference.bytes.data() + 8)) == 0;
}

bool same_secret(const keystore::CheckValue& a, const keystore::CheckValue& b) {
  return (load_be<std::uint64_t>(a.data()) ^ load_be<std::uint64_t>(b.data())) == 0;
}

Result<PeopleColumns> PeopleColumns::create(std::size_t rows) {
  PeopleColumns columns;
  FUGO_ASSIGN(columns.symbols, SecretArray<Block>::create(rows));
  FUGO_ASSIGN(columns.checks, SecretArray<keystore::CheckValue>::create(rows));
  columns.counters.reserve(rows);
  columns.digests.reserve(rows);
  columns.ids.reserve(rows);
  columns.leaders.reserve(rows);
  columns.by_digest.reserve(rows);
  return columns;
}

Status PeopleFinder::run(std::span<const std::uint64_t> codes) {
  if (codes.size() > columns_.symbols.size())
    return fail(ErrorCode::kInternal, "a segment has more rows than its columns");
  columns_.counters.assign(codes.size(), 0);
  columns_.digests.resize(codes.size());
  columns_.ids.assign(codes.size(), kNoPerson);
  columns_.leaders.assign(codes.size(), 0);
  columns_.collided = false;
  FUGO_TRY(first_round(codes));
  if (!open_.empty()) remember_claims();
  for (std::uint16_t counter = 1; !open_.empty(); ++counter) {
    columns_.collided = true;
    FUGO_TRY(next_round(codes, counter));
    if (counter == kLastCounter && !open_.empty())
      return fail(ErrorCode::kRefused, "every disambiguation counter of a person is used up",
                  "linkage symbols", "use a method with longer symbols");
  }
  return look_further(codes);
}

// Looks for those who would be new people under every counter that anybody has: the symbol that
// pushed them to a higher counter once may have been of somebody who was deleted.
Status PeopleFinder::look_further(std::span<const std::uint64_t> codes) {
  std::vector<std::uint32_t> rows;
  if (snapshot_.probe_to() != 0)
    for (std::uint32_t row = 0; row < codes.size(); ++row)
      if (columns_.ids[row] == kNoPerson && columns_.leaders[row] == row) rows.push_back(row);
  for (unsigned counter = 1; counter <= snapshot_.probe_to() && !rows.empty(); ++counter)
    FUGO_TRY(look_further(codes, rows, static_cast<std::uint16_t>(counter)));
  if (snapshot_.probe_to() == 0) return {};
  for (std::uint32_t row = 0; row < codes.size(); ++row) {  // those who follow a leader
    const std::uint32_t leader = columns_.leaders[row];
    if (columns_.ids[row] != kNoPerson || leader == row || columns_.ids[leader] == kNoPerson)
      continue;
    columns_.ids[row] = columns_.ids[leader];
    columns_.symbols[row] = columns_.symbols[leader];
    columns_.counters[row] = columns_.counters[leader];
    columns_.digests[row] = columns_.digests[leader];
  }
  return {};
}

// One counter; rows that were found are taken from `rows`.
Status PeopleFinder::look_further(std::span<const std::uint64_t> codes,
                                  std::vector<std::uint32_t>& rows, std::uint16_t counter) {
  FUGO_ASSIGN(auto round_codes, SecretArray<std::uint64_t>::create(rows.size()));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) round_codes[i] = codes[rows[i]];
  const std::vector<std::uint16_t> counters(rows.size(), counter);
  FUGO_TRY(symbols_.linkage(generation_, round_codes.span(), counters, symbols.span()));
  std::vector<std::uint64_t> digests(rows.size());
  FUGO_TRY(digests_of(keys_, symbols.span(), digests));
  std::vector<KeyedRow> sorted;
  sort_digests(digests, sorted);
  FUGO_TRY(look_up(sorted));
  for (const IndexHit& hit : hits_) {
    const std::uint32_t item = sorted[hit.query].row;
    const std::uint32_t row = rows[item];
    if (hit.tag != keystore::symbol_tag(columns_.checks[row])) continue;
    columns_.collided = true;
    columns_.ids[row] = hit.id;
    columns_.symbols[row] = symbols[item];
    columns_.counters[row] = counter;
    columns_.digests[row] = digests[item];
  }
  std::erase_if(rows, [&](std::uint32_t row) { return columns_.ids[row] != kNoPerson; });
  return {};
}

Status PeopleFinder::first_round(std::span<const std::uint64_t> codes) {
  const auto symbols = columns_.symbols.span().first(codes.size());
  FUGO_TRY(symbols_.linkage_and_check(generation_, codes, symbols,
                                      columns_.checks.span().first(codes.size())));
  FUGO_TRY(digests_of(keys_, symbols, columns_.digests));
  sort_digests(columns_.digests, columns_.by_digest);
  return settle({0, {}, symbols, columns_.digests, codes.size()}, columns_.by_digest);
}

Status PeopleFinder::next_round(std::span<const std::uint64_t> codes, std::uint16_t counter) {
  const std::vector<std::uint32_t> rows = std::exchange(open_, {});
  FUGO_ASSIGN(auto round_codes, SecretArray<std::uint64_t>::create(rows.size()));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) round_codes[i] = codes[rows[i]];
  const std::vector<std::uint16_t> counters(rows.size(), counter);
  FUGO_TRY(symbols_.linkage(generation_, round_codes.span(), counters, symbols.span()));
  std::vector<std::uint64_t> digests(rows.size());
  FUGO_TRY(digests_of(keys_, symbols.span(), digests));
  std::vector<KeyedRow> sorted;
  sort_digests(digests, sorted);
  return settle({counter, rows, symbols.span(), digests, rows.size()}, sorted);
}

Status PeopleFinder::settle(const Round& round, const std::vector<KeyedRow>& sorted) {
  FUGO_TRY(look_up(sorted));
  FUGO_TRY(read_doubtful(round, sorted));
  std::size_t hit = 0;
  std::uint64_t group = 0;
  for (std::size_t at = 0; at < sorted.size(); ++at) {
    if (at == 0 || sorted[at].key != group) {
      group = sorted[at].key;
      group_claims_.clear();
    }
    const std::size_t first_hit = hit;
    while (hit < hits_.size() && hits_[hit].query == at) ++hit;
    FUGO_TRY(
        settle_row(round, sorted[at].row, std::span(hits_).subspan(first_hit, hit - first_hit)));
  }
  std::sort(open_.begin(), open_.end());
  return {};
}

// Looks all digests up in the ledger's index, in pieces on every core.
Status PeopleFinder::look_up(const std::vector<KeyedRow>& sorted) {
  hits_.clear();
  if (snapshot_.people() == 0) return {};
  std::vector<std::uint64_t> queries(sorted.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) queries[i] = sorted[i].key;
  std::vector<std::vector<IndexHit>> pieces((sorted.size() + kLookUpGrain - 1) / kLookUpGrain);
  FUGO_TRY(parallel_ranges(sorted.size(), kLookUpGrain, hardware_threads(),
                           [&](std::size_t first, std::size_t last, std::size_t) -> Status {
                             auto& hits = pieces[first / kLookUpGrain];
                             FUGO_TRY(snapshot_.find_people(
                                 generation_.linkage_generation,
                                 std::span(queries).subspan(first, last - first), hits));
                             for (IndexHit& hit : hits)
                               hit.query += static_cast<std::uint32_t>(first);
                             return {};
                           }));
  for (const auto& piece : pieces) hits_.insert(hits_.end(), piece.begin(), piece.end());
  return {};
}

// Reads the records of people whose digest was found but whose tag differs: a collision of
// symbols, or one of digests. Hardly ever is there any.
Status PeopleFinder::read_doubtful(const Round& round, const std::vector<KeyedRow>& sorted) {
  doubtful_.clear();
  for (const IndexHit& hit : hits_) {
    const std::uint32_t row = round.row(sorted[hit.query].row);
    if (hit.tag != keystore::symbol_tag(columns_.checks[row])) doubtful_.push_back(hit.id);
  }
  if (doubtful_.empty()) return {};
  std::sort(doubtful_.begin(), doubtful_.end());
  doubtful_.erase(std::unique(doubtful_.begin(), doubtful_.end()), doubtful_.end());
  FUGO_ASSIGN(records_, SecretArray<keystore::PersonRecord>::create(doubtful_.size()));
  return snapshot_.read_people(generation_.linkage_generation, doubtful_, records_.span());
}

Status PeopleFinder::settle_row(const Round& round, std::uint32_t item,
                                std::span<const IndexHit> hits) {
  const std::uint32_t row = round.row(item);
  const Block& symbol = round.symbols[item];
  FUGO_ASSIGN(const bool occupied, occupied_in_ledger(row, symbol, hits));
  if (columns_.ids[row] == kNoPerson &&
      (occupied || !join_or_claim(row, symbol, round.digests[item]))) {
    open_.push_back(row);
    return {};
  }
  if (round.counter != 0) {
    columns_.symbols[row] = symbol;
    columns_.counters[row] = round.counter;
    columns_.digests[row] = round.digests[item];
  }
  return {};
}

// Sets the row's id when the ledger has this person under this symbol; true when the ledger has
// somebody else under it.
Result<bool> PeopleFinder::occupied_in_ledger(std::uint32_t row, const Block& symbol,
                                              std::span<const IndexHit> hits) {
  const keystore::CheckValue& check = columns_.checks[row];
  bool occupied = false;
  for (const IndexHit& hit : hits) {
    if (hit.tag == keystore::symbol_tag(check)) {
      columns_.ids[row] = hit.id;
      return false;
    }
    const auto at = std::lower_bound(doubtful_.begin(), doubtful_.end(), hit.id);
    const auto& record = records_[static_cast<std::size_t>(at - doubtful_.begin())];
    if (!same_secret(record.linkage_symbol, symbol)) continue;
    if (same_secret(record.check_value, check))
      return fail(ErrorCode::kDamaged, "an index entry's tag is not its person's",
                  "person " + std::to_string(hit.id), "run fugo verify");
    occupied = true;
  }
  return occupied;
}

// Joins the row to a person whom this segment makes, or makes the row the first of a new person;
// false when another person of this segment has the symbol.
bool PeopleFinder::join_or_claim(std::uint32_t row, const Block& symbol, std::uint64_t digest) {
  const auto [first, last] = claims_.equal_range(digest);
  for (auto claim = first; claim != last; ++claim) {
    const std::uint32_t leader = claim->second;
    if (!same_secret(columns_.symbols[leader], symbol)) continue;
    columns_.leaders[row] = leader;
    return same_secret(columns_.checks[leader], columns_.checks[row]);
  }
  for (const std::uint32_t leader : group_claims_) {
    if (!same_secret(columns_.symbols[leader], symbol)) continue;
    columns_.leaders[row] = leader;
    return same_secret(columns_.checks[leader], columns_.checks[row]);
  }
  columns_.leaders[row] = row;
  columns_.symbols[row] = symbol;
  group_claims_.push_back(row);
  if (columns_.collided) claims_.emplace(digest, row);
  return true;
}

void PeopleFinder::remember_claims() {
  std::vector<bool> is_open(columns_.ids.size(), false);
  for (const std::uint32_t row : open_) is_open[row] = true;
  for (std::uint32_t row = 0; row < columns_.ids.size(); ++row)
    if (!is_open[row] && columns_.ids[row] == kNoPerson && columns_.leaders[row] == row)
      claims_.emplace(columns_.digests[row], row);
}

}  // namespace fugo::engine
