#include "engine/change/change_people.h"

#include <algorithm>
#include <string>

namespace fugo::engine {
namespace {

using keystore::kNoPerson;
using keystore::kNoSegment;
using keystore::PersonId;
using keystore::PersonState;
using keystore::SegmentNumber;

tl::unexpected<Error> cannot_be_made(SegmentNumber segment) {
  return fail(ErrorCode::kRefused, "people of this answered request are not in the ledger",
              "segment " + std::to_string(segment),
              "people were deleted since; the answers cannot be made any more");
}

}  // namespace

Result<ChangePeople> ChangePeople::create(Site& site, std::size_t max_rows) {
  ChangePeople people(site);
  FUGO_ASSIGN(people.old_, PeopleColumns::create(max_rows));
  FUGO_ASSIGN(people.new_, PeopleColumns::create(max_rows));
  return people;
}

Status ChangePeople::find_old(const ChangeRows& rows, const keystore::Snapshot& snapshot) {
  results_.assign(rows.old_codes.size(), ChangeResult::kUnknownResident);
  candidates_.clear();
  moved_.clear();
  moves_.clear();
  move_candidates_.clear();
  if (rows.old_codes.size() != rows.new_codes.size())
    return fail(ErrorCode::kInternal, "a change has as many old codes as new ones");
  PeopleFinder finder(site_->symbols(), *site_->ledger().keys(), snapshot, site_->starts(), old_);
  return finder.run(rows.old_codes);
}

// The new people of the candidates only.
Status ChangePeople::find_new(const ChangeRows& rows, const keystore::Snapshot& snapshot) {
  FUGO_ASSIGN(auto codes, SecretArray<std::uint64_t>::create(candidates_.size()));
  for (std::size_t i = 0; i < candidates_.size(); ++i) codes[i] = rows.new_codes[candidates_[i]];
  PeopleFinder finder(site_->symbols(), *site_->ledger().keys(), snapshot, site_->starts(), new_);
  return finder.run(codes.span());
}

Status ChangePeople::judge(const ChangeRows& rows, const keystore::Snapshot& snapshot, bool join) {
  FUGO_TRY(find_old(rows, snapshot));
  for (std::uint32_t row = 0; row < results_.size(); ++row) {
    if (old_.ids[row] == kNoPerson) continue;
    if (snapshot.state_of(old_.ids[row]) != PersonState::kActive)
      results_[row] = ChangeResult::kSuperseded;
    else
      candidates_.push_back(row);
  }
  FUGO_TRY(find_new(rows, snapshot));
  for (std::uint32_t i = 0; i < candidates_.size(); ++i) {
    const std::uint32_t row = candidates_[i];
    const PersonId to = new_.ids[i];
    const bool can_join =
        join && to != old_.ids[row] && snapshot.state_of(to) == PersonState::kActive;
    if (to == kNoPerson)
      results_[row] = ChangeResult::kChanged;
    else
      results_[row] = can_join ? ChangeResult::kJoined : ChangeResult::kResidentExists;
    if (to == kNoPerson || can_join) add_move(i, to != kNoPerson);
  }
  return collect(snapshot);
}

void ChangePeople::give_ids(PersonId first_new) {
  PersonId next = first_new;
  for (Move& move : moves_)
    if (!move.joined) move.to = next++;
}

Status ChangePeople::recall(const ChangeRows& rows, const keystore::Snapshot& snapshot,
                            const keystore::SegmentRow& segment) {
  FUGO_TRY(find_old(rows, snapshot));
  FUGO_TRY(recall_old(snapshot, segment.number));
  FUGO_TRY(find_new(rows, snapshot));
  FUGO_TRY(recall_new(snapshot, segment.number));
  const auto changed = std::count(results_.begin(), results_.end(), ChangeResult::kChanged);
  if (static_cast<std::uint64_t>(changed) != segment.people_new)
    return cannot_be_made(segment.number);
  return collect(snapshot);
}

Status ChangePeople::recall_moves(const keystore::Snapshot& snapshot, SegmentNumber segment) {
  std::vector<PersonId> olds, news;
  for (const keystore::PersonPatch& patch : snapshot.patches()) {
    if (patch.superseded_in != segment) continue;
    olds.push_back(patch.id);
    news.push_back(patch.successor);
  }
  FUGO_ASSIGN(records_, records_of(snapshot, olds));
  FUGO_ASSIGN(const auto successors, records_of(snapshot, news));
  FUGO_ASSIGN(old_symbols_, SecretArray<Block>::create(olds.size()));
  FUGO_ASSIGN(new_symbols_, SecretArray<Block>::create(olds.size()));
  results_.clear();
  moves_.clear();
  for (std::uint32_t i = 0; i < olds.size(); ++i) {
    const bool joined = successors[i].segment < segment;
    results_.push_back(joined ? ChangeResult::kJoined : ChangeResult::kChanged);
    moves_.push_back({i, olds[i], news[i], joined, successors[i].counter, 0});
    old_symbols_[i] = records_[i].linkage_symbol;
    new_symbols_[i] = successors[i].linkage_symbol;
  }
  return {};
}

// Who was there before the segment, and not superseded before it, was a candidate.
Status ChangePeople::recall_old(const keystore::Snapshot& snapshot, SegmentNumber segment) {
  FUGO_ASSIGN(const auto records, records_of(snapshot, old_.ids));
  for (std::uint32_t row = 0; row < results_.size(); ++row) {
    if (old_.ids[row] == kNoPerson || records[row].segment >= segment) continue;
    const SegmentNumber in = records[row].superseded_in;
    if (in != kNoSegment && in < segment) {
      results_[row] = ChangeResult::kSuperseded;
      continue;
    }
    candidates_.push_back(row);
    moved_.push_back(in == segment);
  }
  return {};
}

Status ChangePeople::recall_new(const keystore::Snapshot& snapshot, SegmentNumber segment) {
  FUGO_ASSIGN(const auto news, records_of(snapshot, new_.ids));
  std::vector<PersonId> olds;
  for (const std::uint32_t row : candidates_) olds.push_back(old_.ids[row]);
  FUGO_ASSIGN(const auto records, records_of(snapshot, olds));
  for (std::uint32_t i = 0; i < candidates_.size(); ++i) {
    const std::uint32_t row = candidates_[i];
    const PersonId to = new_.ids[i];
    // Somebody had the new code then, or has it since this segment.
    const bool there = to != kNoPerson && news[i].segment < segment;
    if (to == kNoPerson || (moved_[i] ? records[i].successor != to : !there))
      return cannot_be_made(segment);
    results_[row] = ChangeResult::kResidentExists;
    if (!moved_[i]) continue;
    results_[row] = there ? ChangeResult::kJoined : ChangeResult::kChanged;
    add_move(i, there);
  }
  return {};
}

void ChangePeople::add_move(std::uint32_t candidate, bool joined) {
  const std::uint32_t row = candidates_[candidate];
  moves_.push_back({row, old_.ids[row], new_.ids[candidate], joined, new_.counters[candidate],
                    new_.digests[candidate]});
  move_candidates_.push_back(candidate);
}

// The secrets of the moves, side by side.
Status ChangePeople::collect(const keystore::Snapshot& snapshot) {
  const std::size_t count = moves_.size();
  FUGO_ASSIGN(old_symbols_, SecretArray<Block>::create(count));
  FUGO_ASSIGN(new_symbols_, SecretArray<Block>::create(count));
  FUGO_ASSIGN(new_checks_, SecretArray<keystore::CheckValue>::create(count));
  std::vector<PersonId> ids;
  for (std::size_t i = 0; i < count; ++i) {
    old_symbols_[i] = old_.symbols[moves_[i].row];
    new_symbols_[i] = new_.symbols[move_candidates_[i]];
    new_checks_[i] = new_.checks[move_candidates_[i]];
    ids.push_back(moves_[i].from);
  }
  FUGO_ASSIGN(records_, records_of(snapshot, ids));
  return {};
}

Status ChangePeople::take_linkage_of(const keystore::Snapshot& snapshot,
                                     const keystore::GenerationRow& generation) {
  if (generation.linkage_generation == site_->active_generation().linkage_generation) return {};
  std::vector<PersonId> olds, news;
  for (const Move& move : moves_) olds.push_back(move.from), news.push_back(move.to);
  FUGO_ASSIGN(const auto before, records_of(snapshot, generation.linkage_generation, olds));
  FUGO_ASSIGN(const auto after, records_of(snapshot, generation.linkage_generation, news));
  for (std::size_t i = 0; i < moves_.size(); ++i) {
    old_symbols_[i] = before[i].linkage_symbol;
    new_symbols_[i] = after[i].linkage_symbol;
  }
  return {};
}

// records_of reads records in any order of ids; kNoPerson gives an empty one.
Result<SecretArray<keystore::PersonRecord>> ChangePeople::records_of(
    const keystore::Snapshot& snapshot, std::span<const PersonId> ids) const {
  return records_of(snapshot, site_->active_generation().linkage_generation, ids);
}

Result<SecretArray<keystore::PersonRecord>> ChangePeople::records_of(
    const keystore::Snapshot& snapshot, keystore::Generation linkage_generation,
    std::span<const PersonId> ids) {
  FUGO_ASSIGN(auto records, SecretArray<keystore::PersonRecord>::create(ids.size()));
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < ids.size(); ++i)
    if (ids[i] != kNoPerson) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return ids[a] < ids[b]; });
  std::vector<PersonId> sorted;
  sorted.reserve(order.size());
  for (const std::uint32_t i : order) sorted.push_back(ids[i]);
  FUGO_ASSIGN(auto read, SecretArray<keystore::PersonRecord>::create(sorted.size()));
  FUGO_TRY(snapshot.read_people(linkage_generation, sorted, read.span()));
  for (std::size_t i = 0; i < order.size(); ++i) records[order[i]] = read[i];
  return records;
}

}  // namespace fugo::engine
