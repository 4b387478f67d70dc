// The end of a regeneration: old symbols go, and the data key is a new one.
#include <algorithm>
#include <string>
#include <utility>

#include "daemon/regenerate/regeneration.h"
#include "daemon/regenerate/run_statement.h"
#include "engine/regenerate/run_steps.h"
#include "keystore/rekey.h"
#include "keystore/staging.h"

namespace fugo::daemon {
namespace {

using keystore::RunRow;
using keystore::RunState;

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

// The old generation ends between two jobs, as it began to: never within one.
Status try_small(engine::Site& site, RunRow& run, const RunOptions& options) {
  FUGO_TRY(
      engine::hold_issuing(site.ledger(), run, "finished", options.actor, watch_for(site, options))
          .map([](auto&&) {}));
  FUGO_ASSIGN(const auto old, engine::count_old_symbols(site, run));
  FUGO_ASSIGN(auto update, site.ledger().begin());
  if (update->state().open_job != 0)
    return fail(ErrorCode::kStale, "a job was begun meanwhile", kWhere, "it is tried again");
  RunRow after = run;
  FUGO_TRY(engine::finish_rows(*update, site.ledger(), old, after, options.actor));
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
  FUGO_TRY(
      engine::hold_issuing(site.ledger(), run, "finished", options.actor, watch_for(site, options))
          .map([](auto&&) {}));
  FUGO_ASSIGN(const auto old, engine::count_old_symbols(site, run));
  FUGO_ASSIGN(auto data, rekey_data(site, run));
  RunRow after = run;
  data.fill = [&](keystore::Update& update) -> Status {
    after = run;
    return engine::finish_rows(update, site.ledger(), old, after, options.actor);
  };
  FUGO_TRY(
      keystore::rekey(site.ledger(), staging, data, [&](std::uint64_t done, std::uint64_t total) {
        if (options.progress) (void)options.progress("new keys", done, total);
      }));
  run = after;
  return {};
}

Status finish_run(engine::Site& site, keystore::Staging& staging, RunRow& run,
                  const RunOptions& options) {
  for (int attempt = 1;; ++attempt) {
    Status done = engine::needs_rekey(run) ? try_rekey(site, staging, run, options)
                                           : try_small(site, run, options);
    if (done) return done;
    if (done.error().code == ErrorCode::kStale && attempt < kTries) continue;
    // Nothing was committed; what fails here matters less than what failed before.
    (void)engine::release_issuing(site.ledger(), run, options.actor);
    return done;
  }
}

}  // namespace

Status finish(engine::Site& site, RunRow& run, bool without_acks, const RunOptions& options) {
  FUGO_ASSIGN(auto staging, keystore::Staging::open(site.ledger()));
  FUGO_ASSIGN(run, engine::find_run(site.ledger(), run.id));
  if (run.state != RunState::kFinished) {
    FUGO_TRY(check_may_finish(site.ledger(), run, without_acks));
    FUGO_TRY(finish_run(site, *staging, run, options));
    staging.reset();
    FUGO_TRY(engine::needs_rekey(run) ? site.reopen() : site.reload());
    FUGO_ASSIGN(staging, keystore::Staging::open(site.ledger()));
  }
  std::error_code ignored;
  if (!run.statement.empty() && std::filesystem::exists(run.statement, ignored)) return {};
  // What the statement says is gone must be gone, whatever died on the way here.
  if (engine::needs_rekey(run)) FUGO_TRY(staging->remove_leftovers(options.patience));
  return write_run_statement(site, run);
}

}  // namespace fugo::daemon
