#include "keystore/tables.h"

#include "keystore/update.h"
#include "tests/keystore/ledger_test_support.h"

namespace fugo::keystore {
namespace {

class Tables : public testing::Test {
 protected:
  void SetUp() override {
    auto keys = LedgerKeys::derive(place.key, place.header.ledger_id);
    ASSERT_OK(keys);
    const auto header = *encode_header(place.header);
    sealer = std::make_shared<const Sealer>(*keys, header);
    auto opened = Environment::open(place.directory, OpenMode::kCreate);
    ASSERT_OK(opened);
    environment = *opened;
    auto update = SmallRowUpdate::begin_empty(environment, sealer, header);
    ASSERT_OK(update);
    for (std::uint8_t i = 1; i <= 3; ++i)
      ASSERT_OK((*update)->put_agency(make_agency("A" + std::to_string(i), i)));
    ASSERT_OK((*update)->commit());
  }

  [[nodiscard]] Result<std::optional<Agency>> agency(AgencyNumber number) const {
    const auto transaction = ReadTransaction::begin(environment);
    return get_row<Agency>(**transaction, *sealer, RowKey(Table::kAgencies).with(number));
  }
  // put_raw stores the sealed value of one key under another, and leaves the state as it was.
  void move_value(const RowKey& from, const RowKey& to) const {
    auto transaction = WriteTransaction::begin(environment);
    ASSERT_OK(transaction);
    const auto value = (*transaction)->get(from.bytes());
    ASSERT_TRUE(value->has_value());
    const std::vector<std::uint8_t> copy((*value)->begin(), (*value)->end());
    ASSERT_OK((*transaction)->put(to.bytes(), copy));
    ASSERT_OK((*transaction)->commit());
  }

  LedgerPlace place;
  std::shared_ptr<const Sealer> sealer;
  std::shared_ptr<Environment> environment;
};

TEST_F(Tables, AValueMovedToAnotherKeyIsFound) {
  move_value(RowKey(Table::kAgencies).with(AgencyNumber{1}),
             RowKey(Table::kAgencies).with(AgencyNumber{2}));
  ASSERT_OK(agency(1));
  const auto moved = agency(2);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, ErrorCode::kDamaged);
  EXPECT_NE(moved.error().where.find("agencies"), std::string::npos);
}

TEST_F(Tables, AValueMovedToAnotherTableIsFound) {
  const auto to = RowKey(Table::kGenerations).with(Generation{1});
  move_value(RowKey(Table::kAgencies).with(AgencyNumber{1}), to);
  const auto transaction = ReadTransaction::begin(environment);
  const auto moved = get_row<GenerationRow>(**transaction, *sealer, to);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, ErrorCode::kDamaged);
  EXPECT_NE(moved.error().where.find("generations"), std::string::npos);
}

TEST_F(Tables, KeysSayNothing) {
  const auto a = sealer->job_id_key("J20261120-0001"), b = sealer->job_id_key("J20261120-0002");
  ASSERT_OK(a);
  EXPECT_EQ(a->bytes().size(), 17U);
  EXPECT_FALSE(std::equal(a->bytes().begin() + 1, a->bytes().end(), b->bytes().begin() + 1));
  EXPECT_EQ(as_text(a->bytes()).find("J2026"), std::string_view::npos);
  const auto day = sealer->day_key("J20261120-0001");  // the same text in another table
  EXPECT_FALSE(std::equal(a->bytes().begin() + 1, a->bytes().end(), day->bytes().begin() + 1));
}

// The digest of rows is that of the rows that are there, whatever was put and erased before.
TEST_F(Tables, TheDigestOfRowsForgetsWhatWasReplacedAndErased) {
  const auto change = [&](const std::function<Status(SmallRowUpdate&)>& body) {
    auto update = SmallRowUpdate::begin(environment, sealer);
    ASSERT_OK(update);
    ASSERT_OK(body(**update));
    ASSERT_OK((*update)->commit());
  };
  const auto digest = [&] {
    const auto transaction = ReadTransaction::begin(environment);
    return read_state(**transaction, *sealer).value();
  };
  const auto before = digest();
  FileRow file{1, FileKind::kIndex, 1, 0, 5, 6, {}};
  file.key.data()[0] = 7;
  auto other = file;
  other.entries = 8;
  change([&](SmallRowUpdate& update) { return update.put_file(file); });
  EXPECT_NE(digest().rows_digest, before.rows_digest);
  EXPECT_EQ(digest().table_rows[static_cast<std::size_t>(Table::kManifest)], 1U);
  change([&](SmallRowUpdate& update) { return update.put_file(other); });
  change([&](SmallRowUpdate& update) -> Status {
    EXPECT_FALSE(update.erase_file(file));  // not this one any more
    return update.erase_file(other);
  });
  EXPECT_EQ(digest().rows_digest, before.rows_digest);
  EXPECT_EQ(digest().table_rows, before.table_rows);
}

}  // namespace
}  // namespace fugo::keystore
