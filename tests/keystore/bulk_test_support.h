// What the tests of bulk files share: a directory of their own, and random content with a model.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "keystore/bulk_files.h"

namespace fugo::keystore {

#define ASSERT_OK(expr)                                                \
  do {                                                                 \
    const auto& ok_result = (expr);                                    \
    ASSERT_TRUE(ok_result.has_value()) << ok_result.error().message(); \
  } while (false)

// BulkDirectory is an empty directory, removed at the end.
class BulkDirectory {
 public:
  BulkDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "fugo-bulk-XXXXXX").string();
    place.directory = ::mkdtemp(name.data());
    for (std::size_t i = 0; i < 16; ++i) place.ledger_id.bytes[i] = static_cast<std::uint8_t>(i);
  }
  ~BulkDirectory() { std::filesystem::remove_all(place.directory); }
  BulkDirectory(const BulkDirectory&) = delete;
  BulkDirectory& operator=(const BulkDirectory&) = delete;

  [[nodiscard]] std::filesystem::path path(FileNumber number) const {
    return place.directory / bulk_file_name(number);
  }

  BulkPlace place;
};

inline PersonRecord random_person(std::mt19937_64& random) {
  PersonRecord person;
  store_be(person.linkage_symbol.bytes.data(), static_cast<std::uint64_t>(random()));
  store_be(person.linkage_symbol.bytes.data() + 8, static_cast<std::uint64_t>(random()));
  store_be(person.check_value.data(), static_cast<std::uint64_t>(random()));
  person.counter = static_cast<std::uint16_t>(random());
  person.start = static_cast<Generation>(random());
  person.method = static_cast<std::uint8_t>(random());
  person.state = static_cast<PersonState>(1 + random() % 2);
  person.predecessor = static_cast<PersonId>(random());
  person.successor = static_cast<PersonId>(random());
  person.segment = static_cast<SegmentNumber>(random());
  person.superseded_in = static_cast<SegmentNumber>(random());
  return person;
}

inline std::vector<PersonRecord> random_people(std::mt19937_64& random, std::size_t count) {
  std::vector<PersonRecord> people(count);
  for (auto& person : people) person = random_person(random);
  return people;
}

inline bool same(const PersonRecord& a, const PersonRecord& b) {
  return a.linkage_symbol == b.linkage_symbol && a.check_value == b.check_value &&
         a.counter == b.counter && a.start == b.start && a.method == b.method &&
         a.state == b.state && a.predecessor == b.predecessor && a.successor == b.successor &&
         a.segment == b.segment && a.superseded_in == b.superseded_in;
}

// random_index: digests are masked, so that a mask of few bits gives many equal ones.
inline std::vector<IndexEntry> random_index(std::mt19937_64& random, std::size_t count,
                                            std::uint64_t mask, PersonId first_id) {
  std::vector<IndexEntry> entries(count);
  for (std::size_t i = 0; i < count; ++i)
    entries[i] = {random() & mask, static_cast<PersonId>(first_id + i),
                  static_cast<std::uint32_t>(random())};
  std::sort(entries.begin(), entries.end(), [](const IndexEntry& a, const IndexEntry& b) {
    return a.digest != b.digest ? a.digest < b.digest : a.id < b.id;
  });
  return entries;
}

// random_issued: keys that `taken` does not hold yet, among few agencies and ids below `ids`.
inline std::vector<IssuedEntry> random_issued(std::mt19937_64& random, std::size_t count,
                                              PersonId ids, std::set<IssuedKey>& taken) {
  std::vector<IssuedEntry> entries;
  while (entries.size() < count) {
    const IssuedKey key{static_cast<AgencyNumber>(1 + random() % 5),
                        static_cast<PersonId>(random() % ids)};
    if (taken.insert(key).second)
      entries.push_back({key, static_cast<SegmentNumber>(1 + random() % 1000)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const IssuedEntry& a, const IssuedEntry& b) { return a.key < b.key; });
  return entries;
}

}  // namespace fugo::keystore
