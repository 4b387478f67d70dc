#include "engine/accepted.h"

#include <algorithm>

namespace fugo::engine {

using keystore::GenerationRow;
using keystore::GenerationState;

Result<std::vector<Accepted>> accepted_of(std::span<const GenerationRow> generations,
                                          std::span<const keystore::RunRow> runs) {
  std::vector<Accepted> accepted;
  for (const GenerationRow& row : generations)
    if (row.state == GenerationState::kActive || row.state == GenerationState::kAccepting)
      accepted.push_back({row});
  std::sort(accepted.begin(), accepted.end(), [](const Accepted& a, const Accepted& b) {
    return a.row.state != b.row.state ? a.row.state == GenerationState::kActive
                                      : a.row.number > b.row.number;
  });
  if (accepted.empty() || accepted.front().row.state != GenerationState::kActive)
    return fail(ErrorCode::kDamaged, "no generation is active", "ledger, table generations",
                "restore the ledger from a backup");
  for (Accepted& old : std::span(accepted).subspan(1))
    for (const keystore::RunRow& run : runs)
      if (run.from == old.row.number && run.committed != 0) old.last_segment = run.last_segment;
  return accepted;
}

const keystore::AgencyVersion* version_for(const keystore::Agency& agency,
                                           keystore::Generation generation) {
  const keystore::AgencyVersion* newest = nullptr;
  for (const auto& version : agency.versions)
    if (version.generation <= generation &&
        (newest == nullptr || version.generation >= newest->generation))
      newest = &version;
  return newest;
}

bool same_symbols(const keystore::Agency& agency, const GenerationRow& one,
                  const GenerationRow& other) {
  return one.linkage_generation == other.linkage_generation &&
         version_for(agency, one.number) == version_for(agency, other.number);
}

}  // namespace fugo::engine
