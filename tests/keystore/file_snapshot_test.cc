#include "keystore/file_snapshot.h"

#include <gtest/gtest.h>

#include <thread>

#include "keystore/key_search.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

constexpr std::uint64_t kAllBits = ~std::uint64_t{0};

// Model is what a ledger of several segments must answer, in plain containers.
struct Model {
  std::multimap<std::uint64_t, IndexEntry> index;
  std::map<IssuedKey, SegmentNumber> issued;
  std::vector<PersonRecord> people;
  std::vector<FileRow> rows;
};

class FileSnapshotTest : public ::testing::Test {
 protected:
  // make writes `segments` segments of random sizes; digests are masked by `mask`.
  Model make(int segments, std::uint64_t mask) {
    Model model;
    std::set<IssuedKey> taken;
    for (int i = 0; i < segments; ++i) {
      const std::size_t size = random_() % 3000;
      const auto first = static_cast<PersonId>(model.people.size());
      const auto people = random_people(random_, size);
      const auto index = random_index(random_, size, mask, first);
      const auto issued = random_issued(random_, random_() % 3000, 5000, taken);
      const auto rows = write_segment_files(
          directory_.place, next_,
          {.generation = 1, .first_id = first, .people = people, .index = index, .issued = issued});
      EXPECT_TRUE(rows.has_value());
      next_ += rows->size();
      model.rows.insert(model.rows.end(), rows->begin(), rows->end());
      model.people.insert(model.people.end(), people.begin(), people.end());
      for (const auto& entry : index) model.index.emplace(entry.digest, entry);
      for (const auto& entry : issued) model.issued.emplace(entry.key, entry.segment);
    }
    return model;
  }

  // queries: present, absent and repeated digests, ascending.
  std::vector<std::uint64_t> queries(const Model& model, std::uint64_t mask) {
    std::vector<std::uint64_t> all{0, kAllBits};
    for (const auto& [digest, entry] : model.index)
      for (std::size_t k = random_() % 4; k > 1; --k) all.push_back(digest);
    for (int i = 0; i < 1500; ++i) all.push_back(random_() & mask);
    std::sort(all.begin(), all.end());
    return all;
  }

  static void expect_hits(const Model& model, const std::vector<std::uint64_t>& digests,
                          const Snapshot& snapshot) {
    std::vector<IndexHit> hits;
    ASSERT_OK(snapshot.find_people(1, digests, hits));
    std::size_t at = 0;
    for (std::uint32_t query = 0; query < digests.size(); ++query) {
      std::map<PersonId, std::uint32_t> expected, found;
      const auto [begin, end] = model.index.equal_range(digests[query]);
      for (auto i = begin; i != end; ++i) expected.emplace(i->second.id, i->second.tag);
      for (; at < hits.size() && hits[at].query == query; ++at)
        EXPECT_TRUE(found.emplace(hits[at].id, hits[at].tag).second) << "a hit came twice";
      ASSERT_EQ(found, expected) << "query " << query;
    }
    EXPECT_EQ(at, hits.size());
  }

  static void expect_issued(const Model& model, std::mt19937_64 random, const Snapshot& snapshot) {
    std::vector<IssuedKey> keys;
    for (const auto& [key, segment] : model.issued)
      for (std::size_t k = random() % 3; k > 0; --k) keys.push_back(key);
    for (int i = 0; i < 1000; ++i)
      keys.push_back({static_cast<AgencyNumber>(random() % 8), static_cast<PersonId>(random())});
    std::sort(keys.begin(), keys.end());
    std::vector<SegmentNumber> segments(keys.size(), 77);
    ASSERT_OK(snapshot.find_issued(keys, segments));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto known = model.issued.find(keys[i]);
      ASSERT_EQ(segments[i], known == model.issued.end() ? kNoSegment : known->second) << i;
    }
  }

  std::shared_ptr<const Snapshot> open(const Model& model) {
    auto snapshot = open_snapshot(directory_.place, model.rows);
    EXPECT_TRUE(snapshot.has_value()) << snapshot.error().message();
    return *snapshot;
  }

  BulkDirectory directory_;
  FileNumber next_ = 1;
  std::mt19937_64 random_{7};
};

TEST_F(FileSnapshotTest, FirstAtLeastAgreesWithLowerBound) {
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint64_t> keys(random_() % 40);
    for (auto& key : keys) key = random_() % 50;
    std::sort(keys.begin(), keys.end());
    for (std::uint64_t key = 0; key < 52; ++key) {
      const auto expected = std::lower_bound(keys.begin(), keys.end(), key) - keys.begin();
      for (std::size_t from = 0; from <= static_cast<std::size_t>(expected); ++from)
        ASSERT_EQ(first_at_least(keys, from, key), static_cast<std::size_t>(expected));
    }
  }
}

TEST_F(FileSnapshotTest, FindsWhatAModelFinds) {
  // Masks: all bits; few enough for hits in several files; so few that one digest fills blocks.
  for (const std::uint64_t mask : {kAllBits, std::uint64_t{0x3FF}, std::uint64_t{0x7}}) {
    for (const int segments : {1, 3, 7}) {
      const Model model = make(segments, mask);
      const auto snapshot = open(model);
      auto digests = queries(model, mask);
      if (mask == 0x7) digests.resize(std::min<std::size_t>(digests.size(), 60));
      expect_hits(model, digests, *snapshot);
      expect_issued(model, random_, *snapshot);
    }
  }
}

TEST_F(FileSnapshotTest, ScanIssuedGivesAnAgencysEntriesInOrder) {
  const Model model = make(5, kAllBits);
  const auto snapshot = open(model);
  for (int round = 0; round < 50; ++round) {
    const auto agency = static_cast<AgencyNumber>(random_() % 7);
    PersonId first = static_cast<PersonId>(random_() % 5200);
    PersonId last = static_cast<PersonId>(random_() % 5200);
    if (first > last) std::swap(first, last);
    if (round == 0) first = 0, last = kNoPerson;
    std::vector<std::pair<IssuedKey, SegmentNumber>> expected, seen;
    for (const auto& entry : model.issued)
      if (entry.first.agency == agency && entry.first.id >= first && entry.first.id < last)
        expected.emplace_back(entry);
    ASSERT_OK(snapshot->scan_issued(agency, first, last, [&](auto piece) -> Status {
      for (const IssuedEntry& entry : piece) seen.emplace_back(entry.key, entry.segment);
      return {};
    }));
    ASSERT_EQ(seen, expected);
  }
}

TEST_F(FileSnapshotTest, ManyThreadsLookUpAtOnce) {
  const Model model = make(6, kAllBits);
  const auto snapshot = open(model);  // fences are not opened yet: the threads race for them
  const auto digests = queries(model, kAllBits);
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      expect_hits(model, digests, *snapshot);
      expect_issued(model, std::mt19937_64(1), *snapshot);
    });
  for (auto& thread : threads) thread.join();
}

TEST_F(FileSnapshotTest, PeopleAcrossFilesAndPatches) {
  const Model model = make(4, kAllBits);
  const auto count = static_cast<PersonId>(model.people.size());
  std::vector<PersonRecord> expected = model.people;
  const auto patches = std::make_shared<PatchTable>();
  for (const PersonId id : {PersonId{0}, count / 2, count - 1}) {
    PersonRecord& person = expected[id];
    person.state = PersonState::kSuperseded;
    person.predecessor = 4, person.successor = 5, person.superseded_in = id + 6;
    patches->rows.push_back({id, 1, PersonState::kSuperseded, 4, 5, id + 6});
  }
  patches->rows.back().generation = 2;  // whichever generation was active then
  patches->probe_to = 3;
  const auto opened = open_snapshot(directory_.place, model.rows, patches);
  ASSERT_OK(opened);
  const Snapshot& snapshot = **opened;
  EXPECT_TRUE(snapshot.any_patched());
  EXPECT_EQ(snapshot.patches().size(), 3U);
  EXPECT_EQ(snapshot.probe_to(), 3U);
  EXPECT_EQ(snapshot.superseded_in(0), 6U);
  EXPECT_EQ(snapshot.superseded_in(1), kNoSegment);
  EXPECT_EQ(snapshot.state_of(0), expected[0].state);
  EXPECT_EQ(snapshot.state_of(1), PersonState::kActive);
  EXPECT_EQ(snapshot.state_of(count - 1), expected[count - 1].state);
  std::vector<PersonRecord> read(count);
  ASSERT_OK(snapshot.read_people_range(1, 0, read));
  for (PersonId id = 0; id < count; ++id) ASSERT_TRUE(same(read[id], expected[id])) << id;
  std::vector<PersonId> some{0, 0, 1, count / 2, count - 1};
  read.resize(some.size());
  ASSERT_OK(snapshot.read_people(1, some, read));
  for (std::size_t i = 0; i < some.size(); ++i) ASSERT_TRUE(same(read[i], expected[some[i]]));
}

TEST_F(FileSnapshotTest, StaysGoodWhenItsFilesAreUnlinked) {
  const Model model = make(3, kAllBits);
  const auto snapshot = open(model);
  remove_bulk_files(directory_.place, model.rows);
  expect_hits(model, queries(model, kAllBits), *snapshot);
  expect_issued(model, random_, *snapshot);
  // A new snapshot takes the open files over; without it they have gone.
  ASSERT_OK(open_snapshot(directory_.place, model.rows, {}, snapshot));
  const auto gone = open_snapshot(directory_.place, model.rows);
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, ErrorCode::kIo);
  EXPECT_EQ(gone.error().native, static_cast<std::uint64_t>(ENOENT));
}

TEST_F(FileSnapshotTest, GapsBetweenPersonFilesAreDamage) {
  Model model = make(4, kAllBits);
  const auto person = std::find_if(model.rows.begin(), model.rows.end(), [](const FileRow& row) {
    return row.kind == FileKind::kPerson;
  });
  ASSERT_NE(person, model.rows.end());
  model.rows.erase(person);
  const auto opened = open_snapshot(directory_.place, model.rows);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::kDamaged);
}

}  // namespace
}  // namespace fugo::keystore
