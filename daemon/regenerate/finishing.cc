// The end of a regeneration: old symbols go, new data key, signed statement.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/regenerate/regeneration.h"
#include "daemon/statement.h"
#include "engine/regenerate/run_steps.h"
#include "keystore/rekey.h"
#include "keystore/staging.h"

namespace fugo::daemon {
namespace {

using keystore::RunRow;
using keystore::RunState;
using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "regeneration";
constexpr int kTries = 8;
constexpr std::size_t kMostNamed = 5;

Status check_may_finish(const keystore::Ledger& ledger, RunRow& run, bool without_acks) {
  if (run.state != RunState::kCommitted)
    return fail(ErrorCode::kRefused, run.id + " is not committed", kWhere,
                "fugo regenerate status " + run.id + " says what it is");
  FUGO_ASSIGN(const auto waiting, engine::waiting_agencies(ledger, run));
  run.without_acks = !waiting.empty();
  if (waiting.empty() || without_acks) return {};
  std::string names;
  for (std::size_t i = 0; i < std::min(waiting.size(), kMostNamed); ++i)
    names += (i == 0 ? "" : ", ") + waiting[i];
  if (waiting.size() > kMostNamed) names += ", ...";
  return fail(
      ErrorCode::kRefused,
      std::to_string(waiting.size()) + " agencies have not acknowledged their mapping: " + names,
      kWhere, "fugo regenerate ack, or give --without-acks: their old symbols become unknown");
}

Status finish_small(engine::Site& site, RunRow& run, const RunOptions& options) {
  FUGO_ASSIGN(auto update, site.ledger().begin());
  RunRow after = run;
  FUGO_TRY(engine::finish_rows(*update, site.ledger(), after, options.actor));
  FUGO_TRY(update->commit());
  run = after;
  return {};
}

// The linkage generations whose files go: all but that of the new one.
Result<std::vector<keystore::Generation>> left_behind(const keystore::Ledger& ledger,
                                                      const RunRow& run) {
  FUGO_ASSIGN(const auto generations, ledger.generations());
  const auto* to = engine::find_generation(generations, run.to);
  if (to == nullptr) return fail(ErrorCode::kDamaged, "a run's generation is missing", kWhere);
  std::vector<keystore::Generation> numbers;
  for (const auto& row : generations)
    if (row.number == row.linkage_generation && row.number != to->linkage_generation)
      numbers.push_back(row.number);
  return numbers;
}

Result<keystore::RekeyData> rekey_data(engine::Site& site, const RunRow& run) {
  keystore::RekeyData data;
  data.wrap_key_version = run.wrap_key_version;
  data.wrapped_data_key = run.wrapped_data_key;
  FUGO_ASSIGN(data.drop, left_behind(site.ledger(), run));
  FUGO_ASSIGN(const auto wrap_key,
              site.token().find_key(
                  {hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, run.wrap_key_version},
                  std::nullopt));
  FUGO_ASSIGN(data.data_key, site.token().unwrap_data_key(wrap_key, run.wrapped_data_key));
  return data;
}

Status try_rekey(engine::Site& site, keystore::Staging& staging, RunRow& run,
                 const RunOptions& options) {
  FUGO_TRY(engine::hold_issuing(site.ledger(), run, "finished", options.actor).map([](auto&&) {}));
  FUGO_ASSIGN(auto data, rekey_data(site, run));
  RunRow after = run;
  data.fill = [&](keystore::Update& update) {
    after = run;
    return engine::finish_rows(update, site.ledger(), after, options.actor);
  };
  FUGO_TRY(
      keystore::rekey(site.ledger(), staging, data, [&](std::uint64_t done, std::uint64_t total) {
        if (options.progress) (void)options.progress("new keys", done, total);
      }));
  run = after;
  return {};
}

Status finish_with_new_keys(engine::Site& site, keystore::Staging& staging, RunRow& run,
                            const RunOptions& options) {
  for (int attempt = 1;; ++attempt) {
    Status done = try_rekey(site, staging, run, options);
    if (done) return done;
    if (done.error().code == ErrorCode::kStale && attempt < kTries) continue;
    // Nothing was committed; what fails here matters less than what failed before.
    (void)engine::release_issuing(site.ledger(), run, options.actor);
    return done;
  }
}

Json key_json(const keystore::KeyRow& key) {
  return {{"label", key.label}, {"fingerprint", hex(key.fingerprint.bytes)}};
}

Json time_or_null(std::int64_t time) { return time == 0 ? Json(nullptr) : Json(format_time(time)); }

// What each agency's file was, and the sums that the run is reconciled by.
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

Result<Json> statement_of(engine::Site& site, const RunRow& run) {
  keystore::Ledger& ledger = site.ledger();
  FUGO_ASSIGN(const auto keys, ledger.key_rows());
  FUGO_ASSIGN(const auto agencies, ledger.agencies());
  FUGO_ASSIGN(const auto rows, ledger.run_agencies(run.number));
  FUGO_ASSIGN(const auto state, ledger.state());
  FUGO_ASSIGN(const auto digest, ledger.content_digest()->text(state, false));
  auto made = Json::array(), replaced = Json::array();
  for (const auto& key : keys) {
    const auto names_it = [&](const auto& name) {
      return name.purpose == key.purpose && name.algorithm == key.algorithm;
    };
    const bool is_made = std::any_of(
        run.new_keys.begin(), run.new_keys.end(),
        [&](const auto& name) { return names_it(name) && name.version == key.version; });
    const bool is_replaced = !is_made &&
                             std::any_of(run.new_keys.begin(), run.new_keys.end(), names_it) &&
                             key.state != keystore::KeyState::kActive;
    if (is_made) made.push_back(key_json(key));
    if (!is_replaced) continue;
    Json old = key_json(key);
    old["state"] = key.state == keystore::KeyState::kChain ? "chain" : "retired";
    replaced.push_back(old);
  }
  return Json{{"format", "fugo-regeneration-statement"},
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
              {"keys_made", made},
              {"keys_replaced", replaced},
              {"new_data_key", engine::needs_rekey(run)},
              {"planned",
               {{"people", run.planned_people},
                {"symbols", run.planned_symbols},
                {"agencies", run.planned_agencies}}},
              {"made", {{"people", run.people_made}, {"people_rebased", run.people_rebased}}},
              {"mapped", {{"symbols", run.symbols_mapped}, {"records", run.records_mapped}}},
              {"since_the_plan", static_cast<std::int64_t>(run.symbols_mapped) -
                                     static_cast<std::int64_t>(run.planned_symbols)},
              {"rejected", {{"symbols", run.symbols_rejected}}},
              {"mappings", agencies_json(agencies, rows)},
              {"digest_without_times", digest},
              {"journal_entries", state.journal_entries},
              {"journal_head", hex(state.journal_head)}};
}

// The statement is written after the ledger has changed; a crash between leaves a finished run
// without one, and finishing it again writes it.
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

}  // namespace

Status finish(engine::Site& site, RunRow& run, bool without_acks, const RunOptions& options) {
  FUGO_ASSIGN(auto staging, keystore::Staging::open(site.ledger()));
  FUGO_ASSIGN(run, engine::find_run(site.ledger(), run.id));
  if (run.state == RunState::kFinished && run.statement.empty())
    return write_run_statement(site, run);
  FUGO_TRY(check_may_finish(site.ledger(), run, without_acks));
  FUGO_TRY(engine::needs_rekey(run) ? finish_with_new_keys(site, *staging, run, options)
                                    : finish_small(site, run, options));
  staging.reset();
  FUGO_TRY(engine::needs_rekey(run) ? site.reopen() : site.reload());
  return write_run_statement(site, run);
}

}  // namespace fugo::daemon
