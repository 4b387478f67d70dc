#include "engine/issue/people_finder.h"

#include <algorithm>
#include <utility>

namespace fugo::engine {
namespace {

using keystore::IndexHit;
using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::uint16_t kLastCounter = 0xFFFF;
constexpr std::uint32_t kNoLeader = 0xFFFFFFFF;

}  // namespace

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
  has_elders_ = false;
  if (starts_.size() > 1) FUGO_TRY(find_elders(codes));
  FUGO_TRY(first_round(codes));
  if (!open_.empty()) remember_claims();
  for (std::uint16_t counter = 1; !open_.empty(); ++counter) {
    columns_.collided = true;
    FUGO_TRY(next_round(codes, counter));
    if (counter == kLastCounter && !open_.empty())
      return fail(ErrorCode::kRefused, "every disambiguation counter of a person is used up",
                  "linkage symbols", "use a method with longer symbols");
  }
  put_elders();
  return look_further(codes);
}

// The columns' own memory serves for the derivation: the first round writes it all anew.
Status PeopleFinder::find_elders(std::span<const std::uint64_t> codes) {
  ElderFinder finder(symbols_, keys_, snapshot_, generation_.number, columns_.elders);
  FUGO_TRY(finder.run(starts_.first(starts_.size() - 1), codes,
                      {columns_.symbols.span(), columns_.checks.span()}));
  has_elders_ = true;
  for (std::uint32_t row = 0; row < codes.size(); ++row)
    if (elder(row) != kNoPerson) columns_.leaders[row] = kNoLeader;
  return {};
}

void PeopleFinder::put_elders() {
  if (!has_elders_) return;
  const Elders& elders = columns_.elders;
  for (std::uint32_t row = 0; row < columns_.ids.size(); ++row) {
    if (elders.ids[row] == kNoPerson) continue;
    columns_.ids[row] = elders.ids[row];
    columns_.symbols[row] = elders.symbols[row];
    columns_.checks[row] = elders.checks[row];
    columns_.counters[row] = elders.counters[row];
    columns_.digests[row] = elders.digests[row];
  }
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
  std::vector<KeyedRow> sorted;
  FUGO_TRY(look_.sort(symbols.span(), digests, sorted));
  FUGO_TRY(look_.look_up(sorted));
  for (const IndexHit& hit : look_.hits()) {
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
  FUGO_TRY(look_.sort(symbols, columns_.digests, columns_.by_digest));
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
  std::vector<KeyedRow> sorted;
  FUGO_TRY(look_.sort(symbols.span(), digests, sorted));
  return settle({counter, rows, symbols.span(), digests, rows.size()}, sorted);
}

Status PeopleFinder::settle(const Round& round, const std::vector<KeyedRow>& sorted) {
  FUGO_TRY(look_.look_up(sorted));
  FUGO_TRY(look_.read_doubtful(
      sorted, [&](std::uint32_t item) -> const auto& { return columns_.checks[round.row(item)]; }));
  const auto hits = look_.hits();
  std::size_t hit = 0;
  std::uint64_t group = 0;
  for (std::size_t at = 0; at < sorted.size(); ++at) {
    if (at == 0 || sorted[at].key != group) {
      group = sorted[at].key;
      group_claims_.clear();
    }
    const std::size_t first_hit = hit;
    while (hit < hits.size() && hits[hit].query == at) ++hit;
    FUGO_TRY(settle_row(round, sorted[at].row, hits.subspan(first_hit, hit - first_hit)));
  }
  std::sort(open_.begin(), open_.end());
  return {};
}

Status PeopleFinder::settle_row(const Round& round, std::uint32_t item,
                                std::span<const IndexHit> hits) {
  const std::uint32_t row = round.row(item);
  const Block& symbol = round.symbols[item];
  FUGO_ASSIGN(const auto found, look_.judge(hits, symbol, columns_.checks[row]));
  const PersonId known = elder(row);
  if (known != kNoPerson && found.id != kNoPerson) return found_twice(known, found.id);
  columns_.ids[row] = found.id;
  if (known != kNoPerson) {  // claims nothing; but is there somebody beyond a collision?
    if (found.occupied) open_.push_back(row);
    return {};
  }
  if (found.id == kNoPerson &&
      (found.occupied || !join_or_claim(row, symbol, round.digests[item]))) {
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
