#include "engine/change/eraser.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>

#include "base/secret.h"
#include "base/text.h"
#include "engine/change/change_digests.h"
#include "engine/change/holdings.h"
#include "engine/issue/people_finder.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::kNoPerson;
using keystore::PersonId;
using keystore::PersonState;

class LedgerEraser final : public Eraser {
 public:
  LedgerEraser(Site& site, PeopleColumns columns) : site_(site), columns_(std::move(columns)) {}

  Result<EraseOutcome> find(std::span<const std::uint64_t> codes) override;
  Status commit(keystore::JobRow& job, const keystore::Actor& actor) override;

 private:
  void judge(const keystore::Snapshot& snapshot, std::size_t rows);
  void add_predecessors(const keystore::Snapshot& snapshot);
  [[nodiscard]] Status read_people(const keystore::Snapshot& snapshot);
  [[nodiscard]] Status make_agency_symbols();
  [[nodiscard]] Status make_record_symbols();
  [[nodiscard]] Status add_digests(keystore::DeletionData& data);

  Site& site_;
  PeopleColumns columns_;
  bool found_ = false;
  std::vector<EraseResult> results_;
  std::vector<PersonId> ids_;                   // everybody who goes, ascending
  SecretArray<keystore::PersonRecord> people_;  // beside ids_
  SecretArray<Block> linkage_;                  // beside ids_
  std::vector<Holding> holdings_;
  SecretArray<DeadSymbol> agencies_;
  SecretArray<Block> records_;
  // The state that this was found in.
  keystore::SegmentNumber next_segment_ = 1;
  PersonId deleted_people_ = 0;
};

Result<EraseOutcome> LedgerEraser::find(std::span<const std::uint64_t> codes) {
  found_ = false;
  FUGO_ASSIGN(const auto state, site_.ledger().state());  // first: what comes after it is noticed
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  next_segment_ = state.next_segment;
  deleted_people_ = state.deleted_people;
  PeopleFinder finder(site_.symbols(), *site_.ledger().keys(), *snapshot, site_.starts(), columns_);
  FUGO_TRY(finder.run(codes));
  FUGO_TRY(going());
  judge(*snapshot, codes.size());
  add_predecessors(*snapshot);
  FUGO_TRY(read_people(*snapshot));
  FUGO_TRY(find_holdings(*snapshot, site_.agencies(), ids_, holdings_));
  FUGO_TRY(going());
  FUGO_TRY(make_agency_symbols());
  FUGO_TRY(make_record_symbols());
  found_ = true;
  return EraseOutcome{results_, agencies_.span(), records_.span(), ids_.size(), holdings_.size()};
}

// Of two rows about one person the first counts.
void LedgerEraser::judge(const keystore::Snapshot& snapshot, std::size_t rows) {
  results_.assign(rows, EraseResult::kUnknownResident);
  ids_.clear();
  std::vector<std::uint32_t> known;
  for (std::uint32_t row = 0; row < rows; ++row)
    if (columns_.ids[row] != kNoPerson) known.push_back(row);
  std::stable_sort(known.begin(), known.end(), [&](std::uint32_t a, std::uint32_t b) {
    return columns_.ids[a] < columns_.ids[b];
  });
  PersonId last = kNoPerson;
  for (const std::uint32_t row : known) {
    const PersonId id = columns_.ids[row];
    if (snapshot.state_of(id) != PersonState::kActive) {
      results_[row] = EraseResult::kSuperseded;
    } else if (id != last) {
      results_[row] = EraseResult::kErased;
      ids_.push_back(id);
    }
    last = id;
  }
}

// Whoever was superseded into somebody who goes, goes too, and so on up the chain.
void LedgerEraser::add_predecessors(const keystore::Snapshot& snapshot) {
  if (!snapshot.any_patched() || ids_.empty()) return;
  std::vector<std::pair<PersonId, PersonId>> by_successor;  // (successor, person)
  for (const keystore::PersonPatch& patch : snapshot.patches())
    by_successor.emplace_back(patch.successor, patch.id);
  std::sort(by_successor.begin(), by_successor.end());
  by_successor.erase(std::unique(by_successor.begin(), by_successor.end()), by_successor.end());
  for (std::size_t i = 0; i < ids_.size(); ++i) {  // grows on the way; there are no cycles
    auto at = std::lower_bound(by_successor.begin(), by_successor.end(),
                               std::pair<PersonId, PersonId>{ids_[i], 0});
    for (; at != by_successor.end() && at->first == ids_[i]; ++at) ids_.push_back(at->second);
  }
  std::sort(ids_.begin(), ids_.end());
}

Status LedgerEraser::read_people(const keystore::Snapshot& snapshot) {
  FUGO_ASSIGN(people_, SecretArray<keystore::PersonRecord>::create(ids_.size()));
  FUGO_ASSIGN(linkage_, SecretArray<Block>::create(ids_.size()));
  FUGO_TRY(
      snapshot.read_people(site_.active_generation().linkage_generation, ids_, people_.span()));
  for (std::size_t i = 0; i < ids_.size(); ++i) linkage_[i] = people_[i].linkage_symbol;
  return {};
}

// Closed agencies are told nothing: there is nobody to read it.
Status LedgerEraser::make_agency_symbols() {
  std::vector<bool> told(std::size_t{1} << 16U, false);
  for (const keystore::Agency& agency : site_.agencies())
    told[agency.number] = agency.state != keystore::AgencyState::kClosed;
  std::vector<AgencyNumber> agencies;
  for (const Holding& holding : holdings_)
    if (told[holding.agency]) agencies.push_back(holding.agency);
  const std::size_t count = agencies.size();
  FUGO_ASSIGN(auto linkage, SecretArray<Block>::create(count));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(count));
  FUGO_ASSIGN(agencies_, SecretArray<DeadSymbol>::create(count));
  std::size_t filled = 0;
  for (const Holding& holding : holdings_)
    if (told[holding.agency]) linkage[filled++] = linkage_[holding.person];
  FUGO_TRY(site_.symbols().agency(site_.active_generation().number, agencies, linkage.span(),
                                  symbols.span()));
  for (std::size_t i = 0; i < count; ++i) agencies_[i] = {agencies[i], symbols[i]};
  std::sort(agencies_.span().begin(), agencies_.span().end(),
            [](const DeadSymbol& a, const DeadSymbol& b) {
              return a.agency != b.agency ? a.agency < b.agency : a.symbol < b.symbol;
            });
  return {};
}

Status LedgerEraser::make_record_symbols() {
  FUGO_ASSIGN(records_, SecretArray<Block>::create(ids_.size()));
  FUGO_TRY(site_.symbols().record(site_.active_generation(), linkage_.span(), records_.span()));
  std::sort(records_.span().begin(), records_.span().end());
  return {};
}

Status LedgerEraser::add_digests(keystore::DeletionData& data) {
  FUGO_TRY(site_.ledger().content_digest()->add_people(people_.span(), data.people_digest));
  FUGO_ASSIGN(const auto segments, site_.ledger().segments());
  std::unordered_map<keystore::SegmentNumber, std::int64_t> times;
  for (const keystore::SegmentRow& segment : segments) times[segment.number] = segment.time;
  std::vector<DatedIssuance> issuances;
  issuances.reserve(holdings_.size());
  for (const Holding& holding : holdings_) {
    const auto time = times.find(holding.segment);
    if (time == times.end())
      return fail(ErrorCode::kDamaged, "an issuance names a segment that does not exist",
                  "segment " + std::to_string(holding.segment), "run fugo verify");
    issuances.push_back({holding.agency, holding.person, time->second});
  }
  return add_issuance_digests(site_, issuances, linkage_.span(), data.issued_digest,
                              data.times_digest);
}

Status LedgerEraser::commit(keystore::JobRow& job, const keystore::Actor& actor) {
  if (!found_) return fail(ErrorCode::kInternal, "a deletion that nothing was found for");
  keystore::DeletionData data;
  data.job = job;
  data.people = ids_;
  data.issuances = holdings_.size();
  for (const keystore::PersonRecord& person : people_.span()) ++data.starters[person.start];
  data.next_segment = next_segment_;
  data.deleted_people = deleted_people_;
  FUGO_TRY(add_digests(data));
  FUGO_TRY(going());
  // that it happened, and not who it was
  data.journal = keystore::journal_entry(
      actor, "delete.commit",
      nlohmann::json{{"request", job.id}, {"people", ids_.size()}, {"issuances", holdings_.size()}}
          .dump());
  FUGO_TRY(site_.ledger().commit_deletion(data));
  found_ = false;
  return {};
}

}  // namespace

Result<std::unique_ptr<Eraser>> Eraser::create(Site& site, std::size_t max_rows) {
  FUGO_ASSIGN(auto columns, PeopleColumns::create(max_rows));
  return std::make_unique<LedgerEraser>(site, std::move(columns));
}

}  // namespace fugo::engine
