#include "keystore/verify_rules.h"

#include <algorithm>
#include <set>

#include "keystore/clock.h"

namespace fugo::keystore {
namespace {

std::string numbered(const char* what, std::uint64_t number) {
  return std::string(what) + " " + std::to_string(number);
}

bool still_to_do(JobState state) {
  return state == JobState::kRunning || state == JobState::kAnswering;
}

}  // namespace

void check_journal(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  std::array<std::uint8_t, 32> previous{};
  std::uint64_t next = 0;
  std::int64_t time = 0;
  for (const JournalEntry& entry : rows.journal) {
    if (entry.sequence != next || entry.previous != previous)
      findings.add(numbered("the chain is broken at entry", next), place(Table::kJournal));
    if (entry.time < time && entry.act != kClockAccepted)
      findings.add(numbered("the time goes back at entry", next), place(Table::kJournal));
    time = entry.time;
    previous = entry.hash;  // which was compared with the entry when it was decoded
    next = entry.sequence + 1;
  }
  if (next != state.journal_entries || previous != state.journal_head || time != state.journal_time)
    findings.add("the chain does not end at the head that the state names", place(Table::kJournal));
}

void check_registries(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  std::set<Generation> generations;
  std::set<std::uint16_t> key_versions;
  std::size_t active = 0;
  for (const KeyRow& key : rows.keys) key_versions.insert(key.version);
  for (const GenerationRow& row : rows.generations) {
    generations.insert(row.number);
    active += row.state == GenerationState::kActive ? 1 : 0;
    if (row.chained_from >= row.number)
      findings.add(numbered("chained from a later one: generation", row.number),
                   place(Table::kGenerations));
  }
  if (active > 1) findings.add("more than one is active", place(Table::kGenerations));
  std::map<std::string, AgencyNumber> codes;
  std::map<Block, AgencyNumber> parameters;
  for (const Agency& agency : rows.agencies) {
    const auto wrong = [&](const char* what) {
      findings.add(std::string(what) + " (agency " + agency.code + ")", place(Table::kAgencies));
    };
    if (agency.number >= state.next_agency) wrong("its number was never given");
    if (!codes.emplace(agency.code, agency.number).second) wrong("its code is given twice");
    if (agency.versions.empty()) wrong("it has no version");
    for (const AgencyVersion& version : agency.versions) {
      if (!parameters.emplace(version.parameter, agency.number).second)
        wrong("its agency parameter is used twice");
      if (!generations.contains(version.generation)) wrong("its generation is not registered");
      if (!key_versions.empty() && !key_versions.contains(version.key_version))
        wrong("its key version is not registered");
    }
  }
}

Status check_jobs(const AllRows& rows, const LedgerState& state, const Sealer& sealer,
                  TableFindings& findings) {
  bool open_seen = state.open_job == 0;
  for (const JobRow& job : rows.jobs) {
    const auto wrong = [&](const char* what) {
      findings.add(std::string(what) + numbered(": job", job.number), place(Table::kJobs));
    };
    FUGO_ASSIGN(const RowKey key, sealer.job_id_key(job.id));
    const auto known = rows.job_ids.find({key.bytes().begin(), key.bytes().end()});
    if (known == rows.job_ids.end() || known->second != job.number)
      wrong("its id does not lead to it");
    if (job.number >= state.next_job) wrong("its number was never given");
    if (job.rows_done > job.rows) wrong("more rows are done than there are");
    if (still_to_do(job.state) && job.number != state.open_job)
      wrong("it is unfinished, and the state does not say so");
    open_seen = open_seen || job.number == state.open_job;
  }
  if (state.may_end != 0 && state.may_end != state.open_job)
    findings.add("the job that may end is not the unfinished one", place(Table::kJobs));
  if (!open_seen) findings.add("the unfinished job is missing", place(Table::kJobs));
  if (rows.job_ids.size() != rows.jobs.size())
    findings.add("there are more or fewer ids than jobs", place(Table::kJobIds));
  return {};
}

void check_segments(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  const auto where = place(Table::kSegments);
  struct Sum {
    std::uint64_t rows = 0, people = 0, issuances = 0;
    std::uint32_t segments = 0;
  };
  std::map<JobNumber, Sum> sums;
  std::map<JobNumber, const JobRow*> jobs;
  for (const JobRow& job : rows.jobs) jobs[job.number] = &job;
  Sum all;
  SegmentNumber next = 1;
  for (const SegmentRow& row : rows.segments) {
    if (row.number != next) findings.add(numbered("missing: segment", next), where);
    next = row.number + 1;
    Sum& sum = sums[row.job];
    const auto job = jobs.find(row.job);
    if (job == jobs.end()) {
      findings.add(numbered("of no job: segment", row.number), where);
    } else if (row.number != job->second->first_segment + sum.segments ||
               row.first_row != sum.rows || row.time != job->second->time) {
      findings.add(numbered("does not follow on within its job: segment", row.number), where);
    }
    ++sum.segments;
    sum.rows += row.rows;
    sum.people += row.people_new;
    sum.issuances += row.issuances_new;
    all.people += row.people_new;
    all.issuances += row.issuances_new;
  }
  for (const auto& [number, job] : jobs) {
    const Sum& sum = sums[number];
    // A deletion is one commit without segments.
    const bool erased_all = job->kind == JobKind::kDelete && job->rows_done == job->rows;
    if (job->segments != sum.segments || (job->rows_done != sum.rows && !erased_all) ||
        job->people_new != sum.people || job->count_new != sum.issuances)
      findings.add(numbered("its counts are not those of its segments: job", number),
                   place(Table::kJobs));
  }
  if (next != state.next_segment || all.people != state.next_person ||
      all.issuances != state.issuances + state.deleted_issuances)
    findings.add("the sums over all segments are not those of the state", where);
}

void check_patches(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  const auto where = place(Table::kPatches);
  std::map<JobNumber, JobKind> kinds;
  for (const JobRow& job : rows.jobs) kinds[job.number] = job.kind;
  std::map<SegmentNumber, JobKind> segments;
  for (const SegmentRow& row : rows.segments)
    if (const auto kind = kinds.find(row.job); kind != kinds.end())
      segments[row.number] = kind->second;
  std::map<PersonId, PersonId> successors;
  for (const PersonPatch& patch : rows.patches) {
    const auto wrong = [&](const char* what) { findings.add(numbered(what, patch.id), where); };
    if (patch.id >= state.next_person) wrong("of no person: patch");
    if (patch.state != PersonState::kSuperseded) wrong("does not supersede: patch");
    if (patch.successor >= state.next_person) wrong("has no successor: patch");
    const auto segment = segments.find(patch.superseded_in);
    if (segment == segments.end() || segment->second != JobKind::kChange)
      wrong("of no segment that changed people: patch");
    successors[patch.id] = patch.successor;
  }
  // Every chain of successors ends at somebody who is not superseded.
  std::set<PersonId> ends;  // whose chain is known to end
  for (const auto& [id, first] : successors) {
    std::vector<PersonId> path{id};
    auto next = successors.find(first);
    std::set<PersonId> seen{id};
    while (next != successors.end() && !ends.contains(next->first) &&
           seen.insert(next->first).second) {
      path.push_back(next->first);
      next = successors.find(next->second);
    }
    if (next != successors.end() && !ends.contains(next->first))
      findings.add(numbered("its successors lead back to it: patch", id), where);
    ends.insert(path.begin(), path.end());
  }
}

void check_statistics(const AllRows& rows, const LedgerState& state, TableFindings& findings) {
  std::uint64_t issued = 0;
  for (const StatDay& day : rows.days)
    for (const StatRow& row : day.rows) {
      issued += row.count_new;
      if (row.agency >= state.next_agency)
        findings.add("counts an agency that there is not, on " + day.day, place(Table::kStats));
    }
  if (issued != state.issuances + state.deleted_issuances)
    findings.add("the sum of new symbols is not the state's", place(Table::kStats));
}

}  // namespace fugo::keystore
