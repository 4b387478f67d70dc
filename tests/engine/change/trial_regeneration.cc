// A trial ledger's regenerations, with keys of versions 2 and 3.
#include <algorithm>

#include "engine/regenerate/chainer.h"
#include "keystore/staging.h"
#include "keystore/verify_content.h"
#include "tests/engine/change/trial_ledger.h"

namespace fugo::engine::testing {
namespace {

using hsm::KeyPurpose;
using keystore::Generation;
using keystore::GenerationRow;
using keystore::GenerationState;
using keystore::KeyState;

constexpr std::uint16_t kVersions = 3;

bool renews(std::uint8_t what, KeyPurpose purpose) {
  switch (purpose) {
    case KeyPurpose::kLinkage:
      return (what & keystore::kRunLinkage) != 0;
    case KeyPurpose::kRecord:
      return (what & keystore::kRunRecord) != 0;
    default:
      return (what & keystore::kRunAgency) != 0;
  }
}

// more_keys makes the keys in the shared tokens, once a program. No Token may be alive.
const std::vector<hsm::CeremonyKey>& more_keys() {
  static const std::vector<hsm::CeremonyKey> keys = [] {
    const auto& tokens = hsm::testing::shared_tokens();
    std::vector<hsm::KeyName> names;
    for (std::uint16_t version = 2; version <= kVersions; ++version)
      for (const auto purpose :
           {KeyPurpose::kLinkage, KeyPurpose::kAgency, KeyPurpose::kAgencyXtsData,
            KeyPurpose::kAgencyXtsTweak, KeyPurpose::kRecord})
        names.push_back({purpose, hsm::KeyAlgorithm::kAes256, version});
    const auto so_pin = hsm::testing::shared_directory() / "fugo-issuing.so-pin";
    std::vector<hsm::CeremonyTarget> targets = {
        {tokens.issuing, so_pin}, {tokens.linking, {}}, {tokens.standby, {}}};
    if (!hsm::testing::abilities().security_officer) {
      const auto source = hsm::testing::make_source_token("more-source", hsm::TokenRole::kStandby);
      targets.insert(targets.begin(), {source.settings, source.so_pin_file});
    }
    return must(hsm::run_ceremony(targets, names, tokens.recovery_public_key,
                                  hsm::testing::shared_directory() / "more-recovery.json"))
        .keys;
  }();
  return keys;
}

keystore::KeyRow key_row(const hsm::CeremonyKey& key) {
  keystore::KeyRow row;
  row.purpose = static_cast<std::uint8_t>(key.name.purpose);
  row.algorithm = static_cast<std::uint8_t>(key.name.algorithm);
  row.version = key.name.version;
  row.state = KeyState::kActive;
  row.label = hsm::key_label(key.name);
  row.fingerprint = key.fingerprint;
  return row;
}

GenerationRow next_generation(const GenerationRow& from, std::uint8_t what) {
  GenerationRow to = from;
  ++to.number;
  to.state = GenerationState::kPending;
  to.starters = 0;
  to.chained_from = 0;
  if (renews(what, KeyPurpose::kAgency)) ++to.agency_key;
  if (renews(what, KeyPurpose::kRecord)) ++to.record_key;
  if (!renews(what, KeyPurpose::kLinkage)) return to;
  ++to.linkage_key;
  to.linkage_generation = to.number;
  to.chained_from = from.linkage_generation;
  return to;
}

std::uint64_t living(const keystore::LedgerState& state) {
  return state.next_person - state.deleted_people;
}

Result<keystore::RunRow> plan(keystore::Ledger& ledger, const GenerationRow& from,
                              const GenerationRow& to, std::uint8_t what) {
  FUGO_ASSIGN(auto agencies, ledger.agencies());
  FUGO_ASSIGN(const auto update, ledger.begin());
  FUGO_ASSIGN(const auto known, ledger.key_rows());
  for (const auto& key : more_keys()) {
    auto row = key_row(key);
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const auto& other) { return other.label == row.label; });
    row.state = KeyState::kPending;  // as every key begins
    if (!is_known) FUGO_TRY(update->put_key(row));
    FUGO_TRY(update->put_key(key_row(key)));
  }
  FUGO_TRY(update->put_generation(to));
  for (auto& agency : agencies) {
    if (!renews(what, KeyPurpose::kAgency)) break;
    auto version = agency.versions.back();
    version.generation = to.number;
    version.key_version = to.agency_key;
    version.parameter.bytes[15] = static_cast<std::uint8_t>(to.number);
    agency.versions.push_back(version);
    FUGO_TRY(update->put_agency(agency));
  }
  keystore::RunRow run;
  run.state = keystore::RunState::kRunning;
  run.what = what;
  run.from = from.number;
  run.to = to.number;
  if (keystore::is_mapped(run, 1)) run.planned_symbols = update->state().issuances;
  run.symbols_mapped = run.planned_symbols;  // nothing comes or goes before the commit
  if (keystore::is_mapped(run, 0)) run.planned_records = living(update->state());
  if (renews(what, KeyPurpose::kLinkage)) run.planned_people = living(update->state());
  run.people_made = run.planned_people;
  run.records_mapped = run.planned_records;
  FUGO_ASSIGN(run, update->put_run(run));
  for (keystore::AgencyNumber agency = 0; agency < 2; ++agency) {  // all in one file, as it were
    keystore::RunAgencyRow file;
    file.run = run.number;
    file.agency = agency;
    file.symbols = agency == 0 ? run.records_mapped : run.symbols_mapped;
    FUGO_TRY(update->put_run_agency(file));
  }
  if (to.linkage_generation == to.number) update->state().staged_generation = to.number;
  FUGO_TRY(update->commit());
  return run;
}

Result<keystore::ContentSums> measure(const keystore::Ledger& ledger, Generation generation) {
  keystore::ContentSums sums;
  FUGO_ASSIGN(const auto snapshot, ledger.snapshot());
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  FUGO_ASSIGN(const auto segments, ledger.segments());
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto findings, keystore::measure_content({.snapshot = *snapshot,
                                                              .keys = *ledger.keys(),
                                                              .digest = *ledger.content_digest(),
                                                              .agencies = agencies,
                                                              .segments = segments,
                                                              .state = state,
                                                              .generations = generations,
                                                              .generation = generation},
                                                             sums));
  if (!findings.empty()) return tl::unexpected(findings.front());
  return sums;
}

Status activate(keystore::Ledger& ledger, Generation from, Generation to, keystore::RunRow run,
                const keystore::ContentSums* sums) {
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto update, ledger.begin());
  for (GenerationRow row : generations) {
    if (row.number != from && row.number != to) continue;
    row.state = row.number == to ? GenerationState::kActive : GenerationState::kAccepting;
    FUGO_TRY(update->put_generation(row));
  }
  run.state = keystore::RunState::kReady;
  run.people_made = run.planned_people;
  FUGO_TRY(update->put_run(run).map([](auto&&) {}));
  run.state = keystore::RunState::kCommitted;
  run.committed = 1'700'000'000;
  run.last_segment = update->state().next_segment - 1;
  FUGO_TRY(update->put_run(run).map([](auto&&) {}));
  update->state().staged_generation = 0;
  if (sums != nullptr) {
    update->state().people_digest = sums->people_digest;
    update->state().issued_digest = sums->issued_digest;
    update->state().times_digest = sums->times_digest;
  }
  return update->commit();
}

}  // namespace

void TrialLedger::regenerate(std::uint8_t what) {
  site_.reset();
  more_keys();
  reopen();
  auto& ledger = site_->ledger();
  const GenerationRow from = site_->active_generation(), to = next_generation(from, what);
  auto run = must(plan(ledger, from, to, what));
  must(site_->reload());
  keystore::ContentSums sums;
  const bool chained = to.linkage_generation == to.number;
  if (chained) {
    const auto staging = must(keystore::Staging::open(ledger));
    must(must(Chainer::create(*site_, *staging, to))->run(run, {}));
    must(staging->merge(to.number, {}));
    sums = must(measure(ledger, to.number));
  }
  must(activate(ledger, from.number, to.number, run, chained ? &sums : nullptr));
  must(site_->reload());
}

void retire_older(Site& site) {
  auto& ledger = site.ledger();
  auto generations = must(ledger.generations());
  auto run = must(ledger.runs()).back();
  const auto active = site.active_generation().linkage_generation;
  const auto staging = must(keystore::Staging::open(ledger));
  const auto update = must(ledger.begin());
  std::vector<keystore::FileRow> files;
  for (GenerationRow& row : generations) {
    if (row.state != GenerationState::kAccepting) continue;
    row.state = GenerationState::kRetired;
    must(update->put_generation(row));
  }
  for (const GenerationRow& row : generations)
    if (row.number == row.linkage_generation && row.number != active &&
        row.state == GenerationState::kRetired)
      for (auto& file : must(update->erase_files(row.number))) files.push_back(file);
  run.state = keystore::RunState::kFinished;
  run.symbols_rejected = run.symbols_mapped - run.tally.old_symbols_deleted;
  must(update->put_run(run));
  must(update->commit());
  must(staging->unlink(files));
}

void TrialLedger::retire() {
  retire_older(*site_);
  must(site_->reload());
}

}  // namespace fugo::engine::testing
