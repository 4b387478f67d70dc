// The rules of regenerations, and of the files that they and the writer make.
#include <algorithm>
#include <set>

#include "keystore/verify_rules.h"

namespace fugo::keystore {
namespace {

std::string numbered(const char* what, std::uint64_t number) {
  return std::string(what) + " " + std::to_string(number);
}

bool over(RunState state) { return state == RunState::kFinished || state == RunState::kAborted; }

const GenerationRow* find_generation(const AllRows& rows, Generation number) {
  const auto found = std::find_if(rows.generations.begin(), rows.generations.end(),
                                  [&](const GenerationRow& row) { return row.number == number; });
  return found == rows.generations.end() ? nullptr : &*found;
}

// Entries of a linkage generation's files.
struct Entries {
  std::uint64_t people = 0, index = 0;
};

void check_linkage(const AllRows& rows, const LedgerState& state, const GenerationRow& row,
                   TableFindings& findings) {
  const auto where = place(Table::kGenerations);
  const GenerationRow* linkage = find_generation(rows, row.linkage_generation);
  if (row.linkage_generation > row.number || linkage == nullptr ||
      linkage->linkage_generation != linkage->number)
    findings.add(numbered("its linkage symbols are those of no generation: generation", row.number),
                 where);
  if (row.chained_from != 0 && find_generation(rows, row.chained_from) == nullptr)
    findings.add(numbered("chained from one that there is not: generation", row.number), where);
  if (row.state == GenerationState::kPending && state.open_run == 0)
    findings.add(numbered("pending, and no regeneration is open: generation", row.number), where);
}

// check_entries: a generation that is being written, or that is not written to any more, ends
// before the last person, and how many were deleted below its end only their records tell.
void check_entries(const GenerationRow& row, const Entries& entries, const LedgerState& state,
                   bool active, TableFindings& findings) {
  const auto where = place(Table::kManifest);
  const bool fits = active ? entries.people == entries.index + state.deleted_people
                           : entries.people >= entries.index &&
                                 entries.people <= entries.index + state.deleted_people;
  if (!fits && entries.people != 0)
    findings.add(numbered("has more or fewer index entries than people: generation", row.number),
                 where);
  if (entries.people == 0 && entries.index != 0)
    findings.add(numbered("has index entries and no people: generation", row.number), where);
  if (active ? entries.people != state.next_person : entries.people > state.next_person)
    findings.add(numbered("does not hold all people: generation", row.number), where);
}

// Numbers that were given, and people without a gap.
std::map<Generation, Entries> add_up(const AllRows& rows, const LedgerState& state,
                                     TableFindings& findings) {
  const auto where = place(Table::kManifest);
  std::map<Generation, Entries> entries;
  std::vector<const FileRow*> person_files;
  for (const FileRow& row : rows.files) {
    if (row.number >= (row.number < kFirstStagedFile ? state.next_file : state.next_staged_file))
      findings.add(numbered("its number was never given: file", row.number), where);
    if (row.kind == FileKind::kPerson) person_files.push_back(&row);
    if (row.kind == FileKind::kIndex) entries[row.generation].index += row.entries;
  }
  std::sort(person_files.begin(), person_files.end(), [](const FileRow* a, const FileRow* b) {
    return std::pair(a->generation, a->first_id) < std::pair(b->generation, b->first_id);
  });
  for (const FileRow* row : person_files) {
    std::uint64_t& people = entries[row->generation].people;
    if (row->first_id != people)
      findings.add(numbered("does not follow on: person file", row->number), where);
    people = row->first_id + row->entries;
  }
  return entries;
}

// Mapped counts the rows of a run's files, as their own rows have them.
struct Mapped {
  std::uint64_t symbols = 0, records = 0;
};

std::map<RunNumber, Mapped> count_mapped(const AllRows& rows) {
  std::map<RunNumber, Mapped> mapped;
  for (const RunAgencyRow& row : rows.run_agencies)
    (row.agency == 0 ? mapped[row.run].records : mapped[row.run].symbols) += row.symbols;
  return mapped;
}

// What was planned, with all that came and went since, is what was made and mapped, file by file;
// and all of that became unknown, but for what was deleted before.
bool adds_up(const RunRow& run, const Mapped& mapped) {
  if (run.state != RunState::kCommitted && run.state != RunState::kFinished) return true;
  const RunTally& tally = run.tally;
  const auto is_made = [](std::uint64_t planned, std::uint64_t added, std::uint64_t deleted,
                          std::uint64_t made) { return planned + added == made + deleted; };
  if (mapped.symbols != run.symbols_mapped || mapped.records != run.records_mapped) return false;
  if (!is_made(run.planned_symbols, tally.symbols_added, tally.symbols_deleted, run.symbols_mapped))
    return false;
  if (run.records_mapped != 0 &&
      !is_made(run.planned_records, tally.people_added, tally.people_deleted, run.records_mapped))
    return false;
  if ((run.what & (kRunLinkage | kRunRebase)) != 0 &&
      !is_made(run.planned_people, tally.people_added, tally.people_deleted, run.people_made))
    return false;
  return run.state != RunState::kFinished ||
         run.symbols_mapped == run.symbols_rejected + tally.old_symbols_deleted;
}

}  // namespace

void check_runs(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  const auto where = place(Table::kRuns);
  std::set<AgencyNumber> agencies{0};
  for (const Agency& agency : rows.agencies) agencies.insert(agency.number);
  std::set<RunNumber> numbers;
  auto mapped = count_mapped(rows);
  const RunRow* open = nullptr;
  for (const RunRow& run : rows.runs) {
    const auto wrong = [&](const char* what) { findings.add(numbered(what, run.number), where); };
    numbers.insert(run.number);
    if (run.number == 0 || run.number >= state.next_run) wrong("its number was never given: run");
    if (!over(run.state) && run.number != state.open_run)
      wrong("it is unfinished, and the state does not say so: run");
    if (run.number == state.open_run && !over(run.state)) open = &run;
    // A plan registers it last; one that died before, or is under way, has not come so far.
    const bool planned = run.state != RunState::kPlanning && run.state != RunState::kAborted;
    if (planned && run.to != 0 && find_generation(rows, run.to) == nullptr)
      wrong("its new generation is not registered: run");
    if (find_generation(rows, run.from) == nullptr)
      wrong("its old generation is not registered: run");
    if (!agencies.contains(run.agency)) wrong("of an agency that there is not: run");
    if (!adds_up(run, mapped[run.number])) wrong("its counts do not add up: run");
  }
  if (state.open_run != 0 && open == nullptr)
    findings.add("the unfinished regeneration is missing", where);
  for (const RunAgencyRow& row : rows.run_agencies)
    if (!numbers.contains(row.run) || !agencies.contains(row.agency))
      findings.add(numbered("of no regeneration or agency: part of run", row.run),
                   place(Table::kRunAgencies));
  if (state.staged_generation == 0) return;
  const GenerationRow* staged = find_generation(rows, state.staged_generation);
  if (open == nullptr || open->to != state.staged_generation || staged == nullptr ||
      staged->linkage_generation != staged->number || staged->state != GenerationState::kPending)
    findings.add("the generation that is being written is not that of the open run",
                 "ledger, table state");
}

void check_manifest(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  const auto where = place(Table::kManifest);
  auto entries = add_up(rows, state, findings);
  std::set<Generation> in_use;  // linkage generations of those that are not retired
  Generation active = 0;
  for (const GenerationRow& row : rows.generations) {
    check_linkage(rows, state, row, findings);
    if (row.state != GenerationState::kRetired) in_use.insert(row.linkage_generation);
    if (row.state == GenerationState::kActive) active = row.linkage_generation;
  }
  for (const GenerationRow& row : rows.generations)
    check_entries(row, entries[row.number], state, row.number == active, findings);
  // A generation whose symbols are rejected at once keeps its files until its run is finished.
  for (const auto& [generation, held] : entries) {
    if (held.people + held.index == 0 || in_use.contains(generation)) continue;
    if (state.open_run == 0 || find_generation(rows, generation) == nullptr)
      findings.add(numbered("has files and is not in use: generation", generation), where);
  }
  std::uint64_t issued = 0;
  for (const FileRow& row : rows.files)
    if (row.kind == FileKind::kIssued) issued += row.entries;
  if (issued != state.issuances)
    findings.add("holds more or fewer issuances than the state says", where);
}

}  // namespace fugo::keystore
