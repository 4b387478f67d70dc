#include "engine/regenerate/run_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "engine/methods.h"

namespace fugo::engine {
namespace {

using hsm::KeyAlgorithm;
using hsm::KeyPurpose;
using keystore::GenerationRow;
using keystore::RunRow;

constexpr const char* kWhere = "regeneration";

struct WhatName {
  std::uint8_t bit;
  std::string_view name;
};
constexpr std::array<WhatName, 5> kWhats{{{keystore::kRunLinkage, "linkage"},
                                          {keystore::kRunAgency, "agency"},
                                          {keystore::kRunRecord, "record"},
                                          {keystore::kRunLedger, "ledger"},
                                          {keystore::kRunRebase, "rebase"}}};

// KeyFamily is the keys that get a new version together: a generation names one version of all.
struct KeyFamily {
  std::uint8_t what;
  std::vector<std::pair<KeyPurpose, KeyAlgorithm>> keys;
};

const std::vector<KeyFamily>& families() {
  static const std::vector<KeyFamily> kFamilies{
      {keystore::kRunLinkage | keystore::kRunRebase,
       {{KeyPurpose::kLinkage, KeyAlgorithm::kAes256},
        {KeyPurpose::kLinkage, KeyAlgorithm::kHmacSha256}}},
      {keystore::kRunAgency,
       {{KeyPurpose::kAgency, KeyAlgorithm::kAes256},
        {KeyPurpose::kAgency, KeyAlgorithm::kHmacSha256},
        {KeyPurpose::kAgencyXtsData, KeyAlgorithm::kAes256},
        {KeyPurpose::kAgencyXtsTweak, KeyAlgorithm::kAes256}}},
      {keystore::kRunRecord,
       {{KeyPurpose::kRecord, KeyAlgorithm::kAes256},
        {KeyPurpose::kRecord, KeyAlgorithm::kHmacSha256}}},
      // A linkage run ends with a new data key too: no old symbol may be left to be read.
      {keystore::kRunLedger | keystore::kRunLinkage | keystore::kRunRebase,
       {{KeyPurpose::kDataWrap, KeyAlgorithm::kAes256}}}};
  return kFamilies;
}

bool in_family(const KeyFamily& family, std::uint8_t purpose, std::uint8_t algorithm) {
  return std::any_of(family.keys.begin(), family.keys.end(), [&](const auto& key) {
    return static_cast<std::uint8_t>(key.first) == purpose &&
           static_cast<std::uint8_t>(key.second) == algorithm;
  });
}

// The family's newest version ever, also one that an earlier plan named and never made; and whether
// all of it is there, pending and of no run.
struct Newest {
  std::uint16_t version = 0;
  bool ready = false;
};
Newest newest_of(const KeyFamily& family, const std::vector<keystore::KeyRow>& keys,
                 const std::vector<RunRow>& runs) {
  Newest newest;
  for (const auto& key : keys)
    if (in_family(family, key.purpose, key.algorithm))
      newest.version = std::max(newest.version, key.version);
  const auto pending = std::count_if(keys.begin(), keys.end(), [&](const auto& key) {
    return in_family(family, key.purpose, key.algorithm) && key.version == newest.version &&
           key.state == keystore::KeyState::kPending;
  });
  newest.ready = newest.version != 0 && static_cast<std::size_t>(pending) == family.keys.size();
  for (const auto& run : runs)
    for (const auto& key : run.new_keys) {
      if (!in_family(family, key.purpose, key.algorithm)) continue;
      if (key.version >= newest.version) newest.ready = false;
      newest.version = std::max(newest.version, key.version);
    }
  return newest;
}

bool needs(const RunRow& run, const KeyFamily& family) {
  if ((run.what & family.what) == 0) return false;
  // One agency's parameter alone is changed under the key that is there.
  return family.what != keystore::kRunAgency || run.agency == 0;
}

Result<KeyNeeds> key_needs(const keystore::Ledger& ledger, const RunRow& run) {
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(const auto runs, ledger.runs());
  KeyNeeds result;
  for (const KeyFamily& family : families()) {
    if (!needs(run, family)) continue;
    const Newest newest = newest_of(family, keys, runs);
    // The data key is made in the ceremony of its wrap key, so that is always a new one.
    const bool use = newest.ready && family.keys.front().first != KeyPurpose::kDataWrap;
    if (!use && newest.version == 0xFFFF)
      return fail(ErrorCode::kRefused, "every version number of a key is used up", kWhere);
    const auto version = static_cast<std::uint16_t>(newest.version + (use ? 0 : 1));
    for (const auto& [purpose, algorithm] : family.keys) {
      result.all.push_back(
          {static_cast<std::uint8_t>(purpose), static_cast<std::uint8_t>(algorithm), version});
      if (!use) result.to_make.push_back({purpose, algorithm, version});
    }
  }
  return result;
}

// Methods of the new generation, from the one name that was given.
Status set_methods(RunRow& run, const RunWish& wish, bool production) {
  if (wish.method.empty()) return {};
  const Method* method = find_method(wish.method);
  if (method == nullptr)
    return fail(ErrorCode::kUsage, "there is no method " + wish.method, "--method",
                "cmac-ff-aes256, hmac-sha256 or xts-aes256");
  if (method->test_only && production)
    return fail(ErrorCode::kRefused, "test methods are refused in production", "--method");
  if ((run.what & (keystore::kRunLinkage | keystore::kRunRebase)) != 0 && method->for_linkage)
    run.linkage_method = static_cast<std::uint8_t>(method->number);
  if ((run.what & keystore::kRunAgency) != 0 && method->for_agency)
    run.agency_method = static_cast<std::uint8_t>(method->number);
  if (run.linkage_method != 0 || run.agency_method != 0) return {};
  return fail(ErrorCode::kUsage,
              "nothing that is to be made anew can have the method " + wish.method, "--method",
              "see docs/spec/symbols.md for what each method makes");
}

Status set_agency(RunRow& run, const RunWish& wish, const keystore::Ledger& ledger) {
  if (wish.agency.empty()) return {};
  if ((run.what & keystore::kRunAgency) == 0)
    return fail(ErrorCode::kUsage, "an agency was given, but agency is not to be made anew",
                "--agency", "add agency to --what");
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  for (const auto& agency : agencies)
    if (agency.code == wish.agency && agency.state != keystore::AgencyState::kClosed)
      run.agency = agency.number;
  if (run.agency != 0) return {};
  return fail(ErrorCode::kUsage, "there is no open agency of that code", "--agency",
              "fugo agency list shows those there are");
}

Result<GenerationRow> active_generation(const keystore::Ledger& ledger) {
  FUGO_ASSIGN(const auto rows, ledger.generations());
  for (const auto& row : rows)
    if (row.state == keystore::GenerationState::kActive) return row;
  return fail(ErrorCode::kDamaged, "no generation is active", "ledger, table generations",
              "restore the ledger from a backup");
}

std::uint16_t version_in(const RunRow& run, KeyPurpose purpose, std::uint16_t otherwise) {
  for (const auto& key : run.new_keys)
    if (key.purpose == static_cast<std::uint8_t>(purpose)) return key.version;
  return otherwise;
}

GenerationRow new_generation(const RunRow& run, const GenerationRow& from) {
  GenerationRow to = from;
  to.number = run.to;
  to.state = keystore::GenerationState::kPending;
  to.created = unix_now();
  to.starters = 0;
  to.chained_from = 0;
  if ((run.what & (keystore::kRunLinkage | keystore::kRunRebase)) != 0) {
    to.linkage_generation = run.to;
    to.chained_from = from.linkage_generation;
    to.linkage_key = version_in(run, KeyPurpose::kLinkage, from.linkage_key);
    if (run.linkage_method != 0) to.linkage_method = run.linkage_method;
  }
  if ((run.what & keystore::kRunAgency) != 0 && run.agency == 0) {
    to.agency_key = version_in(run, KeyPurpose::kAgency, from.agency_key);
    if (run.agency_method != 0) to.agency_method = run.agency_method;
  }
  to.record_key = version_in(run, KeyPurpose::kRecord, from.record_key);
  return to;
}

// New parameters for the agencies that the run gives a version of their own.
Status put_agencies(keystore::Update& update, const keystore::Ledger& ledger, hsm::Token& token,
                    const RunRow& run, const GenerationRow& to) {
  FUGO_ASSIGN(auto agencies, ledger.agencies());
  std::set<Block> seen;
  for (const auto& agency : agencies)
    for (const auto& version : agency.versions) seen.insert(version.parameter);
  for (auto& agency : agencies) {
    if (run.agency != 0 && agency.number != run.agency) continue;
    keystore::AgencyVersion version = agency.versions.back();
    version.generation = run.to;
    if (run.agency_method != 0) version.method = run.agency_method;
    if (run.agency == 0) version.key_version = to.agency_key;
    FUGO_TRY(token.random(version.parameter.bytes));
    if (!seen.insert(version.parameter).second)
      return fail(ErrorCode::kHsm, "the token gave the same random number twice",
                  "C_GenerateRandom", "do not use this token");
    agency.versions.push_back(version);
    FUGO_TRY(update.put_agency(agency));
  }
  return {};
}

// The numbers of the plan, as the ledger stands now, within the caller's transaction: from its
// commit on the ledger counts what comes and goes, and the run is reconciled with both.
Status count_plan(const keystore::Ledger& ledger, RunRow& run) {
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto snapshot, ledger.snapshot());
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  const std::uint64_t people = state.next_person - state.deleted_people;
  run.planned_people =
      (run.what & (keystore::kRunLinkage | keystore::kRunRebase)) != 0 ? people : 0;
  run.planned_records = is_mapped(run, 0) ? people : 0;
  run.planned_symbols = run.planned_agencies = 0;
  for (const auto& agency : agencies) {
    if (agency.state == keystore::AgencyState::kClosed || !is_mapped(run, agency.number)) continue;
    FUGO_ASSIGN(const auto count, snapshot->count_issued(agency.number));
    run.planned_symbols += count;
    run.planned_agencies += count != 0 ? 1 : 0;
  }
  return {};
}

}  // namespace

std::string what_names(std::uint8_t what) {
  std::string names;
  for (const WhatName& row : kWhats) {
    if ((what & row.bit) == 0) continue;
    if (!names.empty()) names += ',';
    names += row.name;
  }
  return names;
}

std::optional<std::uint8_t> what_bit(std::string_view name) {
  for (const WhatName& row : kWhats)
    if (row.name == name) return row.bit;
  return std::nullopt;
}

const GenerationRow* find_generation(const std::vector<GenerationRow>& rows,
                                     keystore::Generation number) {
  for (const auto& row : rows)
    if (row.number == number) return &row;
  return nullptr;
}

Result<RunRow> find_run(const keystore::Ledger& ledger, std::string_view id) {
  FUGO_ASSIGN(auto runs, ledger.runs());
  FUGO_ASSIGN(const auto state, ledger.state());
  for (auto& run : runs)
    if (id.empty() ? run.number == state.open_run : run.id == id) return std::move(run);
  return fail(ErrorCode::kRefused,
              id.empty() ? std::string("no regeneration is unfinished")
                         : "there is no regeneration of that id",
              kWhere, "fugo regenerate status lists them");
}

std::vector<hsm::KeyName> keys_of(const RunRow& run) {
  std::vector<hsm::KeyName> names;
  for (const auto& key : run.new_keys)
    names.push_back({static_cast<KeyPurpose>(key.purpose), static_cast<KeyAlgorithm>(key.algorithm),
                     key.version});
  return names;
}

Result<RunPlan> begin_plan(keystore::Ledger& ledger, const RunWish& wish, bool production) {
  RunPlan plan;
  RunRow& run = plan.run;
  run.what = wish.what;
  run.reason = wish.reason;
  plan.actor = wish.actor;
  run.operator_name = wish.actor.operator_name;
  run.order = wish.actor.order;
  run.planned = unix_now();
  if (run.what == 0)
    return fail(ErrorCode::kUsage, "nothing is to be made anew", "--what",
                "linkage, agency, record or ledger, or several with commas");
  FUGO_TRY(set_methods(run, wish, production));
  FUGO_TRY(set_agency(run, wish, ledger));
  FUGO_ASSIGN(auto update, ledger.begin());  // from here on nobody else changes anything
  FUGO_ASSIGN(const auto active, active_generation(ledger));
  FUGO_ASSIGN(const auto generations, ledger.generations());
  run.from = active.number;
  for (const auto& row : generations) run.to = std::max(run.to, row.number);
  if (run.to == 0xFFFF) return fail(ErrorCode::kRefused, "every symbol version is used up", kWhere);
  ++run.to;
  FUGO_ASSIGN(plan.keys, key_needs(ledger, run));
  run.new_keys = plan.keys.all;
  nlohmann::ordered_json approval = nlohmann::ordered_json::object();
  if (wish.approve && !plan.keys.to_make.empty()) {
    FUGO_ASSIGN(const auto text, wish.approve(plan.keys.to_make));
    approval = nlohmann::ordered_json::parse(text, nullptr, false);
  }
  FUGO_ASSIGN(run, update->put_run(run));
  nlohmann::ordered_json details = {{"run", run.id}, {"what", what_names(run.what)}};
  if (approval.is_object()) details.update(approval);
  FUGO_TRY(update->append_journal(wish.actor, "regenerate.planning", details.dump()));
  FUGO_TRY(update->commit());
  return plan;
}

Result<RunRow> complete_plan(keystore::Ledger& ledger, hsm::Token& token, RunPlan plan,
                             const std::vector<keystore::KeyRow>& made,
                             const std::vector<std::uint8_t>& wrapped_data_key) {
  RunRow& run = plan.run;
  FUGO_ASSIGN(const auto generations, ledger.generations());
  const GenerationRow* from = find_generation(generations, run.from);
  if (from == nullptr) return fail(ErrorCode::kInternal, "a run from no generation", kWhere);
  const GenerationRow to = new_generation(run, *from);
  run.state = keystore::RunState::kPlanned;
  run.wrapped_data_key = wrapped_data_key;
  run.wrap_key_version =
      wrapped_data_key.empty() ? std::uint16_t{0} : version_in(run, KeyPurpose::kDataWrap, 0);
  if (!wrapped_data_key.empty()) run.old_wrap_key_version = ledger.header().wrap_key_version;
  FUGO_ASSIGN(auto update, ledger.begin());
  if (update->state().open_run != run.number)
    return fail(ErrorCode::kRefused, "the plan was given up by another process", kWhere);
  FUGO_TRY(count_plan(ledger, run));
  // What is pending changes nobody's answers: a job that is open goes on as it was.
  const std::uint64_t registry_version = update->state().registry_version;
  for (const auto& key : made) FUGO_TRY(update->put_key(key));
  FUGO_TRY(update->put_generation(to));
  if ((run.what & keystore::kRunAgency) != 0)
    FUGO_TRY(put_agencies(*update, ledger, token, run, to));
  if (to.linkage_generation == to.number) update->state().staged_generation = to.number;
  update->state().registry_version = registry_version;
  FUGO_ASSIGN(run, update->put_run(run));
  auto labels = nlohmann::ordered_json::array();
  for (const auto& name : keys_of(run)) labels.push_back(hsm::key_label(name));
  FUGO_TRY(update->append_journal(plan.actor, "regenerate.plan",
                                  nlohmann::ordered_json{{"run", run.id},
                                                         {"what", what_names(run.what)},
                                                         {"reason", run.reason},
                                                         {"from", run.from},
                                                         {"to", run.to},
                                                         {"keys", labels},
                                                         {"people", run.planned_people},
                                                         {"symbols", run.planned_symbols},
                                                         {"records", run.planned_records},
                                                         {"agencies", run.planned_agencies}}
                                      .dump()));
  FUGO_TRY(update->commit());
  return run;
}

Status give_up_plan(keystore::Ledger& ledger, RunRow run, const keystore::Actor& actor) {
  FUGO_ASSIGN(auto update, ledger.begin());
  FUGO_ASSIGN(run, find_run(ledger, run.id));  // as it is now that nobody else changes it
  if (run.state != keystore::RunState::kPlanning || update->state().open_run != run.number)
    return fail(ErrorCode::kRefused, "another process went on with " + run.id, kWhere,
                "fugo regenerate status " + run.id + " says what it is");
  run.state = keystore::RunState::kAborted;
  run.finished = unix_now();
  FUGO_TRY(update->put_run(run).map([](auto&&) {}));
  FUGO_TRY(update->append_journal(
      actor, "regenerate.abort",
      nlohmann::ordered_json{{"run", run.id}, {"state", "planning"}}.dump()));
  return update->commit();
}

}  // namespace fugo::engine
