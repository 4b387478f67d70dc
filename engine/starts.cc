#include "engine/starts.h"

#include <algorithm>
#include <string>

namespace fugo::engine {
namespace {

using keystore::Generation;
using keystore::GenerationRow;

tl::unexpected<Error> broken(std::string what) {
  return fail(ErrorCode::kDamaged, std::move(what), "ledger, table generations",
              "restore the ledger from a backup");
}

const GenerationRow* find(std::span<const GenerationRow> rows, Generation number) {
  const auto at = std::find_if(rows.begin(), rows.end(),
                               [&](const GenerationRow& row) { return row.number == number; });
  return at == rows.end() ? nullptr : &*at;
}

// with_symbols is the generation that has the linkage symbols of `number`: itself, or an earlier
// one; nullptr when there is none.
const GenerationRow* with_symbols(std::span<const GenerationRow> rows, Generation number) {
  const GenerationRow* const row = find(rows, number);
  return row == nullptr ? nullptr : find(rows, row->linkage_generation);
}

}  // namespace

Result<std::vector<Start>> starts_of(std::span<const GenerationRow> generations) {
  const auto active = std::find_if(
      generations.begin(), generations.end(),
      [](const GenerationRow& row) { return row.state == keystore::GenerationState::kActive; });
  if (active == generations.end()) return broken("no generation is active");
  const GenerationRow* at = find(generations, active->linkage_generation);
  if (at == nullptr) return broken("the active generation has no linkage symbols");
  std::vector<Start> starts{{*at, {}}};
  for (std::vector<GenerationRow> path; at->chained_from != 0;) {
    path.insert(path.begin(), *at);
    const GenerationRow* const before = with_symbols(generations, at->chained_from);
    if (before == nullptr || before->number >= at->number)
      return broken("generation " + std::to_string(at->number) + " is chained from none");
    at = before;
    if (at->starters != 0) starts.insert(starts.begin(), {*at, path});
  }
  return starts;
}

Status derive(Symbols& symbols, const Start& start, std::span<const std::uint64_t> codes,
              std::span<const std::uint16_t> counters, std::span<Block> linkage_symbols,
              std::span<keystore::CheckValue> checks) {
  if (counters.empty())
    FUGO_TRY(symbols.linkage_and_check(start.made_by, codes, linkage_symbols, checks));
  else
    FUGO_TRY(symbols.linkage(start.made_by, codes, counters, linkage_symbols));
  for (const GenerationRow& step : start.path)
    FUGO_TRY(symbols.chain(step, linkage_symbols, checks));
  return {};
}

}  // namespace fugo::engine
