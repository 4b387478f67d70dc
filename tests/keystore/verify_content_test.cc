#include "tests/keystore/verify_content_fixture.h"

namespace fugo::keystore {
namespace {

using VerifyContentTest = ContentFixture;

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
  content_.generations[0].starters -= 1;
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
