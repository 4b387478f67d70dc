#include "engine/change/segment_changer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/secret.h"
#include "base/text.h"
#include "engine/change/change_digests.h"
#include "engine/change/change_people.h"
#include "engine/change/holdings.h"

namespace fugo::engine {
namespace {

using keystore::AgencyNumber;
using keystore::PersonId;

// A pair before it is made: the move and the agency.
struct PairKey {
  AgencyNumber agency = 0;
  std::uint32_t move = 0;  // position in the moves
};

bool pair_before(const SymbolPair& a, const SymbolPair& b) {
  return a.agency != b.agency ? a.agency < b.agency : a.before < b.before;
}

class Changer final : public SegmentChanger {
 public:
  Changer(Site& site, ChangePeople people) : site_(site), people_(std::move(people)) {}

  Result<ChangeOutcome> change(const ChangeRows& rows, keystore::SegmentRow segment,
                               const keystore::Actor& actor, keystore::JobRow& job) override;
  Result<ChangeOutcome> answer(const ChangeRows& rows,
                               const keystore::SegmentRow& segment) override;
  Result<ChangeOutcome> answer_without_rows(const keystore::SegmentRow& segment) override;

 private:
  [[nodiscard]] Status make_again(const keystore::Snapshot& snapshot, keystore::JobNumber job);
  [[nodiscard]] Status find_pairs(const keystore::Snapshot& snapshot, const keystore::JobRow& job);
  [[nodiscard]] Status find_issued(const keystore::Snapshot& snapshot,
                                   keystore::SegmentNumber segment);
  [[nodiscard]] Status make_pairs();
  [[nodiscard]] Status make_records();
  [[nodiscard]] Status collect_people(keystore::SegmentNumber segment, PersonId first_new);
  [[nodiscard]] Status add_digests(std::int64_t time, keystore::SegmentData& data);
  void count(const keystore::Actor& actor, keystore::SegmentData& data) const;
  [[nodiscard]] ChangeOutcome outcome() const {
    return {people_.results(), pairs_.span(), records_.span()};
  }

  Site& site_;
  ChangePeople people_;
  const keystore::GenerationRow* generation_ = nullptr;  // whose symbols the pairs are
  std::vector<PairKey> pair_keys_;                       // by (agency, old person)
  SecretArray<SymbolPair> pairs_, records_;
  std::vector<keystore::IssuedEntry> issued_;       // of the new people, made by this segment
  std::vector<std::uint32_t> issued_moves_;         // beside issued_
  SecretArray<keystore::PersonRecord> new_people_;  // by id
  std::vector<keystore::IndexEntry> index_;
  std::vector<keystore::PersonPatch> patches_;
};

Result<ChangeOutcome> Changer::change(const ChangeRows& rows, keystore::SegmentRow segment,
                                      const keystore::Actor& actor, keystore::JobRow& job) {
  if (SegmentChanger::independent_rows(rows) != rows.old_codes.size())
    return fail(ErrorCode::kInternal, "the rows of a segment depend on each other");
  generation_ = &site_.active_generation();
  FUGO_ASSIGN(const auto state, site_.ledger().state());
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  segment.number = state.next_segment;
  segment.job = job.number;
  segment.time = job.time;
  FUGO_TRY(people_.judge(rows, *snapshot, job.join));
  people_.give_ids(state.next_person);
  FUGO_TRY(going());
  FUGO_TRY(find_pairs(*snapshot, job));
  FUGO_TRY(find_issued(*snapshot, segment.number));
  FUGO_TRY(going());
  FUGO_TRY(make_pairs());
  FUGO_TRY(make_records());
  FUGO_TRY(going());
  FUGO_TRY(collect_people(segment.number, state.next_person));

  keystore::SegmentData data;
  segment.people_new = static_cast<std::uint32_t>(index_.size());
  segment.issuances_new = static_cast<std::uint32_t>(issued_.size());
  data.row = segment;
  data.linkage_generation = site_.active_generation().linkage_generation;
  data.job = job;
  data.people = new_people_.span();
  data.index = index_;
  data.issued = issued_;
  data.patches = patches_;
  FUGO_TRY(add_digests(segment.time, data));
  count(actor, data);
  FUGO_TRY(going());
  FUGO_TRY(site_.ledger().commit_segment(data));
  job = data.job;
  return outcome();
}

Result<ChangeOutcome> Changer::answer(const ChangeRows& rows, const keystore::SegmentRow& segment) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_TRY(people_.recall(rows, *snapshot, segment));
  FUGO_TRY(make_again(*snapshot, segment.job));
  return outcome();
}

Result<ChangeOutcome> Changer::answer_without_rows(const keystore::SegmentRow& segment) {
  FUGO_ASSIGN(const auto snapshot, site_.ledger().snapshot());
  FUGO_TRY(people_.recall_moves(*snapshot, segment.number));
  FUGO_TRY(make_again(*snapshot, segment.job));
  return outcome();
}

// What agencies and the site were told of people_'s moves when the job ran.
Status Changer::make_again(const keystore::Snapshot& snapshot, keystore::JobNumber number) {
  FUGO_ASSIGN(const auto job, site_.ledger().job(number));
  generation_ = site_.find_accepted(job.generation);
  if (generation_ == nullptr)
    return fail(ErrorCode::kRefused, "the symbol version of this answered request is not in use",
                "segment of job " + job.id);
  FUGO_TRY(people_.take_linkage_of(snapshot, *generation_));
  FUGO_TRY(going());
  FUGO_TRY(find_pairs(snapshot, job));
  FUGO_TRY(going());
  FUGO_TRY(make_pairs());
  return make_records();
}

// Every agency that holds an old person and was not closed when the job started.
Status Changer::find_pairs(const keystore::Snapshot& snapshot, const keystore::JobRow& job) {
  const auto moves = people_.moves();
  std::vector<std::uint32_t> order(moves.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return moves[a].from < moves[b].from; });
  std::vector<PersonId> ids;
  for (const std::uint32_t move : order) ids.push_back(moves[move].from);
  std::vector<Holding> holdings;
  FUGO_TRY(find_holdings(snapshot, site_.agencies(), ids, holdings));
  pair_keys_.clear();
  for (const Holding& holding : holdings) {
    const auto& closed = job.closed_agencies;
    if (std::find(closed.begin(), closed.end(), holding.agency) != closed.end()) continue;
    pair_keys_.push_back({holding.agency, order[holding.person]});
  }
  return {};
}

// An agency that has a pair gets an issuance of the new person, unless it holds that one already.
Status Changer::find_issued(const keystore::Snapshot& snapshot, keystore::SegmentNumber segment) {
  const auto moves = people_.moves();
  std::vector<PairKey> wanted(pair_keys_);
  std::sort(wanted.begin(), wanted.end(), [&](const PairKey& a, const PairKey& b) {
    return std::pair(a.agency, moves[a.move].to) < std::pair(b.agency, moves[b.move].to);
  });
  std::vector<keystore::IssuedKey> keys;  // of those who were there before
  for (const PairKey& pair : wanted)
    if (moves[pair.move].joined) keys.push_back({pair.agency, moves[pair.move].to});
  std::vector<keystore::SegmentNumber> segments(keys.size());
  FUGO_TRY(snapshot.find_issued(keys, segments));
  issued_.clear();
  issued_moves_.clear();
  std::size_t key = 0;
  for (const PairKey& pair : wanted) {
    const Move& move = moves[pair.move];
    if (move.joined && segments[key++] != keystore::kNoSegment) continue;
    issued_.push_back({{pair.agency, move.to}, segment});
    issued_moves_.push_back(pair.move);
  }
  return {};
}

Status Changer::make_pairs() {
  const std::size_t count = pair_keys_.size();
  const auto old_symbols = people_.old_symbols();
  const auto new_symbols = people_.new_symbols();
  FUGO_ASSIGN(pairs_, SecretArray<SymbolPair>::create(count));
  FUGO_ASSIGN(auto linkage, SecretArray<Block>::create(2 * count));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(2 * count));
  std::vector<AgencyNumber> agencies(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    linkage[2 * i] = old_symbols[pair_keys_[i].move];
    linkage[2 * i + 1] = new_symbols[pair_keys_[i].move];
    agencies[2 * i] = agencies[2 * i + 1] = pair_keys_[i].agency;
  }
  FUGO_TRY(site_.symbols().agency(generation_->number, agencies, linkage.span(), symbols.span()));
  for (std::size_t i = 0; i < count; ++i)
    pairs_[i] = {pair_keys_[i].agency, symbols[2 * i], symbols[2 * i + 1]};
  std::sort(pairs_.span().begin(), pairs_.span().end(), pair_before);
  return {};
}

Status Changer::make_records() {
  const std::size_t count = people_.moves().size();
  FUGO_ASSIGN(records_, SecretArray<SymbolPair>::create(count));
  FUGO_ASSIGN(auto before, SecretArray<Block>::create(count));
  FUGO_ASSIGN(auto after, SecretArray<Block>::create(count));
  FUGO_TRY(site_.symbols().record(*generation_, people_.old_symbols(), before.span()));
  FUGO_TRY(site_.symbols().record(*generation_, people_.new_symbols(), after.span()));
  for (std::size_t i = 0; i < count; ++i) records_[i] = {0, before[i], after[i]};
  std::sort(records_.span().begin(), records_.span().end(), pair_before);
  return {};
}

// The new people's records and index entries, and the patches of the old ones.
Status Changer::collect_people(keystore::SegmentNumber segment, PersonId first_new) {
  const auto moves = people_.moves();
  const auto made = static_cast<std::size_t>(
      std::count_if(moves.begin(), moves.end(), [](const Move& move) { return !move.joined; }));
  FUGO_ASSIGN(new_people_, SecretArray<keystore::PersonRecord>::create(made));
  index_.clear();
  patches_.clear();
  const auto& start = site_.starts().back().made_by;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const Move& move = moves[i];
    patches_.push_back({move.from, generation_->number, keystore::PersonState::kSuperseded,
                        people_.old_records()[i].predecessor, move.to, segment});
    if (move.joined) continue;
    keystore::PersonRecord& record = new_people_[move.to - first_new];
    record = {};
    record.linkage_symbol = people_.new_symbols()[i];
    record.check_value = people_.new_checks()[i];
    record.counter = move.counter;
    record.start = start.number;
    record.method = start.linkage_method;
    record.predecessor = move.from;
    record.segment = segment;
    index_.push_back({move.digest, move.to, keystore::symbol_tag(record.check_value)});
  }
  std::sort(patches_.begin(), patches_.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::sort(index_.begin(), index_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.digest, a.id) < std::pair(b.digest, b.id);
  });
  return {};
}

// A superseded person's element has the state in it: the old one goes, the new one comes.
Status Changer::add_digests(std::int64_t time, keystore::SegmentData& data) {
  const auto digest = site_.ledger().content_digest();
  keystore::DigestSum before;
  const auto olds = people_.old_records();
  FUGO_TRY(digest->add_people(olds, before));
  for (keystore::PersonRecord& person : olds) person.state = keystore::PersonState::kSuperseded;
  FUGO_TRY(digest->add_people(olds, data.people_digest));
  FUGO_TRY(digest->add_people(data.people, data.people_digest));
  data.people_digest.subtract(before);
  std::vector<DatedIssuance> issuances;
  for (std::size_t i = 0; i < issued_.size(); ++i)
    issuances.push_back({issued_[i].key.agency, issued_moves_[i], time});
  return add_issuance_digests(site_, issuances, people_.new_symbols(), data.issued_digest,
                              data.times_digest);
}

// Moves the job's counts on, and writes statistics and the journal's entry.
void Changer::count(const keystore::Actor& actor, keystore::SegmentData& data) const {
  const auto results = people_.results();
  const auto changed = static_cast<std::uint64_t>(
      std::count(results.begin(), results.end(), ChangeResult::kChanged));
  const auto joined =
      static_cast<std::uint64_t>(std::count(results.begin(), results.end(), ChangeResult::kJoined));
  const std::string day = local_day(data.row.time);
  const keystore::Generation generation = generation_->number;
  for (const auto& entry : issued_) {
    if (data.stats.empty() || data.stats.back().agency != entry.key.agency)
      data.stats.push_back({day, entry.key.agency, generation, 0, 0, 0});
    ++data.stats.back().count_new;
  }
  data.job.rows_done = data.row.first_row + data.row.rows;
  data.job.segments += 1;
  if (data.job.first_segment == keystore::kNoSegment) data.job.first_segment = data.row.number;
  data.job.people_new += changed;
  data.job.count_existing += joined;
  data.job.count_new += data.row.issuances_new;
  data.job.count_rejected += results.size() - changed - joined;
  data.journal =
      keystore::journal_entry(actor, "change.segment",
                              nlohmann::json{{"request", data.job.id},
                                             {"segment", data.row.number},
                                             {"rows", data.row.rows},
                                             {"changed", changed},
                                             {"joined", joined},
                                             {"new", data.row.issuances_new},
                                             {"rejected", results.size() - changed - joined}}
                                  .dump());
}

// Codes is a set of resident codes in secret memory: open addressing, a code plus one in a slot.
class Codes {
 public:
  static Result<Codes> create(std::size_t most) {
    std::size_t slots = 16;
    while (slots < 2 * most) slots *= 2;
    FUGO_ASSIGN(auto array, SecretArray<std::uint64_t>::create(slots));
    return Codes(std::move(array));
  }
  [[nodiscard]] bool contains(std::uint64_t code) { return slot_of(code) == code + 1; }
  void insert(std::uint64_t code) { slot_of(code) = code + 1; }

 private:
  explicit Codes(SecretArray<std::uint64_t> slots) : slots_(std::move(slots)) {}
  std::uint64_t& slot_of(std::uint64_t code) {
    std::size_t at = (code * 0x9E3779B97F4A7C15ULL) >> 20U;
    for (at &= slots_.size() - 1; slots_[at] != 0 && slots_[at] != code + 1;)
      at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }
  SecretArray<std::uint64_t> slots_;
};

}  // namespace

Result<std::unique_ptr<SegmentChanger>> SegmentChanger::create(Site& site, std::size_t max_rows) {
  FUGO_ASSIGN(auto people, ChangePeople::create(site, max_rows));
  return std::make_unique<Changer>(site, std::move(people));
}

std::size_t SegmentChanger::independent_rows(const ChangeRows& rows) {
  auto seen = Codes::create(2 * rows.old_codes.size());
  if (!seen) return std::min<std::size_t>(1, rows.old_codes.size());  // slower, and right
  for (std::size_t row = 0; row < rows.old_codes.size(); ++row) {
    const std::uint64_t old_code = rows.old_codes[row], new_code = rows.new_codes[row];
    if (seen->contains(old_code) || seen->contains(new_code)) return row;
    seen->insert(old_code);
    seen->insert(new_code);
  }
  return rows.old_codes.size();
}

}  // namespace fugo::engine
