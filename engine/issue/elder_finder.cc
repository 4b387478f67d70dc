#include "engine/issue/elder_finder.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fugo::engine {
namespace {

using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::uint16_t kLastCounter = 0xFFFF;

}  // namespace

tl::unexpected<Error> found_twice(PersonId one, PersonId other) {
  return fail(ErrorCode::kDamaged, "one resident code is that of two people",
              "persons " + std::to_string(std::min(one, other)) + " and " +
                  std::to_string(std::max(one, other)),
              "run fugo verify");
}

Status ElderFinder::run(std::span<const Start> starts, std::span<const std::uint64_t> codes,
                        const ElderWork& work) {
  if (elders_.symbols.size() < codes.size()) {
    FUGO_ASSIGN(elders_.symbols, SecretArray<Block>::create(work.symbols.size()));
    FUGO_ASSIGN(elders_.checks, SecretArray<keystore::CheckValue>::create(work.checks.size()));
  }
  elders_.ids.assign(codes.size(), kNoPerson);
  elders_.counters.assign(codes.size(), 0);
  elders_.digests.assign(codes.size(), 0);
  for (const Start& start : starts) FUGO_TRY(search(start, codes, work));
  return {};
}

Status ElderFinder::search(const Start& start, std::span<const std::uint64_t> codes,
                           const ElderWork& work) {
  const auto checks = work.checks.first(codes.size());  // of the rows, whatever the counter
  FUGO_TRY(derive(symbols_, start, codes, {}, work.symbols.first(codes.size()), checks));
  open_.clear();
  FUGO_TRY(settle({}, work.symbols.first(codes.size()), checks, 0));
  for (unsigned counter = 1; !open_.empty() && counter <= kLastCounter; ++counter) {
    const std::vector<std::uint32_t> rows = std::exchange(open_, {});
    FUGO_ASSIGN(auto round_codes, SecretArray<std::uint64_t>::create(rows.size()));
    FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(rows.size()));
    FUGO_ASSIGN(auto no_checks, SecretArray<keystore::CheckValue>::create(rows.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) round_codes[i] = codes[rows[i]];
    const std::vector<std::uint16_t> counters(rows.size(), static_cast<std::uint16_t>(counter));
    FUGO_TRY(
        derive(symbols_, start, round_codes.span(), counters, symbols.span(), no_checks.span()));
    FUGO_TRY(settle(rows, symbols.span(), checks, static_cast<std::uint16_t>(counter)));
  }
  return {};
}

Status ElderFinder::settle(std::span<const std::uint32_t> rows, std::span<const Block> symbols,
                           std::span<const keystore::CheckValue> checks, std::uint16_t counter) {
  const auto row_of = [&](std::uint32_t item) { return rows.empty() ? item : rows[item]; };
  digests_.resize(symbols.size());
  FUGO_TRY(look_.sort(symbols, digests_, sorted_));
  FUGO_TRY(look_.look_up(sorted_));
  FUGO_TRY(look_.read_doubtful(
      sorted_, [&](std::uint32_t item) -> const auto& { return checks[row_of(item)]; }));
  const auto hits = look_.hits();
  std::size_t hit = 0;
  for (std::size_t at = 0; at < sorted_.size(); ++at) {
    const std::size_t first = hit;
    while (hit < hits.size() && hits[hit].query == at) ++hit;
    const std::uint32_t item = sorted_[at].row;
    const std::uint32_t row = row_of(item);
    FUGO_ASSIGN(const auto found,
                look_.judge(hits.subspan(first, hit - first), symbols[item], checks[row]));
    if (found.id == kNoPerson) {
      if (found.occupied || counter < probe_to_) open_.push_back(row);
      continue;
    }
    if (elders_.ids[row] != kNoPerson) return found_twice(elders_.ids[row], found.id);
    elders_.ids[row] = found.id;
    elders_.symbols[row] = symbols[item];
    elders_.checks[row] = checks[row];
    elders_.counters[row] = counter;
    elders_.digests[row] = digests_[item];
  }
  std::sort(open_.begin(), open_.end());
  return {};
}

}  // namespace fugo::engine
