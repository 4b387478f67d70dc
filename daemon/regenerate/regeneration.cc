#include "daemon/regenerate/regeneration.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "daemon/jobs/block_meter.h"
#include "daemon/jobs/job_control.h"
#include "daemon/regenerate/delivery.h"
#include "daemon/regenerate/job_watch.h"
#include "daemon/regenerate/mapping_folder.h"
#include "engine/regenerate/chainer.h"
#include "engine/regenerate/mapper.h"
#include "engine/regenerate/run_steps.h"
#include "keystore/staging.h"
#include "keystore/writer_lock.h"

namespace fugo::daemon {
namespace {

using keystore::RunRow;
using keystore::RunState;

constexpr const char* kWhere = "regeneration";
constexpr int kTries = 8;

Status tell(const RunOptions& options, const char* stage, std::uint64_t done, std::uint64_t total) {
  return options.progress ? options.progress(stage, done, total) : Status{};
}

Status check_open(const keystore::LedgerState& state, const RunRow& run) {
  if (state.open_run == run.number) return {};
  return fail(ErrorCode::kRefused, run.id + " was ended by another process", kWhere);
}

// Maker brings a run's people and files up to date.
class Maker {
 public:
  Maker(engine::Site& site, keystore::Staging& staging, RunRow& run, const RunOptions& options)
      : site_(site), staging_(staging), run_(run), options_(options) {}

  Status make() {
    FUGO_TRY(find_generations());
    if (to_.linkage_generation == to_.number) FUGO_TRY(make_people());
    return make_mappings();
  }

  // make_lost_files makes again what the ledger has made and nobody has acknowledged, but is not
  // there. After the commit: what came since has no old symbol, and who was deleted has none now.
  Status make_lost_files() {
    FUGO_TRY(find_generations());
    FUGO_ASSIGN(const auto folder, MappingFolder::open(site_, run_, options_.records));
    FUGO_ASSIGN(const auto rows, site_.ledger().run_agencies(run_.number));
    folder->keep_counts(rows);
    FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
    engine::Mapper mapper(site_, snapshot, from_, to_, options_.most_pairs);
    mapper.up_to(run_.last_segment, to_.linkage_generation == to_.number
                                        ? static_cast<keystore::PersonId>(run_.people_done)
                                        : snapshot->people());
    std::vector<engine::MappingWish> wishes;
    for (const auto& row : rows) {
      if (row.symbols == 0 || row.acknowledged != 0 || folder->holds(row)) continue;
      FUGO_ASSIGN(const auto pairs, mapper.count_pairs(row.agency));
      if (pairs != 0) wishes.push_back({row.agency, pairs});
    }
    std::uint64_t done = 0;
    FUGO_TRY(mapper.map(
        wishes, [&](const engine::MappingPart& part) { return folder->take(part, 0); },
        [&](std::uint64_t pairs) { return tell(options_, "symbols", done += pairs, 0); }));
    FUGO_TRY(folder->settle());
    return folder->publish(run_);
  }

 private:
  Status find_generations() {
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    if (state.registry_version != site_.registry_version()) FUGO_TRY(site_.reload());
    FUGO_ASSIGN(const auto generations, site_.ledger().generations());
    const auto* from = engine::find_generation(generations, run_.from);
    const auto* to = engine::find_generation(generations, run_.to);
    if (from == nullptr || to == nullptr)
      return fail(ErrorCode::kDamaged, "a run's generation is missing", kWhere);
    from_ = *from;
    to_ = *to;
    return {};
  }

  Status make_people() {
    FUGO_ASSIGN(const auto chainer, engine::Chainer::create(site_, staging_, to_));
    // Once: who comes while the delivery is read is chained, or a busy site would never end it.
    if (!options_.codes.empty() && !std::exchange(rebased_, true)) FUGO_TRY(rebase(*chainer));
    FUGO_TRY(chainer->run(run_, [this](std::uint64_t done, std::uint64_t total) {
      return tell(options_, "people", done, total);
    }));
    return staging_.merge(to_.linkage_generation, {});
  }

  // Everybody who is there now, in ranges of people: the delivery is read once for each.
  Status rebase(engine::Chainer& chainer) {
    constexpr std::size_t kPeopleAtOnce = std::size_t{1} << 25U;
    FUGO_ASSIGN(const auto state, site_.ledger().state());
    if (run_.people_done >= state.next_person) return {};
    FUGO_ASSIGN(const auto delivery, Delivery::open(site_, options_.codes, options_.check_digits,
                                                    options_.exchange, run_.output_directory));
    run_.codes_rejected = delivery->rejected();
    FUGO_TRY(note_delivery(*delivery));
    while (run_.people_done < state.next_person) {
      const auto count = std::min<std::size_t>(kPeopleAtOnce, state.next_person - run_.people_done);
      FUGO_ASSIGN(const auto rebaser, engine::Rebaser::create(site_, to_, run_.people_done, count,
                                                              Delivery::kRowsAtOnce));
      FUGO_TRY(delivery->for_each_code(
          [&](std::span<const std::uint64_t> codes) { return rebaser->take(codes); }));
      run_.codes_unknown = rebaser->unknown_codes();
      FUGO_TRY(chainer.rebase(run_, *rebaser, [this](std::uint64_t done, std::uint64_t total) {
        return tell(options_, "people", done, total);
      }));
    }
    return {};
  }

  // Whose codes the people from here on are made of: before the first of them, for a run that dies
  // goes on without reading what it has done, or with other files.
  Status note_delivery(const Delivery& delivery) {
    FUGO_ASSIGN(const auto update, site_.ledger().begin());
    FUGO_TRY(check_open(update->state(), run_));
    FUGO_TRY(journal_delivery(site_.ledger(), *update, delivery, run_, options_.actor,
                              options_.rows_per_day));
    return update->commit();
  }

  // A snapshot whose people all are in the new generation.
  Result<std::shared_ptr<const keystore::Snapshot>> covered_snapshot() {
    for (;;) {
      FUGO_ASSIGN(const auto state, site_.ledger().state());
      deleted_people_ = state.deleted_people;  // before the snapshot: at most too few
      FUGO_ASSIGN(auto snapshot, site_.ledger().snapshot());
      if (to_.linkage_generation != to_.number || snapshot->people() == run_.people_done)
        return snapshot;
      FUGO_TRY(make_people());
    }
  }

  Status make_mappings() {
    FUGO_ASSIGN(const auto folder, MappingFolder::open(site_, run_, options_.records));
    FUGO_ASSIGN(const auto snapshot, covered_snapshot());
    engine::Mapper mapper(site_, snapshot, from_, to_, options_.most_pairs);
    FUGO_ASSIGN(const auto wishes, missing(mapper, *folder));
    std::uint64_t total = 0, done = 0;
    for (const auto& wish : wishes) total += wish.pairs;
    FUGO_TRY(mapper.map(
        wishes,
        [&](const engine::MappingPart& part) { return folder->take(part, deleted_people_); },
        [&](std::uint64_t pairs) { return tell(options_, "symbols", done += pairs, total); }));
    FUGO_TRY(folder->settle());
    FUGO_TRY(count_mapped());
    return folder->publish(run_);
  }

  // The agencies whose files are not there, or not of what the ledger holds now.
  Result<std::vector<engine::MappingWish>> missing(const engine::Mapper& mapper,
                                                   MappingFolder& folder) {
    FUGO_ASSIGN(const auto rows, site_.ledger().run_agencies(run_.number));
    std::vector<keystore::AgencyNumber> numbers{0};
    for (const auto& agency : site_.agencies())
      if (agency.state != keystore::AgencyState::kClosed) numbers.push_back(agency.number);
    std::vector<engine::MappingWish> wishes;
    for (const auto number : numbers) {
      if (!engine::is_mapped(run_, number)) continue;
      FUGO_ASSIGN(const auto pairs, mapper.count_pairs(number));
      const auto row =
          std::find_if(rows.begin(), rows.end(), [&](const auto& r) { return r.agency == number; });
      if (pairs == 0 && (row == rows.end() || row->symbols == 0)) continue;
      if (pairs == 0) {
        FUGO_TRY(folder.forget(*row, deleted_people_));
        continue;
      }
      if (row != rows.end() && row->symbols == pairs && row->deleted_people == deleted_people_ &&
          folder.holds(*row))
        continue;
      wishes.push_back({number, pairs});
    }
    return wishes;
  }

  Status count_mapped() {
    FUGO_ASSIGN(const auto rows, site_.ledger().run_agencies(run_.number));
    run_.symbols_mapped = run_.records_mapped = 0;
    for (const auto& row : rows)
      (row.agency == 0 ? run_.records_mapped : run_.symbols_mapped) += row.symbols;
    return {};
  }

  engine::Site& site_;
  keystore::Staging& staging_;
  RunRow& run_;
  const RunOptions& options_;
  keystore::GenerationRow from_, to_;
  keystore::PersonId deleted_people_ = 0;
  bool rebased_ = false;
};

// Notes that the run has come to a state, with what it has made and what the keys evaluated for it.
Status put_state(engine::Site& site, RunRow& run, RunState state, const char* act,
                 const RunOptions& options, const keystore::KeyBlocks& blocks = {}) {
  FUGO_ASSIGN(auto update, site.ledger().begin());
  FUGO_TRY(check_open(update->state(), run));
  run.state = state;
  FUGO_TRY(update->put_run(run).map([](auto&&) {}));
  nlohmann::ordered_json details = {{"run", run.id},
                                    {"people", run.people_made},
                                    {"symbols", run.symbols_mapped},
                                    {"records", run.records_mapped}};
  if (!blocks.empty()) details["blocks"] = blocks_document(blocks);
  keystore::add_growth({}, blocks, update->state().blocks);
  FUGO_TRY(update->append_journal(options.actor, act, details.dump()));
  return update->commit();
}

// A rebase must not chain those who are in a delivery that was forgotten; what comes after the
// first time is chained.
Status check_codes(const RunRow& run, const RunOptions& options) {
  const bool rebases = (run.what & keystore::kRunRebase) != 0;
  if (!rebases && !options.codes.empty())
    return fail(ErrorCode::kUsage, run.id + " is no rebase: it needs no resident codes", "--codes");
  if (rebases && options.codes.empty() && run.state != RunState::kReady &&
      run.state != RunState::kCommitted)
    return fail(ErrorCode::kUsage, run.id + " needs the files with all resident codes", "--codes",
                "give each of them, also when going on after a crash");
  return {};
}

Status check_may_run(const RunRow& run, const std::filesystem::path& output) {
  if (run.state == RunState::kPlanning)
    return fail(ErrorCode::kRefused, "the plan of " + run.id + " was broken off", kWhere,
                "plan again: what it left is taken away then");
  if (run.state == RunState::kCommitted && run.reject_old)
    return fail(
        ErrorCode::kRefused,
        run.id + " was committed with its old symbols rejected: no mapping is made any more",
        kWhere, "a file that was lost is in a copy of its folder, or nowhere");
  if (run.state != RunState::kPlanned && run.state != RunState::kRunning &&
      run.state != RunState::kReady && run.state != RunState::kCommitted)
    return fail(ErrorCode::kRefused, run.id + " is over: there is nothing left to make", kWhere,
                "fugo regenerate status " + run.id);
  if (!output.empty() && !run.output_directory.empty() && output != run.output_directory)
    return fail(ErrorCode::kRefused, run.id + " was begun with another directory", "--out",
                "give " + run.output_directory);
  if (output.empty() && run.output_directory.empty())
    return fail(ErrorCode::kUsage, "says where the mapping files go", "--out");
  return {};
}

// True when the run was committed before, in the same way.
Result<bool> check_may_commit(const RunRow& run, bool reject_old) {
  if (run.state == RunState::kReady) return false;
  if (run.state != RunState::kCommitted)
    return fail(ErrorCode::kRefused, run.id + " is not ready to be committed", kWhere,
                "fugo regenerate status " + run.id + " says what it is; a run is made first");
  if (reject_old && !run.reject_old)
    return fail(ErrorCode::kRefused,
                run.id + " was committed before, with its old symbols accepted", "--reject-old",
                "fugo regenerate finish ends that");
  return true;
}

Status try_commit(engine::Site& site, keystore::Staging& staging, RunRow& run,
                  const RunOptions& options) {
  FUGO_ASSIGN(const auto held, engine::hold_issuing(site.ledger(), run, "committed", options.actor,
                                                    watch_for(site, options)));
  FUGO_TRY(Maker(site, staging, run, options).make());
  return engine::commit_run(
      site, run, held, options.actor,
      [&](std::uint64_t at, std::uint64_t total) { return tell(options, "check", at, total); });
}

// An aborted run has no folder: what appears there later is another ledger's.
Status forget_directory(keystore::Ledger& ledger, RunRow& run) {
  if (run.output_directory.empty()) return {};
  FUGO_ASSIGN(const auto update, ledger.begin());
  RunRow row = run;
  row.output_directory.clear();
  FUGO_TRY(update->put_run(row).map([](auto&&) {}));
  FUGO_TRY(update->commit());
  run = row;
  return {};
}

// A job that an operator cancelled and nobody works on holds the run up for ever: issuing is
// frozen, so that no other job comes to give it up.
Status give_up(engine::Site& site, keystore::JobRow job, const RunOptions& options) {
  const auto lock = keystore::take_writer_lock(options.ledger);
  if (!lock) return {};  // somebody has come who works on it
  JobOptions job_options;
  job_options.records_directory = options.records;
  return cancel_job(site, job_options, job, options.actor);
}

}  // namespace

engine::WatchJob watch_for(engine::Site& site, const RunOptions& options) {
  auto watch = std::make_shared<JobWatch>(JobWatch::Options{
      options.ledger, options.wake,
      [options](const keystore::JobRow& job) {
        return tell(options, "job", job.rows_done, job.rows);
      },
      [&site, options](const keystore::JobRow& job) { return give_up(site, job, options); }});
  return [watch](const keystore::JobRow& job) { return watch->look(job); };
}

Status carry_out(engine::Site& site, RunRow& run, const std::filesystem::path& output,
                 const RunOptions& options) {
  FUGO_ASSIGN(const auto staging, keystore::Staging::open(site.ledger()));
  FUGO_ASSIGN(run, engine::find_run(site.ledger(), run.id));  // as it is under the lock
  FUGO_TRY(check_may_run(run, output));
  FUGO_TRY(check_codes(run, options));
  if (run.state == RunState::kCommitted) {
    FUGO_TRY(make_directory(run.output_directory));
    return Maker(site, *staging, run, options).make_lost_files();
  }
  if (run.output_directory.empty()) run.output_directory = output.string();
  if (run.state == RunState::kPlanned) FUGO_TRY(refuse_mappings_there(run, options.records));
  if (run.state != RunState::kReady)
    FUGO_TRY(put_state(site, run, RunState::kRunning, "regenerate.run", options));
  FUGO_TRY(make_directory(run.output_directory));
  const BlockMeter meter(site.token());
  FUGO_TRY(Maker(site, *staging, run, options).make());
  return put_state(site, run, RunState::kReady, "regenerate.ready", options, meter.blocks());
}

Status commit(engine::Site& site, RunRow& run, bool reject_old, const RunOptions& options) {
  FUGO_ASSIGN(const auto staging, keystore::Staging::open(site.ledger()));
  FUGO_ASSIGN(run, engine::find_run(site.ledger(), run.id));
  FUGO_ASSIGN(const bool committed, check_may_commit(run, reject_old));
  if (committed) return {};  // whoever did it was not there any more to say so
  run.reject_old = reject_old;
  for (int attempt = 1;; ++attempt) {
    Status done = try_commit(site, *staging, run, options);
    if (done) return done;
    if (done.error().code == ErrorCode::kStale && attempt < kTries) continue;
    // Nothing was committed; what fails here matters less than what failed before.
    (void)engine::release_issuing(site.ledger(), run, options.actor);
    return done;
  }
}

Status abort(engine::Site& site, RunRow& run, const RunOptions& options) {
  FUGO_ASSIGN(const auto staging, keystore::Staging::open(site.ledger()));
  FUGO_ASSIGN(run, engine::find_run(site.ledger(), run.id));
  // A run that was aborted before may have files left: whoever aborted it died.
  FUGO_TRY(run.state == RunState::kAborted
               ? staging->remove_leftovers(options.patience)
               : engine::abort_run(site.ledger(), *staging, run, options.actor));
  FUGO_TRY(remove_mappings(run, options.records));
  return forget_directory(site.ledger(), run);
}

}  // namespace fugo::daemon
