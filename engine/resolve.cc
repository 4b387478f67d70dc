#include "engine/resolve.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <unordered_map>

#include "base/secret.h"
#include "engine/issue/index_look.h"
#include "engine/issue/sorting.h"

namespace fugo::engine {
namespace {

using keystore::Agency;
using keystore::AgencyNumber;
using keystore::kNoPerson;
using keystore::PersonId;

constexpr std::size_t kPeopleAtOnce = 256 * 1024;

// Resolved is who each item is about: its person, and that person's linkage symbol.
struct Resolved {
  std::vector<PersonId> ids;   // kNoPerson: unknown
  SecretArray<Block> symbols;  // in the active generation, where an id is known
};

// Linker is one run of link_symbols.
class Linker {
 public:
  Linker(Site& site, const keystore::Snapshot& snapshot, const Agency& from, const Agency& to,
         std::span<LinkItem> items, const std::function<Status()>& keep_going)
      : site_(site),
        snapshot_(snapshot),
        from_(from),
        to_(to),
        items_(items),
        keep_going_(keep_going) {}

  Status run() {
    resolved_.ids.assign(items_.size(), kNoPerson);
    FUGO_ASSIGN(resolved_.symbols, SecretArray<Block>::create(items_.size()));
    if (site_.symbols().method_of(active(), from_.number) == nullptr)
      return fail(ErrorCode::kRefused, "has no method in the active generation",
                  "agency " + from_.code);
    for (const Accepted& generation : site_.accepted()) FUGO_TRY(resolve(generation));
    FUGO_TRY(going());
    return answer();
  }

 private:
  [[nodiscard]] keystore::Generation active() const { return site_.active_generation().number; }

  // Items that newer generations do not know, by the symbols of this one.
  Status resolve(const Accepted& generation) {
    generation_ = &generation;
    const Method* method = site_.symbols().method_of(generation.row.number, from_.number);
    const bool is_active = generation.row.number == active();
    if (method == nullptr ||
        (!is_active && same_symbols(from_, generation.row, site_.active_generation())))
      return {};
    open_.clear();
    for (std::uint32_t i = 0; i < items_.size(); ++i)
      if (resolved_.ids[i] == kNoPerson && items_[i].status != LinkStatus::kBadSymbol)
        open_.push_back(i);
    if (open_.empty()) return {};
    if (method->invertible)
      FUGO_TRY(resolve_by_inverse());
    else
      FUGO_TRY(resolve_by_recomputing());
    return is_active ? Status{} : take_active_symbols();
  }

  // L of every open item by the token's inverse; then the person by the index, and A's issuance.
  Status resolve_by_inverse() {
    const std::size_t count = open_.size();
    FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(count));
    FUGO_ASSIGN(linkage_, SecretArray<Block>::create(count));
    for (std::size_t i = 0; i < count; ++i) symbols[i] = items_[open_[i]].symbol;
    FUGO_TRY(site_.symbols().invert_agency(generation_->row.number, from_.number, symbols.span(),
                                           linkage_.span()));
    std::vector<std::uint64_t> digests(count);
    FUGO_TRY(site_.ledger().keys()->symbol_digests(linkage_.span(), digests));
    std::vector<KeyedRow> sorted(count);
    for (std::size_t i = 0; i < count; ++i) sorted[i] = {digests[i], static_cast<std::uint32_t>(i)};
    std::vector<KeyedRow> scratch;
    sort_by_key(sorted, scratch);
    for (std::size_t i = 0; i < count; ++i) digests[i] = sorted[i].key;
    std::vector<keystore::IndexHit> hits;
    FUGO_TRY(snapshot_.find_people(generation_->row.linkage_generation, digests, hits));
    FUGO_TRY(going());
    FUGO_TRY(confirm_hits(sorted, hits));
    return drop_those_not_issued();
  }

  // A hit of the 64-bit digest counts only when the record holds the same linkage symbol.
  Status confirm_hits(const std::vector<KeyedRow>& sorted,
                      const std::vector<keystore::IndexHit>& hits) {
    std::vector<PersonId> ids;
    for (const auto& hit : hits) ids.push_back(hit.id);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    FUGO_ASSIGN(auto records, SecretArray<keystore::PersonRecord>::create(ids.size()));
    FUGO_TRY(snapshot_.read_people(generation_->row.linkage_generation, ids, records.span()));
    for (const auto& hit : hits) {
      const std::uint32_t item = sorted[hit.query].row;
      const auto at = std::lower_bound(ids.begin(), ids.end(), hit.id) - ids.begin();
      if (!same_secret(records[static_cast<std::size_t>(at)].linkage_symbol, linkage_[item]))
        continue;
      resolved_.ids[open_[item]] = hit.id;
      resolved_.symbols[open_[item]] = linkage_[item];
    }
    return {};
  }

  // Recomputes the symbol of everyone whom `from` was issued, piece by piece, and keeps those that
  // were asked for.
  Status resolve_by_recomputing() {
    wanted_.clear();
    for (const std::uint32_t i : open_)
      wanted_.emplace(load_be<std::uint64_t>(items_[i].symbol.bytes.data()), i);
    FUGO_ASSIGN(records_, SecretArray<keystore::PersonRecord>::create(kPeopleAtOnce));
    FUGO_ASSIGN(linkage_, SecretArray<Block>::create(kPeopleAtOnce));
    FUGO_ASSIGN(recomputed_, SecretArray<Block>::create(kPeopleAtOnce));
    FUGO_TRY(snapshot_.scan_issued(from_.number, 0, kNoPerson,
                                   [&](std::span<const keystore::IssuedEntry> entries) -> Status {
                                     for (const auto& entry : entries) {
                                       if (entry.segment > generation_->last_segment) continue;
                                       piece_.push_back(entry.key.id);
                                       if (piece_.size() == kPeopleAtOnce)
                                         FUGO_TRY(recompute_piece());
                                     }
                                     return {};
                                   }));
    return recompute_piece();
  }

  // Those whom an older generation's symbols named get the linkage symbols of today.
  Status take_active_symbols() {
    std::vector<std::uint32_t> found;
    for (const std::uint32_t i : open_)
      if (resolved_.ids[i] != kNoPerson) found.push_back(i);
    std::sort(found.begin(), found.end(), [&](std::uint32_t a, std::uint32_t b) {
      return resolved_.ids[a] < resolved_.ids[b];
    });
    std::vector<PersonId> ids;
    for (const std::uint32_t i : found) ids.push_back(resolved_.ids[i]);
    FUGO_ASSIGN(auto records, SecretArray<keystore::PersonRecord>::create(ids.size()));
    FUGO_TRY(
        snapshot_.read_people(site_.active_generation().linkage_generation, ids, records.span()));
    for (std::size_t i = 0; i < found.size(); ++i)
      resolved_.symbols[found[i]] = records[i].linkage_symbol;
    return {};
  }

  Status going() const { return keep_going_ ? keep_going_() : Status{}; }

  Status recompute_piece() {
    FUGO_TRY(going());
    const std::size_t count = piece_.size();
    FUGO_TRY(snapshot_.read_people(generation_->row.linkage_generation, piece_,
                                   records_.span().first(count)));
    for (std::size_t i = 0; i < count; ++i) linkage_[i] = records_[i].linkage_symbol;
    const std::vector<AgencyNumber> agencies(count, from_.number);
    FUGO_TRY(site_.symbols().agency(generation_->row.number, agencies, linkage_.span().first(count),
                                    recomputed_.span().first(count)));
    for (std::size_t i = 0; i < count; ++i) {
      const auto [first, last] =
          wanted_.equal_range(load_be<std::uint64_t>(recomputed_[i].bytes.data()));
      for (auto item = first; item != last; ++item) {
        if (!same_secret(items_[item->second].symbol, recomputed_[i])) continue;
        resolved_.ids[item->second] = piece_[i];
        resolved_.symbols[item->second] = linkage_[i];
      }
    }
    piece_.clear();
    return {};
  }

  // Those of `items` with a known person, by person, and the segments that `agency` was issued them
  // in.
  Status look_up(AgencyNumber agency, std::span<const std::uint32_t> items,
                 std::vector<std::uint32_t>& known,
                 std::vector<keystore::SegmentNumber>& segments) {
    known.clear();
    for (const std::uint32_t i : items)
      if (resolved_.ids[i] != kNoPerson) known.push_back(i);
    std::sort(known.begin(), known.end(), [&](std::uint32_t a, std::uint32_t b) {
      return resolved_.ids[a] < resolved_.ids[b];
    });
    std::vector<keystore::IssuedKey> keys;
    keys.reserve(known.size());
    for (const std::uint32_t item : known) keys.push_back({agency, resolved_.ids[item]});
    segments.assign(known.size(), keystore::kNoSegment);
    return snapshot_.find_issued(keys, segments);
  }

  Status drop_those_not_issued() {
    std::vector<std::uint32_t> known;
    std::vector<keystore::SegmentNumber> segments;
    FUGO_TRY(look_up(from_.number, open_, known, segments));
    for (std::size_t i = 0; i < known.size(); ++i)
      if (segments[i] == keystore::kNoSegment || segments[i] > generation_->last_segment)
        resolved_.ids[known[i]] = kNoPerson;
    return {};
  }

  Status answer() {
    std::vector<std::uint32_t> known;
    std::vector<keystore::SegmentNumber> segments;
    std::vector<std::uint32_t> all(items_.size());
    std::iota(all.begin(), all.end(), 0U);
    FUGO_TRY(look_up(to_.number, all, known, segments));
    FUGO_ASSIGN(auto symbols, SecretArray<Block>::create(known.size()));
    FUGO_ASSIGN(auto linked, SecretArray<Block>::create(known.size()));
    for (std::size_t i = 0; i < known.size(); ++i) symbols[i] = resolved_.symbols[known[i]];
    const std::vector<AgencyNumber> agencies(known.size(), to_.number);
    FUGO_TRY(site_.symbols().agency(active(), agencies, symbols.span(), linked.span()));
    for (std::size_t i = 0; i < known.size(); ++i) {
      LinkItem& item = items_[known[i]];
      if (item.status == LinkStatus::kBadSymbol) continue;
      if (snapshot_.any_patched() &&
          snapshot_.state_of(resolved_.ids[known[i]]) != keystore::PersonState::kActive) {
        item.status = LinkStatus::kSuperseded;
      } else if (segments[i] == keystore::kNoSegment) {
        item.status = LinkStatus::kNotIssued;
      } else {
        item.status = LinkStatus::kOk;
        item.linked = linked[i];
      }
    }
    return {};
  }

  Site& site_;
  const keystore::Snapshot& snapshot_;
  const Agency& from_;
  const Agency& to_;
  std::span<LinkItem> items_;
  const std::function<Status()>& keep_going_;
  Resolved resolved_;

  // While one generation's symbols are resolved.
  const Accepted* generation_ = nullptr;
  std::vector<std::uint32_t> open_;                               // items
  std::unordered_multimap<std::uint64_t, std::uint32_t> wanted_;  // first 8 bytes -> item
  std::vector<PersonId> piece_;
  SecretArray<keystore::PersonRecord> records_;
  SecretArray<Block> linkage_, recomputed_;
};

Result<const Agency*> agency_of(Site& site, std::string_view code) {
  const Agency* agency = site.find_agency(code);
  if (agency == nullptr || agency->state == keystore::AgencyState::kClosed)
    return fail(ErrorCode::kRefused, "is not in the registry", "agency " + std::string(code),
                "see fugo agency list");
  return agency;
}

}  // namespace

Status link_symbols(Site& site, std::string_view from, std::string_view to,
                    std::span<LinkItem> items, const std::function<Status()>& keep_going) {
  FUGO_ASSIGN(const Agency* from_agency, agency_of(site, from));
  FUGO_ASSIGN(const Agency* to_agency, agency_of(site, to));
  if (items.empty()) return {};
  FUGO_ASSIGN(const auto snapshot, site.ledger().snapshot());
  return Linker(site, *snapshot, *from_agency, *to_agency, items, keep_going).run();
}

}  // namespace fugo::engine
