// verify_content and measure_content over several linkage generations.
#include "tests/keystore/verify_content_fixture.h"

namespace fugo::keystore {
namespace {

class VerifyGenerationsTest : public ContentFixture {
 protected:
  // write_later writes the first `count` people of a later generation, with symbols of its own.
  std::vector<PersonRecord> write_later(Generation generation, std::size_t count) {
    std::vector<PersonRecord> people(content_.people.begin(),
                                     content_.people.begin() + static_cast<std::ptrdiff_t>(count));
    std::vector<IndexEntry> index;
    for (PersonId id = 0; id < count; ++id) {
      if (people[id].state == PersonState::kDeleted) continue;
      people[id].linkage_symbol.bytes[3] ^= static_cast<std::uint8_t>(generation);
      IndexEntry entry{0, id, symbol_tag(people[id].check_value)};
      EXPECT_TRUE(keys_->symbol_digests({&people[id].linkage_symbol, 1}, {&entry.digest, 1}));
      index.push_back(entry);
    }
    std::sort(index.begin(), index.end(),
              [](const IndexEntry& a, const IndexEntry& b) { return a.digest < b.digest; });
    write_part({.generation = generation, .people = people, .index = index});
    GenerationRow row;
    row.number = row.linkage_generation = generation;
    row.chained_from = 1;
    row.state = GenerationState::kPending;
    content_.generations.push_back(row);
    return people;
  }

  Result<std::vector<Error>> measure(Generation generation, ContentSums& sums) {
    const auto snapshot = open_snapshot(directory_.place, rows_).value();
    return measure_content({.snapshot = *snapshot,
                            .keys = *keys_,
                            .digest = *digest_,
                            .agencies = content_.agencies,
                            .segments = content_.segments,
                            .state = content_.state,
                            .generations = content_.generations,
                            .generation = generation,
                            .people_at_once = 97},
                           sums);
  }
};

TEST_F(VerifyGenerationsTest, AStartThatNobodyCanHaveIsFound) {
  content_.people[5].start = 2;  // no such generation
  content_.people[6].start = 0;
  sum_up();
  expect_found("person 5: starts from version 2, which it cannot have been made in");
  std::string all;
  for (const Error& finding : verify()) all += finding.message() + "\n";
  EXPECT_NE(all.find("person 6: starts from version 0"), std::string::npos) << all;
}

TEST_F(VerifyGenerationsTest, StartersAreCompared) {
  content_.generations[0].starters -= 1;
  GenerationRow second;  // of other agency symbols only
  second.number = 2;
  second.state = GenerationState::kPending;
  second.starters = 1;
  content_.generations.push_back(second);
  expect_found("people who start from version 1: 600, must be 599");
  ASSERT_EQ(verify().size(), 2U);
  EXPECT_EQ(verify()[1].what, "people who start from version 2: 0, must be 1");
}

TEST_F(VerifyGenerationsTest, AGenerationThatIsBeingWrittenMayEndEarly) {
  // Somebody within it was superseded by somebody beyond it.
  content_.people[500].predecessor = 7;
  content_.patches.push_back({7, 1, PersonState::kSuperseded, kNoPerson, 500, 2});
  sum_up();
  auto people = content_.people;
  people[7].state = PersonState::kSuperseded;
  content_.state.people_digest = {};
  ASSERT_OK(digest_->add_people(people, content_.state.people_digest));
  write();
  write_later(2, 400);
  std::uint64_t done = 0, total = 0;
  for (const Error& finding :
       verify([&](std::uint64_t d, std::uint64_t t) { done = d, total = t; }))
    ADD_FAILURE() << finding.message();
  EXPECT_EQ(done, total);
}

TEST_F(VerifyGenerationsTest, DamageWithinALaterGenerationIsFound) {
  write();
  const auto people = write_later(2, 400);
  content_.index.clear();
  content_.issued.clear();
  IndexEntry entry{0, 450, 1};  // beyond what the generation has, under a symbol of it
  ASSERT_OK(keys_->symbol_digests({&people[3].linkage_symbol, 1}, {&entry.digest, 1}));
  const std::array<IndexEntry, 1> more{entry};
  write_part({.generation = 2, .index = more});
  std::string all;
  for (const Error& finding : verify()) all += finding.message() + "\n";
  EXPECT_NE(all.find("person 3: has an index entry of its symbol that names nobody"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("index entries of version 2: 401, must be 400"), std::string::npos) << all;
}

TEST_F(VerifyGenerationsTest, TheDigestIsOfTheActiveLinkageGeneration) {
  write();
  const auto people = write_later(2, kPeople);
  content_.generations[0].state = GenerationState::kAccepting;
  content_.generations[1].state = GenerationState::kActive;
  std::string all;
  for (const Error& finding : verify()) all += finding.message() + "\n";
  EXPECT_NE(all.find("the digest of the people is not"), std::string::npos) << all;
  content_.people = people;  // the issuances stay
  const auto generations = content_.generations;
  sum_up();
  content_.generations = generations;
  for (const Error& finding : verify()) ADD_FAILURE() << finding.message();
}

TEST_F(VerifyGenerationsTest, MeasuringGivesTheSumsOfOneGeneration) {
  write();
  const auto people = write_later(2, kPeople);
  ContentSums sums;
  auto findings = measure(1, sums);
  ASSERT_OK(findings);
  for (const Error& finding : *findings) ADD_FAILURE() << finding.message();
  EXPECT_EQ(sums.people_digest, content_.state.people_digest);
  EXPECT_EQ(sums.times_digest, content_.state.times_digest);
  findings = measure(2, sums);
  ASSERT_OK(findings);
  for (const Error& finding : *findings) ADD_FAILURE() << finding.message();
  EXPECT_NE(sums.people_digest, content_.state.people_digest);
  content_.people = people;
  sum_up();
  EXPECT_EQ(sums.people_digest, content_.state.people_digest);
  EXPECT_EQ(sums.issued_digest, content_.state.issued_digest);
  EXPECT_EQ(sums.times_digest, content_.state.times_digest);
  EXPECT_EQ(sums.starters, (std::map<Generation, std::uint64_t>{{1, kPeople}}));
  EXPECT_EQ(sums.people, kPeople);
  EXPECT_EQ(sums.deleted, 0U);
  EXPECT_EQ(sums.issuances, content_.issued.size());
}

TEST_F(VerifyGenerationsTest, MeasuringAGenerationThatIsNotWholeFindsIt) {
  write();
  write_later(2, 400);
  ContentSums sums;
  const auto findings = measure(2, sums);
  ASSERT_OK(findings);
  std::string all;
  for (const Error& finding : *findings) all += finding.message() + "\n";
  EXPECT_NE(all.find("people: 400, must be 600"), std::string::npos) << all;
}

}  // namespace
}  // namespace fugo::keystore
