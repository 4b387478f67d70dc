#include "keystore/update.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "keystore/clock.h"
#include "keystore/key_blocks.h"
#include "keystore/ledger_impl.h"
#include "keystore/reseal.h"
#include "keystore/steps.h"

namespace fugo::keystore {
namespace {

constexpr const char* kFreezeAct = "freeze";

tl::unexpected<Error> refused(std::string what, Table table, std::string hint = {}) {
  return fail(ErrorCode::kRefused, std::move(what),
              std::string("ledger, table ") + table_name(table), std::move(hint));
}

bool is_in_use(KeyState state) {
  return state == KeyState::kActive || state == KeyState::kAccepting || state == KeyState::kChain;
}

bool is_in_use(GenerationState state) {
  return state == GenerationState::kActive || state == GenerationState::kAccepting;
}

std::string run_id(RunNumber number) { return fmt::format("R+{:04}", number); }

// still_to_do: states of a job that holds the ledger until it is answered.
bool still_to_do(JobState state) {
  return state == JobState::kRunning || state == JobState::kAnswering;
}

}  // namespace

Result<std::unique_ptr<SmallRowUpdate>> SmallRowUpdate::begin(
    std::shared_ptr<Environment> environment, std::shared_ptr<const Sealer> sealer) {
  auto copier = environment->copier();
  FUGO_ASSIGN(auto transaction, begin_writing(std::move(environment), *sealer));
  std::unique_ptr<SmallRowUpdate> made(
      new SmallRowUpdate(std::move(transaction), std::move(sealer)));
  FUGO_ASSIGN(made->state_, read_state(*made->transaction_, *made->sealer_));
  made->copier_ = std::move(copier);
  made->head_before_ = made->state_.journal_head;
  return made;
}

Result<std::unique_ptr<SmallRowUpdate>> SmallRowUpdate::begin_empty(
    std::shared_ptr<Environment> environment, std::shared_ptr<const Sealer> sealer,
    ByteView header) {
  FUGO_ASSIGN(auto transaction, WriteTransaction::begin(std::move(environment)));
  FUGO_TRY(transaction->put(RowKey(Table::kHeader).bytes(), header));
  std::unique_ptr<SmallRowUpdate> made(
      new SmallRowUpdate(std::move(transaction), std::move(sealer)));
  made->state_.table_rows.assign(kTableCount, 0);
  return made;
}

Status SmallRowUpdate::load_agencies() {
  if (agencies_loaded_) return {};
  FUGO_ASSIGN(auto rows, all_rows<Agency>(*transaction_, *sealer_, Table::kAgencies));
  for (Agency& row : rows) {
    codes_[row.code] = row.number;
    for (const AgencyVersion& version : row.versions) parameters_[version.parameter] = row.number;
    const AgencyNumber number = row.number;
    agencies_[number] = std::move(row);
  }
  agencies_loaded_ = true;
  return {};
}

Status SmallRowUpdate::put_agency(const Agency& agency) {
  FUGO_TRY(load_agencies());
  Agency row = agency;
  if (row.number != 0 && !agencies_.contains(row.number))
    return fail(ErrorCode::kInternal, "an agency number that was not given", "put_agency");
  if (const auto found = codes_.find(row.code);
      found != codes_.end() && found->second != row.number)
    return refused("agency " + row.code + " exists already", Table::kAgencies,
                   "an agency's code is its name for ever; change the existing one");
  // Two agencies with the same parameter would get the same symbols, and could match their people.
  std::set<Block> own;
  for (const AgencyVersion& version : row.versions) {
    const auto found = parameters_.find(version.parameter);
    if (!own.insert(version.parameter).second ||
        (found != parameters_.end() && found->second != row.number))
      return refused("agency " + row.code + " has an agency parameter that is in use",
                     Table::kAgencies, "draw a new one from the token");
  }
  if (row.number == 0) {
    if (state_.next_agency == std::numeric_limits<AgencyNumber>::max())
      return refused("the ledger has as many agencies as it can number", Table::kAgencies);
    row.number = state_.next_agency++;
  }
  FUGO_TRY(writer_.put(row));
  if (const auto old = agencies_.find(row.number); old != agencies_.end()) {
    codes_.erase(old->second.code);
    for (const AgencyVersion& version : old->second.versions) parameters_.erase(version.parameter);
  }
  codes_[row.code] = row.number;
  for (const AgencyVersion& version : row.versions) parameters_[version.parameter] = row.number;
  agencies_[row.number] = row;
  ++state_.registry_version;
  return {};
}

Status SmallRowUpdate::put_key(const KeyRow& key) {
  FUGO_ASSIGN(const auto stored, get_row<KeyRow>(*transaction_, *sealer_, key_of(key)));
  FUGO_TRY(check_key_step(stored, key, state_.commits == 0));
  FUGO_TRY(writer_.put(key));
  // A job's answers depend on keys in use only: others come and go while one is open.
  if (is_in_use(key.state) || (stored && is_in_use(stored->state))) ++state_.registry_version;
  return {};
}

Status SmallRowUpdate::put_generation(const GenerationRow& row) {
  FUGO_ASSIGN(const auto stored, get_row<GenerationRow>(*transaction_, *sealer_, key_of(row)));
  FUGO_TRY(check_generation_step(stored, row));
  FUGO_TRY(writer_.put(row));
  ++state_.registry_version;
  return {};
}

Result<JobNumber> SmallRowUpdate::put_job(const JobRow& job) {
  JobRow row = job;
  FUGO_ASSIGN(const RowKey id_key, sealer_->job_id_key(row.id));
  FUGO_ASSIGN(const auto known, get_row<JobIdRow>(*transaction_, *sealer_, id_key));
  if (row.number == 0) {
    if (known)
      return refused("request " + row.id + " is known already", Table::kJobs,
                     "give the request another id");
  } else if (!known || known->number != row.number) {
    return fail(ErrorCode::kInternal, "a job's number and id do not belong together", "put_job");
  }
  // Before anything is put: an update may go on, and be committed, after a refusal.
  if (still_to_do(row.state) && state_.open_job != 0 && state_.open_job != row.number)
    return refused("another job is unfinished", Table::kJobs, "let it finish first");
  KeyBlocks counted;  // so far, in the state's sum
  if (row.number == 0) {
    row.number = state_.next_job++;
    FUGO_TRY(writer_.put(id_key, JobIdRow{row.number}));
  } else {
    FUGO_ASSIGN(auto stored, get_row<JobRow>(*transaction_, *sealer_, key_of(row)));
    if (stored) counted = std::move(stored->blocks);
  }
  add_growth(counted, row.blocks, state_.blocks);
  if (still_to_do(row.state)) {
    state_.open_job = row.number;
  } else if (state_.open_job == row.number) {
    state_.open_job = state_.may_end = 0;
  }
  FUGO_TRY(writer_.put(row));
  return row.number;
}

Result<JobNumber> SmallRowUpdate::put_progress(const JobRow& job) {
  const RowKey key = RowKey(Table::kJobs).with(job.number);
  FUGO_ASSIGN(const auto stored, get_row<JobRow>(*transaction_, *sealer_, key));
  if (!stored) return fail(ErrorCode::kInternal, "a job that is not there", "put_progress");
  if (stored->state == JobState::kCancelled)
    return refused("request " + job.id + " was cancelled", Table::kJobs,
                   "give the request another id");
  // Between the order and the step that gives the job up nothing more is committed for it: who
  // gave the order saw how far it was.
  if (stored->cancelled && job.state != JobState::kCancelled)
    return refused("request " + job.id + " is being cancelled", Table::kJobs,
                   "give the request another id");
  JobRow row = job;
  row.paused = stored->paused;
  row.cancelled = stored->cancelled;
  row.approved_by = stored->approved_by;
  return put_job(row);
}

Result<RunRow> SmallRowUpdate::put_run(const RunRow& run) {
  RunRow row = run;
  const bool over = row.state == RunState::kFinished || row.state == RunState::kAborted;
  if (!over && state_.open_run != 0 && state_.open_run != row.number)
    return refused(fmt::format("the regeneration {} is unfinished", run_id(state_.open_run)),
                   Table::kRuns, "finish or abort it first; see fugo regenerate status");
  FUGO_ASSIGN(const auto stored, get_row<RunRow>(*transaction_, *sealer_, key_of(row)));
  FUGO_TRY(check_run_step(stored, row));
  if (row.number == 0) {
    row.number = state_.next_run++;
    row.id = run_id(row.number);
  } else {
    FUGO_TRY(keep_tally(row));
  }
  if (!over)
    state_.open_run = row.number;
  else if (state_.open_run == row.number)
    state_.open_run = 0;
  FUGO_TRY(writer_.put(row));
  return row;
}

Result<std::vector<FileRow>> SmallRowUpdate::erase_files(Generation generation) {
  FUGO_ASSIGN(const auto generations,
              all_rows<GenerationRow>(*transaction_, *sealer_, Table::kGenerations));
  for (const GenerationRow& row : generations)
    if (row.linkage_generation == generation && is_in_use(row.state))
      return refused("the linkage symbols of a symbol version in use cannot be dropped",
                     Table::kManifest);
  FUGO_ASSIGN(auto rows, all_rows<FileRow>(*transaction_, *sealer_, Table::kManifest));
  std::erase_if(rows, [&](const FileRow& row) {
    return row.kind == FileKind::kIssued || row.generation != generation;
  });
  for (const FileRow& row : rows) FUGO_TRY(writer_.erase(key_of(row)));
  return rows;
}

Status SmallRowUpdate::add_stats(std::span<const StatRow> rows) {
  const std::size_t agencies = state_.table_rows[static_cast<std::size_t>(Table::kAgencies)];
  std::map<std::string, std::vector<StatRow>> days;
  for (const StatRow& row : rows) days[row.day].push_back(row);
  for (const auto& [day, added] : days) {
    FUGO_ASSIGN(const RowKey key, sealer_->day_key(day));
    FUGO_ASSIGN(const auto stored, get_row<StatDay>(*transaction_, *sealer_, key));
    std::map<std::pair<AgencyNumber, Generation>, StatRow> sums;
    if (stored)
      for (const StatRow& row : stored->rows) sums[{row.agency, row.generation}] = row;
    for (const StatRow& row : added) {
      StatRow& sum = sums.try_emplace({row.agency, row.generation},
                                      StatRow{day, row.agency, row.generation, 0, 0, 0})
                         .first->second;
      sum.count_new += row.count_new;
      sum.count_existing += row.count_existing;
      sum.count_rejected += row.count_rejected;
    }
    StatDay total{day, {}, agencies};
    for (auto& [key_unused, row] : sums) total.rows.push_back(std::move(row));
    FUGO_TRY(writer_.put(key, total));
  }
  return {};
}

namespace {

// journal_time is now, unless the clock says what was before the journal's last entry: by a little
// it is that entry's time, by more an error, since every time written by such a clock is in doubt.
Result<std::int64_t> journal_time(std::int64_t last) {
  const std::int64_t now = unix_now();
  if (now + kClockSlack >= last) return std::max(now, last);
  return fail(ErrorCode::kRefused,
              fmt::format("the clock ran backwards: it says {}, and the journal's last entry is of "
                          "{}",
                          format_time(now), format_time(last)),
              "system clock",
              "set the clock; if it is right and was wrong before: fugo journal accept-clock");
}

}  // namespace

Status check_clock(std::int64_t last) {
  return journal_time(last).map([](auto&&) {});
}

JournalEntry journal_entry(const Actor& actor, std::string act, std::string details) {
  JournalEntry entry;
  entry.operator_name = actor.operator_name;
  entry.order = actor.order;
  entry.role = actor.role;
  entry.account = actor.account;
  entry.act = std::move(act);
  entry.details = std::move(details);
  return entry;
}

Status SmallRowUpdate::append_journal(const Actor& actor, const std::string& act,
                                      const std::string& details_json) {
  return append_entry(journal_entry(actor, act, details_json));
}

Status SmallRowUpdate::append_entry(JournalEntry entry) {
  // To stop the work must always be possible, also where nothing else is.
  if (entry.act == kFreezeAct) {
    entry.time = std::max(unix_now(), state_.journal_time);
  } else {
    FUGO_ASSIGN(entry.time, journal_time(state_.journal_time));
  }
  entry.sequence = state_.journal_entries;
  entry.previous = state_.journal_head;
  FUGO_ASSIGN(entry.hash, journal_hash(entry));
  FUGO_TRY(writer_.put(entry));
  ++state_.journal_entries;
  state_.journal_head = entry.hash;
  state_.journal_time = entry.time;
  if (copier_) added_.push_back(std::move(entry));
  return {};
}

Status SmallRowUpdate::add_starters(Generation generation, std::int64_t people) {
  const RowKey key = RowKey(Table::kGenerations).with(generation);
  FUGO_ASSIGN(auto row, get_row<GenerationRow>(*transaction_, *sealer_, key));
  if (!row)
    return fail(ErrorCode::kInternal, "people of a generation that there is not",
                "ledger, table generations");
  row->starters += static_cast<std::uint64_t>(people);
  return writer_.put(*row);
}

Status SmallRowUpdate::erase_file(const FileRow& row) {
  FUGO_ASSIGN(const auto stored, get_row<FileRow>(*transaction_, *sealer_, key_of(row)));
  if (!stored || *stored != row)
    return fail(ErrorCode::kStale, "a file is not in the manifest any more",
                "ledger, table manifest", "it is prepared anew");
  return writer_.erase(key_of(row));
}

Status SmallRowUpdate::check_manifest(const std::vector<FileRow>& rows) const {
  FUGO_ASSIGN(const auto stored, all_rows<FileRow>(*transaction_, *sealer_, Table::kManifest));
  if (stored == rows) return {};
  return fail(ErrorCode::kStale, "files were committed by another process meanwhile",
              "ledger, table manifest", "it is prepared anew");
}

Status SmallRowUpdate::reseal(std::shared_ptr<const Sealer> sealer, ByteView header,
                              std::span<const FileRow> files) {
  FUGO_TRY(transaction_->make_room_for_all());
  FUGO_TRY(reseal_rows(*transaction_, *sealer_, *sealer, files, state_));
  FUGO_TRY(transaction_->put(RowKey(Table::kHeader).bytes(), header));
  sealer_ = std::move(sealer);
  writer_.use(*sealer_);
  return {};
}

Status SmallRowUpdate::put_patch(const PersonPatch& row) {
  FUGO_ASSIGN(const RowKey prefix, sealer_->patch_prefix(row.id));
  bool stored = false;  // in whichever generation
  FUGO_TRY(
      transaction_->scan(prefix.bytes(), prefix.bytes(), [&](ByteView, ByteView) -> Result<bool> {
        stored = true;
        return false;
      }));
  if (stored)
    return fail(ErrorCode::kInternal, "a person is superseded twice", "ledger, table patches");
  ++state_.patch_changes;
  return writer_.put(prefix.with(row.generation), row);
}

Status SmallRowUpdate::erase_patches(PersonId id) {
  FUGO_ASSIGN(const RowKey prefix, sealer_->patch_prefix(id));
  std::vector<Generation> found;  // erased after the scan, which must not see its table change
  FUGO_TRY(transaction_->scan(prefix.bytes(), prefix.bytes(),
                              [&](ByteView key, ByteView) -> Result<bool> {
                                found.push_back(load_be<Generation>(&key[prefix.bytes().size()]));
                                return true;
                              }));
  for (const Generation generation : found) {
    FUGO_TRY(writer_.erase(prefix.with(generation)));
    ++state_.patch_changes;
  }
  return {};
}

Result<std::unique_ptr<JournalCopier::Ready>> SmallRowUpdate::prepare_copies() const {
  if (!copier_ || added_.empty()) return std::unique_ptr<JournalCopier::Ready>();
  const auto read = [&](std::uint64_t sequence) -> Result<JournalEntry> {
    FUGO_ASSIGN(auto entry, get_row<JournalEntry>(*transaction_, *sealer_,
                                                  RowKey(Table::kJournal).with(sequence)));
    if (entry) return std::move(*entry);
    return fail(ErrorCode::kDamaged, fmt::format("entry {} is missing", sequence),
                "ledger, table journal");
  };
  return copier_->prepare({state_.journal_entries - added_.size(), head_before_, read, added_});
}

Status SmallRowUpdate::commit() {
  if (committed_) return {};
  FUGO_ASSIGN(const auto copies, prepare_copies());
  ++state_.commits;
  FUGO_TRY(writer_.write_state());
  FUGO_TRY(transaction_->commit());
  committed_ = true;
  if (copies) copies->write();
  return {};
}

Status keep_copies(Ledger& ledger, std::shared_ptr<JournalCopier> copier) {
  auto* implementation = dynamic_cast<LedgerImpl*>(&ledger);
  if (implementation == nullptr)
    return fail(ErrorCode::kInternal, "another kind of ledger", "keep_copies");
  implementation->parts().environment->set_copier(std::move(copier));
  return {};
}

}  // namespace fugo::keystore
