#include "keystore/verify_range.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/parallel.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kBatch = 4096;

std::string person_name(PersonId id) { return "person " + std::to_string(id); }

// Range holds what is computed of each person of a range. Secret.
struct Range {
  PersonId first = 0;
  std::size_t count = 0;
  SecretArray<Block> bases;
  SecretArray<std::uint64_t> digests;
  SecretArray<std::uint32_t> tags;
  std::vector<bool> deleted;

  static Result<Range> create(PersonId first, PersonId last) {
    Range range;
    range.first = first;
    range.count = last - first;
    FUGO_ASSIGN(range.bases, SecretArray<Block>::create(range.count));
    FUGO_ASSIGN(range.digests, SecretArray<std::uint64_t>::create(range.count));
    FUGO_ASSIGN(range.tags, SecretArray<std::uint32_t>::create(range.count));
    range.deleted.resize(range.count);
    return range;
  }
};

void check_links(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                 PersonId id, const PersonRecord& person, Findings& findings) {
  const PersonId people = input.snapshot.people();
  for (const PersonId other : {person.predecessor, person.successor})
    if (other != kNoPerson && (other >= people || other == id))
      findings.add("names a predecessor or successor that does not exist", person_name(id));
  const bool active = person.state == PersonState::kActive;
  if (active == (person.successor != kNoPerson) || active == (person.superseded_in != kNoSegment))
    findings.add("is superseded and names nobody, or the other way round", person_name(id));
  if (person.segment >= tables.time_of_segment.size() ||
      tables.time_of_segment[person.segment] == VerifyTables::kUnknown)
    findings.add("names segment " + std::to_string(person.segment) + ", which does not exist",
                 person_name(id));
  if (person.start > generation || !tables.linkage_generations[person.start])
    findings.add("starts from version " + std::to_string(person.start) +
                     ", which it cannot have been made in",
                 person_name(id));
}

// check_chain looks at a person's neighbours in a chain: whom they name must be there, and a
// predecessor must name them. Few people have any. A generation that does not go on to the last
// person says nothing of those beyond.
Status check_chain(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                   PersonId id, const PersonRecord& person, Findings& findings) {
  const PersonId people = tables.people_of(generation);
  FUGO_ASSIGN(auto other, SecretArray<PersonRecord>::create(1));
  if (person.successor < people) {
    FUGO_TRY(input.snapshot.read_people_range(generation, person.successor, other.span()));
    if (other[0].state == PersonState::kDeleted)
      findings.add("has a successor who was deleted", person_name(id));
  }
  if (person.predecessor < people) {
    FUGO_TRY(input.snapshot.read_people_range(generation, person.predecessor, other.span()));
    if (other[0].state == PersonState::kDeleted || other[0].successor != id)
      findings.add("has a predecessor who does not name it as successor", person_name(id));
  }
  return {};
}

// Starters counts people by start; neighbours mostly have the same.
class Starters {
 public:
  explicit Starters(std::map<Generation, std::uint64_t>& counts) : counts_(counts) {}
  ~Starters() { flush(); }
  Starters(const Starters&) = delete;
  Starters& operator=(const Starters&) = delete;
  void add(Generation start) {
    if (start != start_) flush(), start_ = start;
    ++count_;
  }

 private:
  void flush() {
    if (count_ != 0) counts_[start_] += std::exchange(count_, 0);
  }
  std::map<Generation, std::uint64_t>& counts_;
  Generation start_ = 0;
  std::uint64_t count_ = 0;
};

// read_range reads the records and keeps what the later steps need of them.
Status read_range(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                  Range& range, Findings& findings, RangeTotals& totals) {
  FUGO_ASSIGN(auto people, SecretArray<PersonRecord>::create(kBatch));
  FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(kBatch));
  Starters starters(totals.starters);
  for (std::size_t from = 0; from < range.count; from += kBatch) {
    const std::size_t count = std::min(kBatch, range.count - from);
    const auto batch = people.span().first(count);
    const auto first = static_cast<PersonId>(range.first + from);
    FUGO_TRY(input.snapshot.read_people_range(generation, first, batch));
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      symbols[i] = batch[i].linkage_symbol;
      range.tags[from + i] = symbol_tag(batch[i].check_value);
      range.deleted[from + i] = batch[i].state == PersonState::kDeleted;
      if (range.deleted[from + i]) {
        ++totals.deleted;
        continue;
      }
      const auto id = static_cast<PersonId>(first + i);
      check_links(input, tables, generation, id, batch[i], findings);
      if (batch[i].predecessor != kNoPerson || batch[i].successor != kNoPerson)
        FUGO_TRY(check_chain(input, tables, generation, id, batch[i], findings));
      starters.add(batch[i].start);
      batch[kept++] = batch[i];
    }
    const auto made = symbols.span().first(count);
    FUGO_TRY(input.keys.symbol_digests(made, range.digests.span().subspan(from, count)));
    FUGO_TRY(input.digest.person_bases(made, range.bases.span().subspan(from, count)));
    FUGO_TRY(input.digest.add_people(batch.first(kept), totals.people_digest));
  }
  return {};
}

// share_symbol compares two people's linkage symbols in constant time.
Result<bool> share_symbol(const VerifyInput& input, Generation generation, PersonId a, PersonId b) {
  FUGO_ASSIGN(auto pair, SecretArray<PersonRecord>::create(2));
  FUGO_TRY(input.snapshot.read_people_range(generation, a, pair.span().first(1)));
  FUGO_TRY(input.snapshot.read_people_range(generation, b, pair.span().last(1)));
  return equal_in_constant_time(pair[0].linkage_symbol.bytes, pair[1].linkage_symbol.bytes);
}

// check_hits looks at what the index says for one person.
Status check_hits(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                  PersonId id, std::uint32_t tag, std::span<const IndexHit> hits,
                  Findings& findings, RangeTotals& totals) {
  std::size_t own = 0;
  for (const IndexHit& hit : hits) {
    if (hit.id == id) {
      ++own;
      if (hit.tag != tag) findings.add("has an index entry with another tag", person_name(id));
    } else if (hit.id >= tables.people_of(generation)) {
      findings.add("has an index entry of its symbol that names nobody", person_name(id));
    } else {
      FUGO_ASSIGN(const bool shared, share_symbol(input, generation, id, hit.id));
      if (shared)
        findings.add("shares its linkage symbol with " + person_name(hit.id), person_name(id));
    }
  }
  if (own == 0) findings.add("has no index entry", person_name(id));
  if (own > 1) findings.add("has more than one index entry", person_name(id));
  if (own > 0) ++totals.indexed;
  return {};
}

Status check_index(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                   const Range& range, Findings& findings, RangeTotals& totals) {
  std::vector<std::uint32_t> order;  // positions in the range, by digest
  order.reserve(range.count);
  for (std::uint32_t i = 0; i < range.count; ++i)
    if (!range.deleted[i]) order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return range.digests[a] < range.digests[b]; });
  FUGO_ASSIGN(auto queries, SecretArray<std::uint64_t>::create(order.size()));
  for (std::size_t i = 0; i < order.size(); ++i) queries[i] = range.digests[order[i]];
  std::vector<IndexHit> hits;
  hits.reserve(order.size());
  FUGO_TRY(input.snapshot.find_people(generation, queries.span(), hits));
  std::size_t from = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::size_t to = from;
    while (to < hits.size() && hits[to].query == i) ++to;
    const auto id = static_cast<PersonId>(range.first + order[i]);
    FUGO_TRY(check_hits(input, tables, generation, id, range.tags[order[i]],
                        std::span(hits).subspan(from, to - from), findings, totals));
    from = to;
  }
  return {};
}

// IssuancesOfAgency checks and adds up the issuances of one agency to the people of a range.
class IssuancesOfAgency {
 public:
  IssuancesOfAgency(const VerifyInput& input, const VerifyTables& tables, std::size_t agency,
                    const Range& range, Findings& findings, RangeTotals& totals)
      : input_(input),
        tables_(tables),
        agency_(input.agencies[agency]),
        mask_(tables.agency_masks[agency]),
        range_(range),
        findings_(findings),
        totals_(totals) {}

  Status add(std::span<const IssuedEntry> piece) {
    FUGO_TRY(reserve(piece.size()));
    std::size_t count = 0;
    for (const IssuedEntry& entry : piece) {
      if (!exists(entry)) continue;
      bases_[count] = range_.bases[entry.key.id - range_.first];
      masks_[count] = mask_;
      FUGO_ASSIGN(time_masks_[count], time_mask(tables_.time_of_segment[entry.segment]));
      ++count;
    }
    const auto bases = bases_.span().first(count);
    FUGO_TRY(input_.digest.add_issuances(bases, masks_.span().first(count), totals_.issued_digest));
    FUGO_TRY(
        input_.digest.add_issuances(bases, time_masks_.span().first(count), totals_.times_digest));
    totals_.issuances += count;
    return {};
  }

 private:
  Status reserve(std::size_t count) {
    if (count <= bases_.size()) return {};
    FUGO_ASSIGN(bases_, SecretArray<Block>::create(count));
    FUGO_ASSIGN(masks_, SecretArray<Block>::create(count));
    FUGO_ASSIGN(time_masks_, SecretArray<Block>::create(count));
    return {};
  }

  bool exists(const IssuedEntry& entry) {
    const std::size_t position = entry.key.id - range_.first;
    const char* what = nullptr;
    if (position >= range_.count)
      what = "names a person who does not exist";
    else if (range_.deleted[position])
      what = "names a person who was deleted";
    else if (entry.segment >= tables_.time_of_segment.size() ||
             tables_.time_of_segment[entry.segment] == VerifyTables::kUnknown)
      what = "names a segment that does not exist";
    if (what == nullptr) return true;
    findings_.add(what, "issuance to agency " + agency_.code + " of " + person_name(entry.key.id));
    return false;
  }

  Result<Block> time_mask(std::uint32_t time) {
    const auto known = known_time_masks_.find(time);
    if (known != known_time_masks_.end()) return known->second;
    FUGO_ASSIGN(const Block mask,
                input_.digest.agency_time_mask(agency_.code, tables_.times[time]));
    known_time_masks_.emplace(time, mask);
    return mask;
  }

  const VerifyInput& input_;
  const VerifyTables& tables_;
  const Agency& agency_;
  const Block mask_;
  const Range& range_;
  Findings& findings_;
  RangeTotals& totals_;
  SecretArray<Block> bases_, masks_, time_masks_;
  std::map<std::uint32_t, Block> known_time_masks_;
};

Status check_issuances(const VerifyInput& input, const VerifyTables& tables, const Range& range,
                       Findings& findings, RangeTotals& totals) {
  const bool at_end = range.first + range.count >= tables.people_of(input.generation);
  const auto last = at_end ? kNoPerson : static_cast<PersonId>(range.first + range.count);
  for (std::size_t i = 0; i < input.agencies.size(); ++i) {
    IssuancesOfAgency issuances(input, tables, i, range, findings, totals);
    FUGO_TRY(findings.take(input.snapshot.scan_issued(
        input.agencies[i].number, range.first, last,
        [&](std::span<const IssuedEntry> piece) { return issuances.add(piece); })));
  }
  return {};
}

}  // namespace

void Findings::add(std::string what, std::string where) {
  const std::lock_guard lock(mutex_);
  if (list_.size() >= limit_) return;
  list_.push_back(fail(ErrorCode::kDamaged, std::move(what), std::move(where),
                       "restore from the backup or the second site")
                      .value());
}

Status Findings::take(Status status) {
  if (status || status.error().code != ErrorCode::kDamaged) return status;
  const std::lock_guard lock(mutex_);
  if (list_.size() < limit_) list_.push_back(std::move(status).error());
  return {};
}

std::vector<Error> Findings::list() const {
  const std::lock_guard lock(mutex_);
  return list_;
}

Result<VerifyTables> VerifyTables::create(const VerifyInput& input) {
  VerifyTables tables;
  std::map<std::int64_t, std::uint32_t> positions;
  tables.time_of_segment.assign(input.state.next_segment, kUnknown);
  for (const SegmentRow& segment : input.segments) {
    if (segment.number >= tables.time_of_segment.size()) continue;
    const auto [at, fresh] =
        positions.try_emplace(segment.time, static_cast<std::uint32_t>(positions.size()));
    if (fresh) tables.times.push_back(segment.time);
    tables.time_of_segment[segment.number] = at->second;
  }
  for (const Agency& agency : input.agencies) {
    FUGO_ASSIGN(const Block mask, input.digest.agency_mask(agency.code));
    tables.agency_masks.push_back(mask);
  }
  tables.linkage_generations.resize(std::size_t{1} << 16U);
  for (const GenerationRow& row : input.generations)
    if (row.linkage_generation == row.number) tables.linkage_generations[row.number] = true;
  for (const FileRow& row : input.snapshot.files())
    if (row.kind == FileKind::kPerson)
      tables.people[row.generation] += static_cast<PersonId>(row.entries);
  return tables;
}

void RangeTotals::add(const RangeTotals& other) {
  indexed += other.indexed;
  deleted += other.deleted;
  issuances += other.issuances;
  people_digest.add(other.people_digest);
  issued_digest.add(other.issued_digest);
  times_digest.add(other.times_digest);
  for (const auto& [start, count] : other.starters) starters[start] += count;
}

Status check_range(const VerifyInput& input, const VerifyTables& tables, Generation generation,
                   PersonId first, PersonId last, Findings& findings, RangeTotals& totals) {
  FUGO_ASSIGN(auto range, Range::create(first, last));
  FUGO_TRY(read_range(input, tables, generation, range, findings, totals));
  FUGO_TRY(findings.take(check_index(input, tables, generation, range, findings, totals)));
  if (generation != input.generation) return {};
  return check_issuances(input, tables, range, findings, totals);
}

}  // namespace fugo::keystore
