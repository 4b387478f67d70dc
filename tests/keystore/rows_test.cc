#include "keystore/rows.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/keystore/bulk_test_support.h"

namespace fugo::keystore {
namespace {

template <typename Row>
void round_trip(const Row& row) {
  const auto content = encode_row(row);
  ASSERT_OK(content);
  const auto back = decode_row<Row>(content->bytes());
  ASSERT_OK(back);
  EXPECT_EQ(*back, row);
  // Rows of CBOR have zeros behind them, which a row is whole without.
  std::size_t end = content->bytes().size();
  if (content->bytes()[end - 1] == 0)
    while (content->bytes()[end - 1] == 0) --end;
  for (std::size_t length = 0; length < end; ++length)
    EXPECT_FALSE(decode_row<Row>(content->bytes().first(length))) << length;
}

LedgerState full_state() {
  LedgerState state;
  state.commits = ~0ULL;
  state.next_person = 17;
  state.open_job = state.may_end = 3;
  state.deleted_people = 4;
  state.deleted_issuances = 5;
  state.patch_changes = 6;
  state.most_counter = 0xFFFF;
  state.people_digest.limbs = {1, 2, 3, 4};
  state.rows_digest.limbs = {~0ULL, 0, 5, ~0ULL};
  state.journal_head.fill(7);
  state.table_rows = {0, 1, 2, 3};
  return state;
}

RunRow full_run() {
  RunRow run;
  run.number = 3;
  run.id = "R+0003";
  run.state = RunState::kCommitted;
  run.what = kRunLinkage | kRunAgency;
  run.from = 4;
  run.to = 5;
  run.new_keys = {{1, 2, 3}, {4, 5, 6}};
  run.wrap_key_version = 2;
  run.old_wrap_key_version = 1;
  run.wrapped_data_key = {1, 2, 3};
  run.planned_people = 1;
  run.planned_symbols = 2;
  run.planned_agencies = 3;
  run.planned_records = 4;
  run.tally = {5, 6, 7, 8, ~0ULL};
  run.codes_rejected = 9;
  run.codes_unknown = 10;
  run.reject_old = true;
  run.symbols_rejected = 11;
  return run;
}

TEST(Rows, ComeBackAsTheyWere) {
  round_trip(full_state());
  round_trip(Agency{7,
                    "131016",
                    "千代田区",
                    AgencyState::kClosed,
                    1,
                    {{1, 1, 1, Block{{1}}}, {2, 3, 4, Block{{2}}}}});
  round_trip(KeyRow{1, 2, 3, KeyState::kMaking, Block{}, "label", 0, {}});
  round_trip(KeyRow{1, 2, 3, KeyState::kChain, Block{{9}}, "label", 5, {1, 2, 3}});
  round_trip(GenerationRow{2, GenerationState::kAccepting, 2, 3, 1, 4, 5, 6});
  JobRow job;
  job.number = 4;
  job.id = "J-1";
  job.kind = JobKind::kDelete;
  job.state = JobState::kHeld;
  job.request_hmac.fill(3);
  job.rows = ~0ULL;
  job.accept_rejects = true;
  job.check_digits = false;
  job.next_agency = 9;
  job.suspended_agencies = {2, 5};
  job.closed_agencies = {3};
  job.join = job.own_request = job.paused = job.cancelled = true;
  job.hold_reason = "delete";
  job.approved_by = "sato";
  round_trip(job);
  round_trip(full_run());
  round_trip(RunAgencyRow{1, 2, 3, 4, 5, {6}, 7, "sato"});
  round_trip(SegmentRow{1, 2, 3, 4, 5, 6, 7});
  FileRow file{~0ULL, FileKind::kIssued, 65535, kNoPerson, 1ULL << 40U, 5, {}};
  file.key.data()[0] = 1;
  file.key.data()[31] = 2;
  round_trip(file);
}

TEST(Rows, StatisticsNameTheirDayOnce) {
  const StatDay day{"2026-11-20", {{"2026-11-20", 1, 2, 3, 4, 5}, {"2026-11-20", 2, 2, 0, 0, 1}}};
  const auto content = encode_row(day);
  ASSERT_OK(content);
  const auto back = decode_row<StatDay>(content->bytes());
  ASSERT_OK(back);
  EXPECT_EQ(back->rows, day.rows);
}

template <typename Row>
std::size_t length_of(const Row& row) {
  return encode_row(row)->bytes().size();
}

// What a thief of the files sees of a row is its length.
TEST(Rows, AreAsLongWhateverIsCountedInThem) {
  EXPECT_EQ(length_of(SegmentRow{1, 2, 3, 4, 5, 6, 7}),
            length_of(SegmentRow{1, 2, 3, 4, 5, 600, 70'000}));
  JobRow few, many;
  few.number = many.number = 1;
  few.blocks = {1, 2};
  many.blocks = {1, 1ULL << 40U};
  many.count_new = 1ULL << 33U;
  many.count_existing = 24;
  EXPECT_EQ(length_of(few), length_of(many));
  // Days: of no agency, of one, of both, whatever their numbers.
  StatDay day{"2026-11-20", {}, 2};
  const auto length = length_of(day);
  day.rows = {{day.day, 1, 2, 17, 0, 0}};
  EXPECT_EQ(length_of(day), length);
  day.rows = {{day.day, 2, 2, 23, 0, 0}};
  EXPECT_EQ(length_of(day), length);
  day.rows = {{day.day, 1, 2, 16, 1, 300}, {day.day, 300, 2, 24, 70'000, 0}};
  EXPECT_EQ(length_of(day), length);
  const auto entry = [](const std::string& details) {
    JournalEntry row{3, 4, "operator", "order", {}, {}, {}, {}};
    row.act = "issue.done";
    row.details = details;
    return length_of(row);
  };
  // Wherever the multiple of 256 lies, of one that is filled up to it.
  for (std::size_t filled = 0; filled < 256; ++filled) {
    const std::string text = ",\"x\":\"" + std::string(filled, 'x') + "\"}";
    EXPECT_EQ(entry("{\"new\":9,\"rows\":[1,2]" + text),
              entry("{\"new\":1000,\"rows\":[10,99999]" + text));
  }
}

TEST(Rows, PatchesHoldLinksAndNoSymbol) {
  const PersonPatch patch{3, 4, PersonState::kSuperseded, 0x01020304, kNoPerson - 1, ~0U};
  round_trip(patch);
  const auto content = encode_row(patch);
  ASSERT_OK(content);
  EXPECT_EQ(content->bytes().size(), 19U);  // there is no room for a symbol
}

TEST(Rows, JournalEntriesCarryTheirHash) {
  JournalEntry entry{3, 4, "operator", "order", "act", "{}", {}, {}};
  entry.previous.fill(9);
  const auto content = encode_row(entry);
  ASSERT_OK(content);
  entry.hash = *journal_hash(entry);
  EXPECT_EQ(*decode_row<JournalEntry>(content->bytes()), entry);
  for (std::size_t at = 0; at < content->bytes().size(); ++at) {
    std::vector<std::uint8_t> changed(content->bytes().begin(), content->bytes().end());
    changed[at] ^= 1;
    EXPECT_FALSE(decode_row<JournalEntry>(changed)) << at;
  }
}

// Every field of a segment's row replaced, left out, and one more put in.
TEST(Rows, AreReadStrictly) {
  const auto content = encode_row(SegmentRow{1, 2, 3, 4, 5, 6, 7});
  const auto whole = nlohmann::json::from_cbor(content->bytes(), false);
  const auto decodes = [](const nlohmann::json& map) {
    auto row = nlohmann::json::to_cbor(map);
    EXPECT_FALSE(decode_row<SegmentRow>(row)) << "without padding";
    row.insert(row.end(), {0x80, 0, 0});
    return decode_row<SegmentRow>(row).has_value();
  };
  ASSERT_TRUE(decodes(whole));
  for (const auto& [name, value] : whole.items()) {
    for (const nlohmann::json& wrong :
         {nlohmann::json("1"), nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json(nullptr),
          nlohmann::json::array({1}), nlohmann::json(true)}) {
      auto map = whole;
      map[name] = wrong;
      EXPECT_FALSE(decodes(map)) << name << " " << wrong;
    }
    auto map = whole;
    map.erase(name);
    EXPECT_FALSE(decodes(map)) << name;
  }
  auto more = whole;
  more["more"] = 1;
  EXPECT_FALSE(decodes(more));
  auto large = whole;
  large["rows"] = 1ULL << 32U;
  EXPECT_FALSE(decodes(large));
  EXPECT_FALSE(decodes(nlohmann::json::array({1, 2})));
  EXPECT_FALSE(decode_row<SegmentRow>({}));
}

TEST(Rows, WhatCouldNotBeReadIsNotWritten) {
  JobRow job;
  job.number = 1;
  job.id.assign(65, 'x');
  const auto refused = encode_row(job);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_EQ(refused.error().where, "id");
  Agency agency{1, "A", "", AgencyState::kActive, 0, {{0, 1, 1, {}}}};  // generation 0
  EXPECT_FALSE(encode_row(agency));
}

TEST(Rows, HeadersTellTheirSchema) {
  LedgerHeader header;
  header.environment = "production";
  header.wrapped_data_key = {1, 2, 3};
  auto stored = *encode_header(header);
  EXPECT_EQ(decode_header(stored)->environment, "production");
  for (std::size_t at = 0; at < stored.size(); ++at) {
    stored[at] ^= 0x10;
    ASSERT_FALSE(decode_header(stored)) << at;
    ASSERT_EQ(decode_header(stored).error().code, ErrorCode::kDamaged) << at;
    stored[at] ^= 0x10;
  }
  header.schema = 200;
  EXPECT_EQ(decode_header(*encode_header(header)).error().code, ErrorCode::kRefused);
  EXPECT_EQ(decode_header({}).error().code, ErrorCode::kDamaged);
}

}  // namespace
}  // namespace fugo::keystore
