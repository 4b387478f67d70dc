// What a regeneration is reconciled by: kept up with each commit that issues or deletes.
#include <algorithm>

#include "keystore/update.h"

namespace fugo::keystore {
namespace {

bool is_before_commit(RunState state) {
  return state == RunState::kPlanned || state == RunState::kRunning || state == RunState::kReady;
}

}  // namespace

Status SmallRowUpdate::keep_tally(RunRow& row) const {
  FUGO_ASSIGN(const auto stored, get_row<RunRow>(*transaction_, *sealer_, key_of(row)));
  if (stored) row.tally = stored->tally;
  return {};
}

Result<std::optional<RunRow>> SmallRowUpdate::open_run() const {
  if (state_.open_run == 0) return std::optional<RunRow>();
  return get_row<RunRow>(*transaction_, *sealer_, RowKey(Table::kRuns).with(state_.open_run));
}

Status SmallRowUpdate::count_added(std::uint64_t people, std::span<const IssuedEntry> issued) {
  FUGO_ASSIGN(auto run, open_run());
  if (!run || !is_before_commit(run->state)) return {};
  run->tally.people_added += people;
  run->tally.symbols_added += static_cast<std::uint64_t>(
      std::count_if(issued.begin(), issued.end(),
                    [&](const IssuedEntry& entry) { return is_mapped(*run, entry.key.agency); }));
  return writer_.put(*run);
}

// What a closed agency still had goes too, but no run maps it.
Status SmallRowUpdate::count_erased(std::uint64_t people, std::span<const IssuedEntry> issued) {
  FUGO_ASSIGN(auto run, open_run());
  const bool before = run && is_before_commit(run->state);
  const bool after = run && run->state == RunState::kCommitted && !run->reject_old;
  if (!before && !after) return {};
  FUGO_TRY(load_agencies());
  const auto counts = [&](const IssuedEntry& entry) {
    const auto agency = agencies_.find(entry.key.agency);
    return is_mapped(*run, entry.key.agency) && agency != agencies_.end() &&
           agency->second.state != AgencyState::kClosed &&
           (before || entry.segment <= run->last_segment);
  };
  const auto symbols =
      static_cast<std::uint64_t>(std::count_if(issued.begin(), issued.end(), counts));
  (before ? run->tally.symbols_deleted : run->tally.old_symbols_deleted) += symbols;
  if (before) run->tally.people_deleted += people;
  return writer_.put(*run);
}

}  // namespace fugo::keystore
