// What the tests of verify_content share: a consistent ledger in memory, written as files.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "keystore/bulk_format.h"
#include "keystore/verify_content.h"
#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {

inline constexpr std::size_t kPeople = 600;
inline constexpr SegmentNumber kSegments = 3;

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
  std::vector<GenerationRow> generations;
};

// ContentFixture writes content as files and verifies it.
class ContentFixture : public ::testing::Test {
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
      person.start = 1;
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
    GenerationRow generation;
    generation.starters = content_.people.size();
    content_.generations = {generation};
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
                            .generations = content_.generations,
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

}  // namespace fugo::keystore
