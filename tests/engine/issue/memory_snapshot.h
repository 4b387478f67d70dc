// A ledger's bulk data in memory, for tests of those who read it.
#pragma once

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "keystore/ledger_keys.h"
#include "keystore/snapshot.h"

namespace fugo::testing {

// MemorySnapshot answers from its members, which a test fills; one generation.
class MemorySnapshot : public keystore::Snapshot {
 public:
  std::vector<keystore::PersonRecord> records;  // by id
  std::vector<keystore::IndexEntry> index;      // in any order
  std::map<keystore::IssuedKey, keystore::SegmentNumber> issued;
  std::vector<keystore::PersonPatch> patched;  // ascending by id
  std::uint16_t probe = 0;                     // what probe_to() says

  // add_person gives the person the next id, and an index entry.
  keystore::PersonId add_person(const keystore::PersonRecord& record, std::uint64_t digest) {
    const auto id = static_cast<keystore::PersonId>(records.size());
    records.push_back(record);
    index.push_back({digest, id, keystore::symbol_tag(record.check_value)});
    return id;
  }

  Status find_people(keystore::Generation, std::span<const std::uint64_t> sorted_digests,
                     std::vector<keystore::IndexHit>& hits) const override {
    std::multimap<std::uint64_t, keystore::IndexEntry> by_digest;
    for (const auto& entry : index) by_digest.emplace(entry.digest, entry);
    for (std::uint32_t query = 0; query < sorted_digests.size(); ++query) {
      const auto [first, last] = by_digest.equal_range(sorted_digests[query]);
      for (auto at = first; at != last; ++at)
        hits.push_back({query, at->second.id, at->second.tag});
    }
    return {};
  }
  Status read_people(keystore::Generation, std::span<const keystore::PersonId> sorted_ids,
                     std::span<keystore::PersonRecord> to) const override {
    for (std::size_t i = 0; i < sorted_ids.size(); ++i) to[i] = records.at(sorted_ids[i]);
    return {};
  }
  Status read_people_range(keystore::Generation, keystore::PersonId first,
                           std::span<keystore::PersonRecord> to) const override {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = records.at(first + i);
    return {};
  }
  Status find_issued(std::span<const keystore::IssuedKey> sorted_keys,
                     std::span<keystore::SegmentNumber> segments) const override {
    for (std::size_t i = 0; i < sorted_keys.size(); ++i) {
      const auto at = issued.find(sorted_keys[i]);
      segments[i] = at == issued.end() ? keystore::kNoSegment : at->second;
    }
    return {};
  }
  Status scan_issued(keystore::AgencyNumber agency, keystore::PersonId first,
                     keystore::PersonId last, const VisitIssued& visit) const override {
    std::vector<keystore::IssuedEntry> entries;
    for (const auto& [key, segment] : issued)
      if (key.agency == agency && key.id >= first && key.id < last)
        entries.push_back({key, segment});
    return visit(entries);
  }
  Status scan_newly_issued(keystore::AgencyNumber agency,
                           std::span<const keystore::FileNumber> /*known*/,
                           const VisitIssued& visit) const override {
    return scan_issued(agency, 0, keystore::kNoPerson, visit);
  }
  [[nodiscard]] Result<std::uint64_t> count_issued(keystore::AgencyNumber agency) const override {
    std::uint64_t count = 0;
    for (const auto& [key, segment] : issued) count += key.agency == agency ? 1U : 0U;
    return count;
  }
  Status scan_index(keystore::Generation, const VisitIndex& visit) const override {
    return visit(index);
  }
  [[nodiscard]] std::span<const keystore::PersonPatch> patches() const override { return patched; }
  [[nodiscard]] bool any_patched() const override { return !patched.empty(); }
  [[nodiscard]] keystore::PersonState state_of(keystore::PersonId id) const override {
    const auto* patch = find_patch(id);
    return patch == nullptr ? keystore::PersonState::kActive : patch->state;
  }
  [[nodiscard]] keystore::SegmentNumber superseded_in(keystore::PersonId id) const override {
    const auto* patch = find_patch(id);
    return patch == nullptr ? keystore::kNoSegment : patch->superseded_in;
  }
  [[nodiscard]] std::uint16_t probe_to() const override { return probe; }
  [[nodiscard]] keystore::PersonId people() const override {
    return static_cast<keystore::PersonId>(records.size());
  }
  [[nodiscard]] const std::vector<keystore::FileRow>& files() const override { return files_; }

 private:
  [[nodiscard]] const keystore::PersonPatch* find_patch(keystore::PersonId id) const {
    const auto at = std::find_if(patched.begin(), patched.end(),
                                 [id](const auto& patch) { return patch.id == id; });
    return at == patched.end() ? nullptr : &*at;
  }

  std::vector<keystore::FileRow> files_;
};

}  // namespace fugo::testing
