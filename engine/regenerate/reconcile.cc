#include "engine/regenerate/reconcile.h"

#include <fmt/format.h>

#include "engine/regenerate/run_plan.h"

namespace fugo::engine {
namespace {

using keystore::RunRow;

constexpr const char* kWhere = "regeneration";

Status compare(const char* what, std::uint64_t planned, std::uint64_t added, std::uint64_t deleted,
               std::uint64_t made) {
  if (planned + added == made + deleted) return {};
  return fail(ErrorCode::kDamaged,
              fmt::format("the {} of the run do not add up: {} planned, {} added and {} deleted "
                          "since, and {} made",
                          what, planned, added, deleted, made),
              kWhere, "abort the run, and run fugo verify");
}

std::uint16_t version_before(const RunRow& run, const keystore::GenerationRow& from,
                             std::uint8_t purpose) {
  switch (static_cast<hsm::KeyPurpose>(purpose)) {
    case hsm::KeyPurpose::kLinkage:
      return from.linkage_key;
    case hsm::KeyPurpose::kRecord:
      return from.record_key;
    case hsm::KeyPurpose::kDataWrap:
      return run.old_wrap_key_version;
    default:
      return from.agency_key;
  }
}

}  // namespace

Result<keystore::RunTally> tally_of(const keystore::Ledger& ledger, const RunRow& run) {
  FUGO_ASSIGN(const auto now, find_run(ledger, run.id));
  return now.tally;
}

Status reconcile(const RunRow& run) {
  const auto& tally = run.tally;
  FUGO_TRY(compare("agency symbols", run.planned_symbols, tally.symbols_added,
                   tally.symbols_deleted, run.symbols_mapped));
  if (is_mapped(run, 0))
    FUGO_TRY(compare("record symbols", run.planned_records, tally.people_added,
                     tally.people_deleted, run.records_mapped));
  if ((run.what & (keystore::kRunLinkage | keystore::kRunRebase)) == 0) return {};
  return compare("linkage symbols", run.planned_people, tally.people_added, tally.people_deleted,
                 run.people_made);
}

Result<OldSymbols> count_old_symbols(Site& site, const RunRow& run) {
  OldSymbols old;
  FUGO_ASSIGN(old.tally, tally_of(site.ledger(), run));  // before the snapshot
  FUGO_ASSIGN(const auto agencies, site.ledger().agencies());
  FUGO_ASSIGN(const auto snapshot, site.ledger().snapshot());
  for (const auto& agency : agencies) {
    if (agency.state == keystore::AgencyState::kClosed || !is_mapped(run, agency.number)) continue;
    FUGO_TRY(snapshot->scan_issued(agency.number, 0, keystore::kNoPerson,
                                   [&](std::span<const keystore::IssuedEntry> entries) -> Status {
                                     for (const auto& entry : entries)
                                       old.symbols += entry.segment <= run.last_segment ? 1 : 0;
                                     return {};
                                   }));
  }
  return old;
}

Status reject_symbols(const OldSymbols& old, RunRow& run) {
  if (run.reject_old) return {};  // they became unknown at the commit, and were counted there
  if (old.tally != run.tally)
    return fail(ErrorCode::kStale, "people were deleted meanwhile", kWhere, "it is tried again");
  run.symbols_rejected = old.symbols;
  if (old.symbols + run.tally.old_symbols_deleted == run.symbols_mapped) return {};
  return fail(ErrorCode::kDamaged,
              fmt::format("the old symbols do not add up: {} were mapped, {} deleted since, and {} "
                          "are there",
                          run.symbols_mapped, run.tally.old_symbols_deleted, old.symbols),
              kWhere, "run fugo verify");
}

std::vector<keystore::RunKey> replaced_keys(const RunRow& run,
                                            const keystore::GenerationRow& from) {
  std::vector<keystore::RunKey> keys;
  for (const auto& made : run.new_keys) {
    const std::uint16_t version = version_before(run, from, made.purpose);
    if (version != 0) keys.push_back({made.purpose, made.algorithm, version});
  }
  return keys;
}

}  // namespace fugo::engine
