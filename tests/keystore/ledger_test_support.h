// What the tests of the ledger share: a ledger in a directory of its own, and made-up segments.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "keystore/ledger.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {

// test_data_key is the data key of every LedgerPlace.
inline SecretBytes<32> test_data_key() {
  SecretBytes<32> key;
  for (std::size_t i = 0; i < 32; ++i) key.data()[i] = static_cast<std::uint8_t>(i * 7);
  return key;
}

// LedgerPlace is a directory for a ledger, and its data key; removed at the end.
class LedgerPlace {
 public:
  LedgerPlace() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-ledger-XXXXXX").string();
    directory = ::mkdtemp(name.data());
    header.ledger_id.bytes = {1, 2, 3, 4};
    header.environment = "test";
    header.wrapped_data_key = {9, 8, 7};
    header.created = 1'700'000'000;
  }
  ~LedgerPlace() { std::filesystem::remove_all(directory); }
  LedgerPlace(const LedgerPlace&) = delete;
  LedgerPlace& operator=(const LedgerPlace&) = delete;

  [[nodiscard]] Status create() const {
    return Ledger::create(directory, header, key, [](Update& update) -> Status {
      FUGO_TRY(update.put_generation(GenerationRow{}));
      return update.append_journal({"tester", ""}, "init", "{}");
    });
  }
  [[nodiscard]] Result<std::unique_ptr<Ledger>> open(Access access) const {
    return Ledger::open(directory, access, key);
  }
  [[nodiscard]] std::size_t bulk_files() const {
    const auto files = std::filesystem::directory_iterator(directory / "data");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }

  std::filesystem::path directory;
  SecretBytes<32> key = test_data_key();
  LedgerHeader header;
};

inline Agency make_agency(const std::string& code, std::uint8_t parameter) {
  Agency agency;
  agency.code = code;
  agency.name = "Town of " + code;
  agency.added = 1'700'000'001;
  agency.versions.resize(1);
  agency.versions[0].parameter.bytes[5] = parameter;
  return agency;
}

inline JobRow make_job(const std::string& id) {
  JobRow job;
  job.id = id;
  job.time = 1'700'000'002;
  job.operator_name = "tester";
  job.output_directory = "/answers";
  job.segment_rows = 100;
  job.rows = 1'000'000;
  return job;
}

// SegmentMaker makes segments of random people whose first agency (1) is issued each of them, and
// keeps the model that the ledger must agree with.
class SegmentMaker {
 public:
  explicit SegmentMaker(std::uint64_t seed) : random_(seed) {}

  // commit makes a segment of `count` new people and commits it to the ledger's open job.
  [[nodiscard]] Result<SegmentNumber> commit(Ledger& ledger, std::size_t count) {
    FUGO_ASSIGN(const LedgerState state, ledger.state());
    FUGO_ASSIGN(JobRow job, ledger.job(state.open_job));
    std::vector<PersonRecord> people;
    std::vector<IndexEntry> index;
    std::vector<IssuedEntry> issued;
    for (std::size_t i = 0; i < count; ++i) {
      const auto id = static_cast<PersonId>(state.next_person + i);
      people.push_back(random_person(random_));
      index.push_back({digest_of(id), id, tag_of(id)});
      issued.push_back({{1, id}, state.next_segment});
    }
    std::sort(index.begin(), index.end(),
              [](const IndexEntry& a, const IndexEntry& b) { return a.digest < b.digest; });
    SegmentData data;
    data.row = {state.next_segment,
                job.number,
                job.time,
                job.rows_done,
                static_cast<std::uint32_t>(count),
                static_cast<std::uint32_t>(count),
                static_cast<std::uint32_t>(count)};
    job.rows_done += count;
    job.count_new += count;
    job.people_new += count;
    if (job.segments++ == 0) job.first_segment = state.next_segment;
    data.job = job;
    data.people = people;
    data.index = index;
    data.issued = issued;
    data.people_digest.limbs[0] = data.issued_digest.limbs[0] = data.times_digest.limbs[0] = count;
    data.stats = {{"2026-11-20", 1, 1, count, 0, 0}};
    data.journal.time = job.time;
    data.journal.operator_name = "tester";
    data.journal.act = "issue.segment";
    data.journal.details = "{}";
    return ledger.commit_segment(data);
  }

  // digest_of and tag_of: what the index must say of a person.
  static std::uint64_t digest_of(PersonId id) { return (id + 1) * 0x9E3779B97F4A7C15ULL; }
  static std::uint32_t tag_of(PersonId id) { return id * 2654435761U; }

 private:
  std::mt19937_64 random_;
};

// expect_whole compares all bulk data with what SegmentMaker must have put there.
inline void expect_whole(const Ledger& ledger) {
  const auto state = ledger.state();
  ASSERT_OK(state);
  const auto snapshot = ledger.snapshot();
  ASSERT_OK(snapshot);
  const PersonId people = (*snapshot)->people();
  EXPECT_GE(people, state->next_person);
  EXPECT_EQ(state->issuances, state->next_person);
  EXPECT_EQ(state->people_digest.limbs[0], state->next_person);
  std::vector<bool> seen(people, false);
  ASSERT_OK((*snapshot)->scan_index(1, [&](std::span<const IndexEntry> entries) -> Status {
    for (const IndexEntry& entry : entries) {
      EXPECT_LT(entry.id, people);
      EXPECT_EQ(entry.digest, SegmentMaker::digest_of(entry.id));
      EXPECT_EQ(entry.tag, SegmentMaker::tag_of(entry.id));
      EXPECT_FALSE(seen.at(entry.id));
      seen.at(entry.id) = true;
    }
    return {};
  }));
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<std::ptrdiff_t>(people));
  PersonId next = 0;
  ASSERT_OK((*snapshot)->scan_issued(1, 0, kNoPerson,
                                     [&](std::span<const IssuedEntry> entries) -> Status {
                                       for (const IssuedEntry& entry : entries)
                                         EXPECT_EQ(entry.key.id, next++);
                                       return {};
                                     }));
  EXPECT_EQ(next, people);
}

}  // namespace fugo::keystore
