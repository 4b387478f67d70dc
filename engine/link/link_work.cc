#include "engine/link/link_work.h"

#include <algorithm>

#include "base/no_throw.h"
#include "engine/issue/people_finder.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::GenerationRow;
using keystore::kNoPerson;
using keystore::PersonId;
using keystore::PersonState;

// From this many items on, the radix sort is worth its tables.
constexpr std::size_t kRadixFrom = 1024;

std::uint64_t issued_key(AgencyNumber agency, PersonId id) {
  return (std::uint64_t{agency} << 32U) | id;
}

}  // namespace

Result<std::unique_ptr<LinkWork>> LinkWork::create(std::size_t capacity) {
  std::unique_ptr<LinkWork> work(new LinkWork);
  work->capacity_ = capacity;
  FUGO_ASSIGN(work->records_, SecretArray<keystore::PersonRecord>::create(capacity));
  FUGO_ASSIGN(work->linkage_, SecretArray<Block>::create(2 * capacity));
  FUGO_ASSIGN(work->symbols_, SecretArray<Block>::create(2 * capacity));
  // So that setting asks aside cannot fail.
  for (auto* flags : {&work->asked_, &work->pending_, &work->inverted_, &work->to_known_})
    flags->reserve(capacity);
  return work;
}

Status LinkWork::run(const LinkView& view, ResolverIndex& index, Tables tables, Patience& patience,
                     std::span<LinkAsk> asks) {
  view_ = &view;
  index_ = &index;
  patience_ = &patience;
  tables_ = tables;
  index_error_ = {};
  set_aside(asks);
  Status done = no_throw([&] { return answer(asks); });
  if (!done)
    for (std::size_t i = 0; i < asks.size(); ++i)
      if (asked_[i] != 0) settle(asks[i], LinkStatus::kUnavailable);
  wipe(records_.data(), used_ * sizeof(keystore::PersonRecord));
  wipe(linkage_.data(), 2 * used_ * sizeof(Block));
  wipe(symbols_.data(), 2 * used_ * sizeof(Block));
  used_ = 0;
  return done ? std::move(index_error_) : std::move(done);
}

void LinkWork::set_aside(std::span<LinkAsk> asks) {
  asked_.assign(asks.size(), 0);
  pending_.assign(asks.size(), 0);
  inverted_.assign(asks.size(), 0);
  to_known_.assign(asks.size(), 0);
  for (std::size_t i = 0; i < asks.size(); ++i) {
    LinkAsk& ask = asks[i];
    if (is_settled(ask.status)) {
      settle(ask, ask.status);
    } else if (view_->frozen) {
      settle(ask, LinkStatus::kFrozen);
    } else if ((ask.from != 0 && view_->registry->find(ask.from) == nullptr) ||
               (ask.to != 0 && view_->registry->find(ask.to) == nullptr)) {
      settle(ask, LinkStatus::kUnknownAgency);
    } else {
      settle(ask, LinkStatus::kUnknown);
      asked_[i] = pending_[i] = ask.from != 0 || ask.id != kNoPerson ? 1 : 0;
      if (ask.from != 0) ask.id = kNoPerson;
    }
  }
}

Status LinkWork::answer(std::span<LinkAsk> asks) {
  for (const Accepted& generation : view_->registry->generations)
    FUGO_TRY(resolve(generation.row, asks));
  // Whoever was named by id, or by a symbol of an older generation.
  candidates_.clear();
  for (std::uint32_t i = 0; i < asks.size(); ++i)
    if (pending_[i] != 0 && asks[i].id != kNoPerson) candidates_.push_back({i, asks[i].id});
  FUGO_TRY(evaluate_all(view_->registry->active(), /*verify=*/false, asks));
  look_into_tables_of_to(asks);
  return look_up_issued(asks);
}

void LinkWork::leave_out(LinkAsk& ask, std::size_t row, LinkStatus status) {
  settle(ask, status);
  pending_[row] = 0;
}

Status LinkWork::resolve(const GenerationRow& generation, std::span<LinkAsk> asks) {
  stale_.clear();
  const bool make = tables_ == Tables::kMade;
  for (const Freshness freshness :
       {make ? Freshness::kAsItIs : Freshness::kIfThere, Freshness::kCurrent}) {
    candidates_.clear();
    FUGO_TRY(find_candidates(generation, freshness, asks));
    FUGO_TRY(evaluate_all(generation, /*verify=*/true, asks));
    if (stale_.empty() || !make) break;
  }
  if (make || stale_.empty()) return {};
  for (std::size_t i = 0; i < asks.size(); ++i) {
    const bool unresolved = pending_[i] != 0 && asks[i].from != 0 && asks[i].id == kNoPerson;
    if (!unresolved || !std::binary_search(stale_.begin(), stale_.end(), asks[i].from)) continue;
    leave_out(asks[i], i, LinkStatus::kUnavailable);
    asks[i].lacks_table = true;
  }
  return {};
}

void LinkWork::sort_rows(std::vector<KeyedRow>& rows) {
  if (rows.size() >= kRadixFrom) return sort_by_key(rows, scratch_);
  std::sort(rows.begin(), rows.end(),
            [](const KeyedRow& a, const KeyedRow& b) { return a.key < b.key; });
}

Status LinkWork::find_candidates(const GenerationRow& generation, Freshness freshness,
                                 std::span<LinkAsk> asks) {
  by_agency_.clear();
  for (std::uint32_t i = 0; i < asks.size(); ++i) {
    const AgencyNumber from = asks[i].from;
    if (pending_[i] == 0 || from == 0 || asks[i].id != kNoPerson) continue;
    if (freshness == Freshness::kCurrent && !std::binary_search(stale_.begin(), stale_.end(), from))
      continue;
    by_agency_.push_back({from, i});
  }
  sort_rows(by_agency_);
  for (std::size_t first = 0, last = 0; first < by_agency_.size(); first = last) {
    while (last < by_agency_.size() && by_agency_[last].key == by_agency_[first].key) ++last;
    const auto agency = static_cast<AgencyNumber>(by_agency_[first].key);
    const std::span<const KeyedRow> of_agency(by_agency_.data() + first, last - first);
    const Method* method = view_->registry->symbols->method_of(generation.number, agency);
    if (method == nullptr) continue;  // it came after this generation
    if (generation.number != view_->registry->active().number &&
        !view_->registry->renewed(generation, agency))
      continue;  // the active one's would have been found
    if (method->invertible)
      FUGO_TRY(invert(generation, agency, of_agency, asks));
    else
      FUGO_TRY(look_into_table(generation, agency, freshness, of_agency, asks));
  }
  return {};
}

Status LinkWork::look_into_table(const GenerationRow& generation, AgencyNumber agency,
                                 Freshness freshness, std::span<const KeyedRow> of_agency,
                                 std::span<LinkAsk> asks) {
  const auto held = index_->table(*view_, generation, agency, freshness, *patience_);
  if (!held) {
    index_error_ = tl::unexpected(held.error());
    const bool too_large = held.error().code == ErrorCode::kRefused;
    for (const KeyedRow& item : of_agency)
      leave_out(asks[item.row], item.row,
                too_large ? LinkStatus::kIndexTooLarge : LinkStatus::kUnavailable);
    return {};
  }
  if (!held->current) stale_.push_back(agency);  // agencies come ascending
  if (!held->table) return {};
  const SymbolTable& table = *held->table;
  constexpr std::size_t kAhead = 16;
  for (std::size_t i = 0; i < of_agency.size(); ++i) {
    if (i + kAhead < of_agency.size()) table.prefetch(asks[of_agency[i + kAhead].row].symbol);
    const std::uint32_t ask = of_agency[i].row;
    table.find(asks[ask].symbol, [&](PersonId id) { candidates_.push_back({ask, id}); });
  }
  return {};
}

// L by the token's inverse, then who has it by the ledger's index.
Status LinkWork::invert(const GenerationRow& generation, AgencyNumber agency,
                        std::span<const KeyedRow> of_agency, std::span<LinkAsk> asks) {
  const std::size_t count = of_agency.size();
  used_ = std::max(used_, count);
  const auto given = symbols_.span().first(count);
  const auto linkage = linkage_.span().first(count);
  for (std::size_t i = 0; i < count; ++i) given[i] = asks[of_agency[i].row].symbol;
  FUGO_TRY(view_->registry->symbols->invert_agency(generation.number, agency, given, linkage));
  digests_.resize(count);
  FUGO_TRY(view_->keys->symbol_digests(linkage, digests_));
  sorted_.clear();
  for (std::size_t i = 0; i < count; ++i) sorted_.push_back({digests_[i], of_agency[i].row});
  sort_rows(sorted_);
  for (std::size_t i = 0; i < count; ++i) digests_[i] = sorted_[i].key;
  hits_.clear();
  FUGO_TRY(view_->snapshot->find_people(generation.linkage_generation, digests_, hits_));
  for (const auto& hit : hits_) {
    const std::uint32_t ask = sorted_[hit.query].row;
    inverted_[ask] = 1;
    candidates_.push_back({ask, hit.id});
  }
  return {};
}

Status LinkWork::evaluate_all(const GenerationRow& generation, bool verify,
                              std::span<LinkAsk> asks) {
  sorted_.clear();
  for (std::uint32_t i = 0; i < candidates_.size(); ++i) sorted_.push_back({candidates_[i].id, i});
  sort_rows(sorted_);
  some_.clear();
  for (const KeyedRow& item : sorted_) {
    some_.push_back(candidates_[item.row]);
    if (some_.size() < capacity_) continue;
    FUGO_TRY(evaluate(generation, verify, some_, asks));
    some_.clear();
  }
  return evaluate(generation, verify, some_, asks);
}

Status LinkWork::evaluate(const GenerationRow& generation, bool verify,
                          std::span<const Candidate> some, std::span<LinkAsk> asks) {
  if (some.empty()) return {};
  const std::size_t count = some.size();
  used_ = std::max(used_, count);
  const bool answers = generation.number == view_->registry->active().number;
  ids_.clear();
  for (const Candidate& candidate : some) ids_.push_back(candidate.id);
  const auto records = records_.span().first(count);
  FUGO_TRY(view_->snapshot->read_people(generation.linkage_generation, ids_, records));

  // First the symbols that the people were named by, then those that are wanted: one call.
  agencies_.clear();
  std::size_t blocks = 0;
  const auto make = [&](AgencyNumber agency, std::size_t of) {
    linkage_[blocks++] = records[of].linkage_symbol;
    agencies_.push_back(agency);
  };
  if (verify)
    for (std::size_t i = 0; i < count; ++i) make(asks[some[i].ask].from, i);
  const std::size_t wanted = blocks;
  if (answers)
    for (std::size_t i = 0; i < count; ++i)
      if (asks[some[i].ask].wants_symbol) make(asks[some[i].ask].to, i);
  const auto symbols = symbols_.span().first(blocks);
  FUGO_TRY(view_->registry->symbols->agency(generation.number, agencies_,
                                            linkage_.span().first(blocks), symbols));

  std::size_t next = wanted;
  for (std::size_t i = 0; i < count; ++i) {
    LinkAsk& ask = asks[some[i].ask];
    const Block* made = answers && ask.wants_symbol ? &symbols[next++] : nullptr;
    if (verify && !same_secret(ask.symbol, symbols[i])) continue;
    if (records[i].state == PersonState::kDeleted || pending_[some[i].ask] == 0) continue;
    ask.id = some[i].id;
    if (verify) ask.version = generation.number;
    if (!answers) continue;
    pending_[some[i].ask] = 0;
    ask.status =
        records[i].state == PersonState::kActive ? LinkStatus::kOk : LinkStatus::kSuperseded;
    if (made != nullptr && ask.status == LinkStatus::kOk) ask.linked = *made;
  }
  return answers ? make_records(some, asks) : Status{};
}

Status LinkWork::make_records(std::span<const Candidate> some, std::span<LinkAsk> asks) {
  std::size_t blocks = 0;
  const auto wants = [&](const Candidate& candidate) {
    const LinkAsk& ask = asks[candidate.ask];
    return ask.wants_record && ask.status == LinkStatus::kOk && ask.id == candidate.id;
  };
  for (std::size_t i = 0; i < some.size(); ++i)
    if (wants(some[i])) linkage_[blocks++] = records_[i].linkage_symbol;
  if (blocks == 0) return {};
  const auto made = symbols_.span().first(blocks);
  FUGO_TRY(view_->registry->symbols->record(view_->registry->active(),
                                            linkage_.span().first(blocks), made));
  std::size_t next = 0;
  for (const Candidate& candidate : some)
    if (wants(candidate)) asks[candidate.ask].record = made[next++];
  return {};
}

void LinkWork::look_into_tables_of_to(std::span<LinkAsk> asks) {
  by_agency_.clear();
  for (std::uint32_t i = 0; i < asks.size(); ++i)
    if (asks[i].status == LinkStatus::kOk && asks[i].wants_symbol)
      by_agency_.push_back({asks[i].to, i});
  sort_rows(by_agency_);
  const keystore::Generation active = view_->registry->active().number;
  ResolverIndex::Held held;
  for (std::size_t i = 0; i < by_agency_.size(); ++i) {
    constexpr std::size_t kAhead = 16;
    if (i == 0 || by_agency_[i].key != by_agency_[i - 1].key)
      held = index_->table_if_there(*view_, active, static_cast<AgencyNumber>(by_agency_[i].key));
    if (!held.table) continue;
    if (i + kAhead < by_agency_.size())
      held.table->prefetch(asks[by_agency_[i + kAhead].row].linked);
    LinkAsk& ask = asks[by_agency_[i].row];
    bool issued = false;
    held.table->find(ask.linked, [&](PersonId id) { issued = issued || id == ask.id; });
    if (!issued && !held.exact) continue;
    to_known_[by_agency_[i].row] = 1;
    if (!issued) settle(ask, LinkStatus::kNotIssued);
  }
}

Status LinkWork::look_up_issued(std::span<LinkAsk> asks) {
  // A row is an ask, twice its number; the odd one asks for `from`.
  sorted_.clear();
  for (std::uint32_t i = 0; i < asks.size(); ++i) {
    const LinkAsk& ask = asks[i];
    if (ask.id == kNoPerson || pending_[i] != 0) continue;
    if (ask.to != 0 && ask.status == LinkStatus::kOk && to_known_[i] == 0)
      sorted_.push_back({issued_key(ask.to, ask.id), 2 * i});
    if (inverted_[i] != 0) sorted_.push_back({issued_key(ask.from, ask.id), 2 * i + 1});
  }
  if (sorted_.empty()) return {};
  sort_rows(sorted_);
  issued_keys_.clear();
  for (const KeyedRow& item : sorted_)
    issued_keys_.push_back(
        {static_cast<AgencyNumber>(item.key >> 32U), static_cast<PersonId>(item.key)});
  segments_.assign(sorted_.size(), keystore::kNoSegment);
  FUGO_TRY(view_->snapshot->find_issued(issued_keys_, segments_));
  // An older version's symbol was given only while that was the active one.
  const auto is_issued = [&](std::size_t i, const LinkAsk& ask) {
    if (segments_[i] == keystore::kNoSegment) return false;
    const Accepted* const of =
        sorted_[i].row % 2 == 1 ? view_->registry->accepted(ask.version) : nullptr;
    return of == nullptr || segments_[i] <= of->last_segment;
  };
  for (const std::uint32_t odd : {1U, 0U}) {  // whoever was never issued the symbol knows nobody
    for (std::size_t i = 0; i < sorted_.size(); ++i) {
      LinkAsk& ask = asks[sorted_[i].row / 2];
      if (sorted_[i].row % 2 != odd || is_issued(i, ask)) continue;
      if (odd == 0 && ask.status != LinkStatus::kOk) continue;
      settle(ask, odd == 1 ? LinkStatus::kUnknown : LinkStatus::kNotIssued);
      if (odd == 1) ask.id = kNoPerson;
    }
  }
  return {};
}

}  // namespace fugo::engine
