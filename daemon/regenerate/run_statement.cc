#include "daemon/regenerate/run_statement.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "daemon/command/names.h"
#include "daemon/statement.h"
#include "engine/regenerate/reconcile.h"
#include "engine/regenerate/run_plan.h"
#include "engine/regenerate/run_steps.h"

namespace fugo::daemon {
namespace {

using keystore::RunRow;
using Json = nlohmann::ordered_json;

Json time_or_null(std::int64_t time) { return time == 0 ? Json(nullptr) : Json(format_time(time)); }

// The named keys as the registry has them now.
Json keys_json(const std::vector<keystore::KeyRow>& rows,
               const std::vector<keystore::RunKey>& names) {
  auto list = Json::array();
  for (const auto& name : names) {
    const auto key = std::find_if(rows.begin(), rows.end(), [&](const auto& row) {
      return row.purpose == name.purpose && row.algorithm == name.algorithm &&
             row.version == name.version;
    });
    if (key == rows.end()) continue;  // of an algorithm that the site had no key of
    list.push_back({{"label", key->label},
                    {"fingerprint", hex(key->fingerprint.bytes)},
                    {"state", state_name(key->state)}});
  }
  return list;
}

// What each agency's file was: its rows sum up to the symbols mapped.
Json agencies_json(const std::vector<keystore::Agency>& agencies,
                   const std::vector<keystore::RunAgencyRow>& rows) {
  auto list = Json::array();
  for (const auto& row : rows) {
    const auto agency = std::find_if(agencies.begin(), agencies.end(),
                                     [&](const auto& a) { return a.number == row.agency; });
    list.push_back({{"agency", agency == agencies.end() ? Json(nullptr) : Json(agency->code)},
                    {"symbols", row.symbols},
                    {"sha256", hex(row.sha256)},
                    {"acknowledged", time_or_null(row.acknowledged)},
                    {"by", row.acknowledged_by}});
  }
  return list;
}

// planned + added - deleted = made = mapped, and mapped - deleted = rejected: the commit and the
// finish have refused anything else.
Json counts_json(const RunRow& run) {
  const auto& tally = run.tally;
  const bool rebase = (run.what & keystore::kRunRebase) != 0;
  return Json{
      {"planned",
       {{"people", run.planned_people},
        {"symbols", run.planned_symbols},
        {"records", run.planned_records},
        {"agencies", run.planned_agencies}}},
      {"from_plan_to_commit",
       {{"people_added", tally.people_added},
        {"people_deleted", tally.people_deleted},
        {"symbols_added", tally.symbols_added},
        {"symbols_deleted", tally.symbols_deleted}}},
      {"made",
       {{"people", run.people_made},
        {"people_rebased", run.people_rebased},
        {"people_left", rebase ? Json(run.people_made - run.people_rebased) : Json(nullptr)},
        {"codes_rejected", run.codes_rejected},
        {"codes_unknown", run.codes_unknown}}},
      {"mapped", {{"symbols", run.symbols_mapped}, {"records", run.records_mapped}}},
      {"from_commit_to_finish", {{"old_symbols_deleted", tally.old_symbols_deleted}}},
      {"rejected",
       {{"symbols", run.symbols_rejected}, {"at", run.reject_old ? "commit" : "finish"}}}};
}

Result<Json> statement_of(engine::Site& site, const RunRow& run) {
  keystore::Ledger& ledger = site.ledger();
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  FUGO_ASSIGN(const auto generations, ledger.generations());
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto digest, ledger.content_digest()->text(state, false));
  const auto* from = engine::find_generation(generations, run.from);
  if (from == nullptr)
    return fail(ErrorCode::kDamaged, "a run's generation is missing", "regeneration");
  Json document{{"format", "fugo-regeneration-statement"},
                {"version", 1},
                {"ledger", hex(ledger.header().ledger_id.bytes)},
                {"environment", ledger.header().environment},
                {"run", run.id},
                {"what", engine::what_names(run.what)},
                {"reason", run.reason},
                {"operator", run.operator_name},
                {"order", run.order},
                {"planned_at", format_time(run.planned)},
                {"committed_at", format_time(run.committed)},
                {"finished_at", format_time(run.finished)},
                {"from", run.from},
                {"to", run.to},
                {"old_rejected_at_commit", run.reject_old},
                {"without_acknowledgements", run.without_acks},
                {"keys_made", keys_json(keys, run.new_keys)},
                {"keys_replaced", keys_json(keys, engine::replaced_keys(run, *from))},
                {"new_data_key", engine::needs_rekey(run)}};
  document.update(counts_json(run));
  document["mappings"] = agencies_json(agencies, rows);
  document["digest_without_times"] = digest;
  document["journal_entries"] = state.journal_entries;
  document["journal_head"] = hex(state.journal_head);
  return document;
}

}  // namespace

Status write_run_statement(engine::Site& site, RunRow& run) {
  FUGO_ASSIGN(const auto document, statement_of(site, run));
  FUGO_ASSIGN(const auto keys, site.ledger().key_rows());
  FUGO_ASSIGN(const auto key, signing_key(keys));
  const std::filesystem::path folder = std::filesystem::path(run.output_directory) / run.id;
  FUGO_TRY(make_directory(run.output_directory));
  FUGO_TRY(make_directory(folder));
  const auto path = folder / "statement.json";
  FUGO_TRY(write_statement(site.token(), key, document, path));
  FUGO_ASSIGN(auto update, site.ledger().begin());
  run.statement = path.string();
  FUGO_TRY(update->put_run(run).map([](auto&&) {}));
  return update->commit();
}

}  // namespace fugo::daemon
