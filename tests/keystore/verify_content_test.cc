#include "keystore/verify_content.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "keystore/bulk_format.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

constexpr std::size_t kPeople = 600;
constexpr SegmentNumber kSegments = 3;

// Content is a whole ledger in memory; made consistent, then changed by a test, then written.
struct Content {
  std::vector<PersonRecord> people;
  std::vector<IndexEntry> index;
  std::vector<IssuedEntry> issued;
  std::vector<IndexEntry> more_index;    // in a file of their own
  std::vector<IssuedEntry> more_issued;  // in a file of their own
  std::vector<PersonPatch> patches;
  std::vector<Agency> agencies;
  std::vector<SegmentRow> segments;
  LedgerState state;
};

class VerifyContentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SecretBytes<32> data_key;
    data_key.data()[5] = 1;
    keys_ = LedgerKeys::derive(data_key, directory_.place.ledger_id).value();
    digest_ = ContentDigest::create(keys_).value();
    for (AgencyNumber number = 1; number <= 3; ++number) {
      Agency agency;
      agency.number = number;
      agency.code = std::string("CODE") + static_cast<char>('0' + number);
      content_.agencies.push_back(agency);
    }
    for (SegmentNumber number = 1; number <= kSegments; ++number) {
      SegmentRow segment;
      segment.number = number;
      segment.time = 1000 * number;
      content_.segments.push_back(segment);
    }
    fill();
    sum_up();
  }

  void fill() {
    for (PersonId id = 0; id < kPeople; ++id) {
      PersonRecord person = random_person(random_);
      person.state = PersonState::kActive;
      person.predecessor = person.successor = kNoPerson;
      person.superseded_in = kNoSegment;
      person.segment = static_cast<SegmentNumber>(1 + random_() % kSegments);
      content_.people.push_back(person);
      content_.index.push_back(entry_of(id));
      for (const Agency& agency : content_.agencies)
        if (random_() % 2 == 0) content_.issued.push_back({{agency.number, id}, person.segment});
    }
  }

  IndexEntry entry_of(PersonId id) {
    const PersonRecord& person = content_.people[id];
    IndexEntry entry{0, id, symbol_tag(person.check_value)};
    EXPECT_TRUE(keys_->symbol_digests({&person.linkage_symbol, 1}, {&entry.digest, 1}).has_value());
    return entry;
  }

  // sum_up makes the state agree with the content.
  void sum_up() {
    LedgerState& state = content_.state;
    state.next_person = static_cast<PersonId>(content_.people.size());
    state.next_segment = kSegments + 1;
    state.issuances = content_.issued.size();
    state.people_digest = state.issued_digest = state.times_digest = {};
    EXPECT_TRUE(digest_->add_people(content_.people, state.people_digest).has_value());
    for (const IssuedEntry& entry : content_.issued) {
      const std::string& code = content_.agencies[entry.key.agency - 1U].code;
      Block base;
      EXPECT_TRUE(
          digest_->person_bases({&content_.people[entry.key.id].linkage_symbol, 1}, {&base, 1})
              .has_value());
      const Block mask = digest_->agency_mask(code).value();
      const Block time_mask =
          digest_->agency_time_mask(code, content_.segments[entry.segment - 1U].time).value();
      EXPECT_TRUE(digest_->add_issuances({&base, 1}, {&mask, 1}, state.issued_digest).has_value());
      EXPECT_TRUE(
          digest_->add_issuances({&base, 1}, {&time_mask, 1}, state.times_digest).has_value());
    }
  }

  void write_part(const SegmentFiles& part) {
    const auto rows = write_segment_files(directory_.place, next_, part);
    ASSERT_OK(rows);
    next_ += rows->size();
    rows_.insert(rows_.end(), rows->begin(), rows->end());
  }

  void write() {
    const auto by_key = [](const IssuedEntry& a, const IssuedEntry& b) { return a.key < b.key; };
    const auto by_digest = [](const IndexEntry& a, const IndexEntry& b) {
      return a.digest != b.digest ? a.digest < b.digest : a.id < b.id;
    };
    std::sort(content_.index.begin(), content_.index.end(), by_digest);
    std::sort(content_.issued.begin(), content_.issued.end(), by_key);
    const std::span all(content_.people);
    const std::size_t half = all.size() / 2;
    write_part({.people = all.first(half), .index = content_.index});
    write_part({.first_id = static_cast<PersonId>(half),
                .people = all.subspan(half),
                .issued = content_.issued});
    write_part({.index = content_.more_index, .issued = content_.more_issued});
  }

  std::vector<Error> verify(const VerifyProgress& progress = {}, std::size_t max_findings = 20) {
    const auto patches = std::make_shared<PatchTable>(PatchTable{content_.patches, 0});
    const auto snapshot = open_snapshot(directory_.place, rows_, patches);
    EXPECT_TRUE(snapshot.has_value()) << snapshot.error().message();
    const VerifyInput input{.snapshot = **snapshot,
                            .keys = *keys_,
                            .digest = *digest_,
                            .agencies = content_.agencies,
                            .segments = content_.segments,
                            .state = content_.state,
                            .people_at_once = 97,
                            .max_findings = max_findings};
    auto findings = verify_content(input, progress);
    EXPECT_TRUE(findings.has_value()) << findings.error().message();
    return findings ? *findings : std::vector<Error>{};
  }

  // expect_found: a finding whose message holds `text`, and every finding is damage.
  void expect_found(const std::string& text) {
    write();
    const auto findings = verify();
    std::string all;
    for (const Error& finding : findings) {
      EXPECT_EQ(finding.code, ErrorCode::kDamaged);
      all += finding.message() + "\n";
    }
    EXPECT_NE(all.find(text), std::string::npos) << "expected: " << text << "\nfound:\n" << all;
  }

  BulkDirectory directory_;
  FileNumber next_ = 1;
  std::vector<FileRow> rows_;
  std::mt19937_64 random_{17};
  std::shared_ptr<const LedgerKeys> keys_;
  std::shared_ptr<const ContentDigest> digest_;
  Content content_;
};

TEST_F(VerifyContentTest, AConsistentLedgerPasses) {
  write();
  std::uint64_t done = 0, total = 0;
  const auto findings = verify([&](std::uint64_t d, std::uint64_t t) { done = d, total = t; });
  for (const Error& finding : findings) ADD_FAILURE() << finding.message();
  EXPECT_GT(total, 0U);
  EXPECT_EQ(done, total);
}

TEST_F(VerifyContentTest, AnEmptyLedgerPasses) {
  content_ = Content{};
  content_.state.next_segment = 1;
  for (const Error& finding : verify()) ADD_FAILURE() << finding.message();
}

TEST_F(VerifyContentTest, ADeletedPersonHasNothingLeft) {
  // Person 7 was deleted properly: a tombstone, without index entry, issuances, digest elements.
  std::erase_if(content_.issued, [](const IssuedEntry& e) { return e.key.id == 7; });
  std::erase_if(content_.index, [](const IndexEntry& e) { return e.id == 7; });
  sum_up();
  content_.state.people_digest = {};
  auto others = content_.people;
  others.erase(others.begin() + 7);
  ASSERT_OK(digest_->add_people(others, content_.state.people_digest));
  content_.people[7] = PersonCodec::tombstone();
  content_.state.deleted_people = 1;
  write();
  for (const Error& finding : verify()) ADD_FAILURE() << finding.message();
  content_.state.deleted_people = 0;
  ASSERT_EQ(verify().size(), 1U);
  EXPECT_NE(verify()[0].what.find("deleted people: 1, must be 0"), std::string::npos);
}

TEST_F(VerifyContentTest, ADeletedPersonInTheIndexIsFound) {
  content_.people[7] = PersonCodec::tombstone();
  expect_found("index entries of version 1");
}

TEST_F(VerifyContentTest, AnIssuanceToADeletedPersonIsFound) {
  content_.people[content_.issued[0].key.id] = PersonCodec::tombstone();
  expect_found("names a person who was deleted");
}

TEST_F(VerifyContentTest, ATombstoneThatStillHoldsSomethingIsFound) {
  content_.people[7].state = PersonState::kDeleted;
  expect_found("has an entry that is no entry");
}

// Person 7 was superseded by 8.
TEST_F(VerifyContentTest, ASupersededPersonIsWhatThePatchSays) {
  content_.people[8].predecessor = 7;
  content_.patches.push_back({7, 1, PersonState::kSuperseded, kNoPerson, 8, 2});
  sum_up();
  auto people = content_.people;
  people[7].state = PersonState::kSuperseded;
  content_.state.people_digest = {};
  ASSERT_OK(digest_->add_people(people, content_.state.people_digest));
  write();
  for (const Error& finding : verify()) ADD_FAILURE() << finding.message();
  content_.patches[0].successor = 9;
  ASSERT_EQ(verify().size(), 1U);
  EXPECT_NE(verify()[0].what.find("does not name it as successor"), std::string::npos);
}

TEST_F(VerifyContentTest, ASupersededPersonWithoutPatchIsFound) {
  content_.people[7].state = PersonState::kSuperseded;
  sum_up();
  expect_found("person 7: is superseded and names nobody");
}

TEST_F(VerifyContentTest, ASuccessorWhoWasDeletedIsFound) {
  content_.patches.push_back({7, 1, PersonState::kSuperseded, kNoPerson, 8, 2});
  content_.people[8] = PersonCodec::tombstone();
  expect_found("person 7: has a successor who was deleted");
}

TEST_F(VerifyContentTest, AnotherTagIsFound) {
  content_.index[5].tag ^= 1;
  expect_found("person 5: has an index entry with another tag");
}

TEST_F(VerifyContentTest, AnotherDigestIsFound) {
  content_.index[5].digest ^= 1;
  expect_found("person 5: has no index entry");
}

TEST_F(VerifyContentTest, AMissingIndexEntryIsFound) {
  content_.index.erase(content_.index.begin() + 8);
  expect_found("person 8: has no index entry");
}

TEST_F(VerifyContentTest, ASecondIndexEntryIsFound) {
  content_.more_index.push_back(content_.index[9]);
  expect_found("person 9: has more than one index entry");
}

TEST_F(VerifyContentTest, AnIndexEntryOfNobodyIsFound) {
  content_.more_index.push_back({12345, kPeople + 5, 1});
  expect_found("index entries of version 1");
}

TEST_F(VerifyContentTest, TwoPeopleWithOneSymbolAreFound) {
  content_.people[20].linkage_symbol = content_.people[10].linkage_symbol;
  content_.index[20] = entry_of(20);
  sum_up();
  expect_found("person 20: shares its linkage symbol with person 10");
}

TEST_F(VerifyContentTest, APersonOfAnUnknownSegmentIsFound) {
  content_.people[3].segment = kSegments + 1;
  expect_found("person 3: names segment 4, which does not exist");
}

TEST_F(VerifyContentTest, ASuccessorWhoDoesNotExistIsFound) {
  content_.people[3].successor = kPeople;
  expect_found("person 3: names a predecessor or successor that does not exist");
}

TEST_F(VerifyContentTest, AnIssuanceOfAnUnknownSegmentIsFound) {
  content_.issued[3].segment = 99;
  expect_found("names a segment that does not exist");
}

TEST_F(VerifyContentTest, AnIssuanceToNobodyIsFound) {
  content_.issued.push_back({{2, kPeople + 100}, 1});
  content_.state.issuances += 1;
  expect_found("issuance to agency CODE2 of person 700: names a person who does not exist");
}

TEST_F(VerifyContentTest, AnIssuanceOfAnUnknownAgencyIsFound) {
  content_.issued.push_back({{9, 5}, 1});
  content_.state.issuances += 1;
  expect_found("issuances of known agencies and people");
}

TEST_F(VerifyContentTest, AnIssuanceThatIsThereTwiceIsFound) {
  content_.more_issued.push_back(content_.issued[0]);
  content_.state.issuances += 1;
  expect_found("repeats an entry of another file");
}

TEST_F(VerifyContentTest, CountsAreCompared) {
  content_.state.next_person += 1;
  content_.state.issuances += 1;
  expect_found("people: 600, must be 601");
  EXPECT_EQ(verify().size(), 3U);  // people, and issuances counted in two ways
}

TEST_F(VerifyContentTest, EachSumIsCompared) {
  content_.state.people_digest.limbs[3] ^= 1;
  expect_found("the digest of the people is not");
  content_.state.people_digest.limbs[3] ^= 1;
  content_.state.issued_digest.limbs[0] ^= 1;
  ASSERT_EQ(verify().size(), 1U);
  EXPECT_NE(verify()[0].what.find("digest of the issuances is not"), std::string::npos);
}

TEST_F(VerifyContentTest, ATimeThatChangedIsFound) {
  content_.segments[1].time += 1;
  expect_found("the digest of the issuances with their times");
  EXPECT_EQ(verify().size(), 1U);
}

TEST_F(VerifyContentTest, DamagedBlocksAreFoundAndNamed) {
  write();
  const auto path = directory_.path(rows_[0].number);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(3 * 1024 + 7);
  file.put('?');
  file.close();
  const auto findings = verify();
  ASSERT_FALSE(findings.empty());
  EXPECT_NE(findings[0].where.find(bulk_file_name(rows_[0].number) + ", block 3"),
            std::string::npos)
      << findings[0].message();
}

TEST_F(VerifyContentTest, FindingsAreLimited) {
  for (IndexEntry& entry : content_.index) entry.tag ^= 1;
  write();
  EXPECT_EQ(verify({}, 4).size(), 4U);
  EXPECT_EQ(verify({}, 20).size(), 20U);
}

}  // namespace
}  // namespace fugo::keystore
