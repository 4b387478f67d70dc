#include "engine/regenerate/run_steps.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "engine/regenerate/reconcile.h"
#include "engine/regenerate/run_plan.h"
#include "keystore/steps.h"
#include "keystore/verify_content.h"

namespace fugo::engine {
namespace {

using hsm::KeyPurpose;
using keystore::GenerationRow;
using keystore::GenerationState;
using keystore::KeyRow;
using keystore::KeyState;
using keystore::RunRow;
using keystore::RunState;
using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "regeneration";

// KeySteps are the keys that a step gives other states, for the journal: label -> state.
class KeySteps {
 public:
  Status put(keystore::Update& update, KeyRow key, KeyState state) {
    if (key.state == state) return {};
    key.state = state;
    steps_[key.label] = keystore::key_state_word(state);
    return update.put_key(key);
  }
  [[nodiscard]] const Json& document() const { return steps_; }

 private:
  Json steps_ = Json::object();
};

bool is_new(const RunRow& run, const KeyRow& key) {
  return std::any_of(run.new_keys.begin(), run.new_keys.end(), [&](const auto& name) {
    return name.purpose == key.purpose && name.algorithm == key.algorithm &&
           name.version == key.version;
  });
}

// The run replaces keys of this purpose.
bool replaces(const RunRow& run, const KeyRow& key) {
  return std::any_of(run.new_keys.begin(), run.new_keys.end(),
                     [&](const auto& name) { return name.purpose == key.purpose; });
}

bool is_wrap(const KeyRow& key) {
  return key.purpose == static_cast<std::uint8_t>(KeyPurpose::kDataWrap);
}

// At the commit: the new keys come into use, but for the wrap key, whose time is the finish.
Status commit_keys(keystore::Update& update, const std::vector<KeyRow>& keys, const RunRow& run,
                   KeySteps& steps) {
  for (const KeyRow& key : keys) {
    if (is_wrap(key)) continue;
    if (is_new(run, key)) FUGO_TRY(steps.put(update, key, KeyState::kActive));
    if (is_new(run, key) || !replaces(run, key) || key.state != KeyState::kActive) continue;
    // People start from an old linkage key for as long as there are such people.
    const bool linkage = key.purpose == static_cast<std::uint8_t>(KeyPurpose::kLinkage);
    const KeyState old_state = linkage          ? KeyState::kChain
                               : run.reject_old ? KeyState::kRetired
                                                : KeyState::kAccepting;
    FUGO_TRY(steps.put(update, key, old_state));
  }
  return {};
}

Status finish_keys(keystore::Update& update, const std::vector<KeyRow>& keys, const RunRow& run,
                   KeySteps& steps) {
  for (const KeyRow& key : keys) {
    if (is_new(run, key)) {
      if (is_wrap(key)) FUGO_TRY(steps.put(update, key, KeyState::kActive));
      continue;
    }
    if (!replaces(run, key)) continue;
    if (key.state == KeyState::kAccepting || (is_wrap(key) && key.state == KeyState::kActive))
      FUGO_TRY(steps.put(update, key, KeyState::kRetired));
  }
  return {};
}

// The new generation's people, read through and checked; its sums are for the state.
Status measure(Site& site, const GenerationRow& to, const HeldIssuing& held,
               const RunProgress& progress, keystore::ContentSums& sums) {
  FUGO_ASSIGN(const auto snapshot, site.ledger().snapshot());
  FUGO_ASSIGN(const auto agencies, site.ledger().agencies());
  FUGO_ASSIGN(const auto segments, site.ledger().segments());
  FUGO_ASSIGN(const auto state, site.ledger().state());
  FUGO_TRY(check_held(state, held));
  const auto keys = site.ledger().keys();
  const auto digest = site.ledger().content_digest();
  FUGO_ASSIGN(const auto generations, site.ledger().generations());
  keystore::VerifyInput input{*snapshot, *keys, *digest, agencies, segments, state, generations};
  input.generation = to.linkage_generation;
  FUGO_ASSIGN(const auto findings,
              keystore::measure_content(input, sums, [&](std::uint64_t done, std::uint64_t total) {
                if (progress) (void)progress(done, total);
              }));
  if (!findings.empty()) return tl::unexpected<Error>(findings.front());
  if (sums.people == state.next_person && sums.deleted == state.deleted_people &&
      sums.issuances == state.issuances)
    return {};
  return fail(ErrorCode::kDamaged, "the new generation does not hold everybody", kWhere,
              "abort the run, and run fugo verify");
}

// Where people start, as it was counted in the new generation: a rebase lets them start afresh.
Status put_starters(keystore::Update& update, const std::vector<GenerationRow>& generations,
                    const keystore::ContentSums& sums, GenerationRow& from, GenerationRow& to) {
  const auto counted = [&](keystore::Generation number) {
    const auto found = sums.starters.find(number);
    return found == sums.starters.end() ? std::uint64_t{0} : found->second;
  };
  from.starters = counted(from.number);
  to.starters = counted(to.number);
  for (GenerationRow row : generations) {
    if (row.number == from.number || row.number == to.number) continue;
    if (row.starters == counted(row.number)) continue;
    row.starters = counted(row.number);
    FUGO_TRY(update.put_generation(row));
  }
  return {};
}

Result<GenerationRow> generation_of(const std::vector<GenerationRow>& rows,
                                    keystore::Generation number) {
  const GenerationRow* row = find_generation(rows, number);
  if (row == nullptr) return fail(ErrorCode::kDamaged, "a run's generation is missing", kWhere);
  return *row;
}

}  // namespace

Status commit_run(Site& site, RunRow& run, const HeldIssuing& held, const keystore::Actor& actor,
                  const RunProgress& progress) {
  keystore::Ledger& ledger = site.ledger();
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(auto from, generation_of(generations, run.from));
  FUGO_ASSIGN(auto to, generation_of(generations, run.to));
  const bool own_symbols = to.linkage_generation == to.number;
  keystore::ContentSums sums;
  if (own_symbols) FUGO_TRY(measure(site, to, held, progress, sums));
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(auto update, ledger.begin());
  keystore::LedgerState& state = update->state();
  FUGO_TRY(check_held(state, held));
  RunRow row = run;
  FUGO_ASSIGN(row.tally, tally_of(ledger, run));
  if (own_symbols) {
    state.people_digest = sums.people_digest;
    state.issued_digest = sums.issued_digest;
    state.times_digest = sums.times_digest;
    state.staged_generation = 0;
  }
  if (own_symbols) {
    FUGO_TRY(put_starters(*update, generations, sums, from, to));
    row.people_made = sums.people - sums.deleted;
    row.people_rebased = to.starters;
  }
  FUGO_TRY(reconcile(row));
  if (run.reject_old) row.symbols_rejected = row.symbols_mapped;
  from.state = run.reject_old ? GenerationState::kRetired : GenerationState::kAccepting;
  to.state = GenerationState::kActive;
  FUGO_TRY(update->put_generation(from));
  FUGO_TRY(update->put_generation(to));
  KeySteps steps;
  FUGO_TRY(commit_keys(*update, keys, run, steps));
  thaw_for(run, state);
  row.state = RunState::kCommitted;
  row.committed = unix_now();
  row.last_segment = state.next_segment - 1;
  FUGO_TRY(update->put_run(row).map([](auto&&) {}));
  FUGO_TRY(update->append_journal(actor, "regenerate.commit",
                                  Json{{"run", run.id},
                                       {"from", run.from},
                                       {"to", run.to},
                                       {"reject_old", run.reject_old},
                                       {"people", row.people_made},
                                       {"symbols", row.symbols_mapped},
                                       {"records", row.records_mapped},
                                       {"keys", steps.document()}}
                                      .dump()));
  FUGO_TRY(update->commit());
  run = row;
  return {};
}

namespace {

Status check_abort(const RunRow& run) {
  if (run.state == RunState::kAborted)
    return fail(ErrorCode::kRefused, run.id + " was aborted before", kWhere);
  if (run.state == RunState::kPlanning)  // the ledger does not know which tokens have its keys
    return fail(ErrorCode::kRefused, "the plan of " + run.id + " was broken off", kWhere,
                "it is taken back with its keys by whoever plans again");
  if (run.state == RunState::kCommitted || run.state == RunState::kFinished)
    return fail(ErrorCode::kRefused,
                run.id + " was committed: agencies may have the new symbols already", kWhere,
                "finish it; a further run can put other keys in place");
  return {};
}

// The agencies' versions of a generation that is given up.
Status drop_versions(keystore::Update& update, const keystore::Ledger& ledger,
                     keystore::Generation generation) {
  FUGO_ASSIGN(auto agencies, ledger.agencies());
  for (auto& agency : agencies) {
    const auto dropped = std::erase_if(
        agency.versions, [&](const auto& version) { return version.generation == generation; });
    if (dropped != 0) FUGO_TRY(update.put_agency(agency));
  }
  return {};
}

}  // namespace

Status abort_run(keystore::Ledger& ledger, keystore::Staging& staging, RunRow& run,
                 const keystore::Actor& actor) {
  FUGO_TRY(check_abort(run));
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(auto update, ledger.begin());
  const std::uint64_t registry_version = update->state().registry_version;
  FUGO_ASSIGN(const auto files, update->erase_files(run.to));
  FUGO_TRY(drop_versions(*update, ledger, run.to));
  if (const GenerationRow* to = find_generation(generations, run.to); to != nullptr) {
    GenerationRow retired = *to;
    retired.state = GenerationState::kRetired;
    FUGO_TRY(update->put_generation(retired));
  }
  KeySteps steps;
  for (const KeyRow& key : keys)
    if (is_new(run, key) && key.state == KeyState::kPending)
      FUGO_TRY(steps.put(*update, key, KeyState::kRetired));
  update->state().staged_generation = 0;
  update->state().registry_version = registry_version;  // nothing of it was ever in use
  thaw_for(run, update->state());
  update->state().may_end = 0;  // nobody waits for a job any more
  RunRow row = run;
  row.state = RunState::kAborted;
  row.finished = unix_now();
  FUGO_TRY(update->put_run(row).map([](auto&&) {}));
  FUGO_TRY(update->append_journal(actor, "regenerate.abort",
                                  Json{{"run", run.id}, {"keys", steps.document()}}.dump()));
  FUGO_TRY(update->commit());
  run = row;
  return staging.unlink(files);
}

Result<bool> acknowledge_mapping(keystore::Ledger& ledger, const RunRow& run,
                                 const std::string& agency_code, const keystore::Actor& actor) {
  if (run.state != RunState::kCommitted && run.state != RunState::kFinished)
    return fail(ErrorCode::kRefused, run.id + " is not committed: its mappings are not final",
                kWhere, "commit it first");
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  const auto agency = std::find_if(agencies.begin(), agencies.end(),
                                   [&](const auto& row) { return row.code == agency_code; });
  FUGO_ASSIGN(auto update, ledger.begin());
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const auto& row) {
    return agency != agencies.end() && row.agency == agency->number;
  });
  if (found == rows.end() || found->symbols == 0)
    return fail(ErrorCode::kRefused, run.id + " has no mapping for an agency of that code", kWhere,
                "fugo regenerate status " + run.id + " lists them");
  if (found->acknowledged != 0) return false;
  keystore::RunAgencyRow row = *found;
  row.acknowledged = unix_now();
  row.acknowledged_by = actor.operator_name;
  FUGO_TRY(update->put_run_agency(row));
  FUGO_TRY(update->append_journal(actor, "regenerate.ack",
                                  Json{{"run", run.id}, {"agency", agency_code}}.dump()));
  FUGO_TRY(update->commit());
  return true;
}

Status take_back_ack(keystore::Ledger& ledger, const RunRow& run, const std::string& agency_code,
                     const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  FUGO_ASSIGN(auto update, ledger.begin());
  FUGO_ASSIGN(const auto now, find_run(ledger, run.id));
  if (now.state != RunState::kCommitted || now.reject_old)
    return fail(ErrorCode::kRefused,
                run.id + " is not committed, or its old symbols are not accepted any more", kWhere);
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  for (keystore::RunAgencyRow row : rows) {
    const bool wanted = std::any_of(agencies.begin(), agencies.end(), [&](const auto& agency) {
      return agency.code == agency_code && agency.number == row.agency;
    });
    if (!wanted || row.acknowledged == 0) continue;
    row.acknowledged = 0;
    row.acknowledged_by.clear();
    FUGO_TRY(update->put_run_agency(row));
    FUGO_TRY(update->append_journal(actor, "regenerate.ack.back",
                                    Json{{"run", run.id}, {"agency", agency_code}}.dump()));
    return update->commit();
  }
  return fail(ErrorCode::kRefused, run.id + " has no acknowledgement of an agency of that code",
              kWhere, "fugo regenerate status " + run.id + " lists them");
}

Result<std::vector<std::string>> waiting_agencies(const keystore::Ledger& ledger,
                                                  const RunRow& run) {
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  std::vector<std::string> codes;
  for (const auto& row : rows) {
    if (row.agency == 0 || row.acknowledged != 0) continue;
    if (row.symbols == 0) continue;  // its last person was deleted during the run
    const auto agency = std::find_if(agencies.begin(), agencies.end(),
                                     [&](const auto& a) { return a.number == row.agency; });
    if (agency != agencies.end()) codes.push_back(agency->code);
  }
  return codes;
}

Status finish_rows(keystore::Update& update, const keystore::Ledger& ledger, const OldSymbols& old,
                   RunRow& run, const keystore::Actor& actor) {
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(run.tally, tally_of(ledger, run));
  FUGO_TRY(reject_symbols(old, run));
  FUGO_ASSIGN(auto from, generation_of(generations, run.from));
  from.state = GenerationState::kRetired;
  FUGO_TRY(update.put_generation(from));
  KeySteps steps;
  FUGO_TRY(finish_keys(update, keys, run, steps));
  run.state = RunState::kFinished;
  run.finished = unix_now();
  FUGO_TRY(update.put_run(run).map([](auto&&) {}));
  thaw_for(run, update.state());
  return update.append_journal(actor, "regenerate.finish",
                               Json{{"run", run.id},
                                    {"without_acks", run.without_acks},
                                    {"symbols_rejected", run.symbols_rejected},
                                    {"new_data_key", needs_rekey(run)},
                                    {"keys", steps.document()}}
                                   .dump());
}

}  // namespace fugo::engine
