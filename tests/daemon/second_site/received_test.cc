// What a second site compares of a shipment that is well signed, when what was signed is not so.
#include "daemon/second_site/received.h"

#include <algorithm>

#include "daemon/site_access.h"
#include "daemon/statement.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// sign_anew signs an inventory with the first site's own key, as only that site can.
void sign_anew(const TwoSites& sites, const Json& document, const fs::path& file) {
  const auto settings = daemon::load_settings(sites.first().config());
  ASSERT_TRUE(settings) << settings.error().message();
  {
    const auto site =
        daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    ASSERT_TRUE(site) << site.error().message();
    const auto keys = site->ledger->key_rows();
    ASSERT_TRUE(keys);
    const auto key = daemon::signing_key(*keys);
    ASSERT_TRUE(key);
    const auto done = daemon::write_statement(*site->token, *key, document, file);
    ASSERT_TRUE(done) << done.error().message();
  }
  hsm::finalize_all();
}

TEST(Received, WhatWasSignedWronglyIsNotApplied) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship({"--whole"}).exit_code, 0);
  const auto file = sites.shipment(2) / "shipment.json";
  const auto sound = Json::parse(read_file(file));
  const auto before = sites.digest_second();
  const auto expect_refused = [&](const Json& document, const std::string& why) {
    sign_anew(sites, document, file);
    const auto refused = sites.follow();
    EXPECT_EQ(refused.exit_code, 5) << why << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(why));
    fs::remove_all(sites.second("new"));
    const auto found = sites.found("new");
    EXPECT_EQ(found.exit_code, 5) << why << found.out;
    EXPECT_THAT(found.err, HasSubstr(why));
    EXPECT_FALSE(fs::exists(sites.second("new")));
    EXPECT_EQ(sites.digest_second(), before);
  };
  const auto change = [&](const char* name, const Json& value) {
    auto document = sound;
    document[name] = value;
    return document;
  };
  expect_refused(change("people", 1000), "another number of people");
  expect_refused(change("issuances", 1000), "another number of issuances");
  expect_refused(change("commits", 1000), "another number of commits");
  expect_refused(change("journal_entries", 1000), "another journal");
  expect_refused(change("digest", sound["digest_without_times"]), "another digest");
  expect_refused(change("environment", "production"), "another environment");
  expect_refused(change("kept", {"data/../../fugo.toml"}), "names files that no ledger has");
  expect_refused(change("fugo_shipment", 2), "of this version");
  expect_refused(change("journal_key", "fugo-record-aes256-v1"), "does not name the key");
  auto document = sound;
  document["files"].push_back(document["files"].back());
  expect_refused(document, "names files that no ledger has");  // one twice
  // A file that no row names.
  document = sound;
  document["files"].push_back(sound["files"].back());
  document["files"].back()["name"] = "data/9999999999.fugo";
  fs::copy(sites.shipment(2) / "ledger" / sound["files"].back()["name"].get<std::string>(),
           sites.shipment(2) / "ledger/data/9999999999.fugo");
  expect_refused(document, "does not name the files of its rows");
  sign_anew(sites, sound, file);
  EXPECT_EQ(sites.follow().exit_code, 0);
  // One that was made to follow upon another than the one that was applied.
  (void)sites.issue_first("N2", 501);
  ASSERT_EQ(sites.ship().exit_code, 0);
  document = Json::parse(read_file(sites.shipment(3) / "shipment.json"));
  document["previous_sha256"] = std::string(64, '0');
  sign_anew(sites, document, sites.shipment(3) / "shipment.json");
  const auto other = sites.follow();
  EXPECT_EQ(other.exit_code, 5) << other.out;
  EXPECT_THAT(other.err, HasSubstr("does not follow upon shipment 2"));
}

class CheckFollows : public ::testing::Test {
 protected:
  CheckFollows() {
    read_.shipment.number = 8;
    read_.shipment.previous_sha256 = "seven";
    read_.shipment.inventory.commits = 80;
    read_.shipment.inventory.journal_entries = 90;
    mark_.number = 7;
    mark_.sha256 = "seven";
    mark_.commits = 80;
    mark_.journal_entries = 90;
  }
  [[nodiscard]] bool follows() const { return daemon::check_follows(read_, mark_).has_value(); }
  daemon::ReadShipment read_;
  daemon::StandbyMark mark_;
};

TEST_F(CheckFollows, TheNextOneAndAWholeOneDoAndNothingElse) {
  EXPECT_TRUE(follows());
  read_.shipment.previous_sha256 = "other";
  EXPECT_FALSE(follows());
  read_.shipment.previous_sha256.clear();  // whole
  EXPECT_TRUE(follows());
  read_.shipment.number = 12;
  EXPECT_TRUE(follows());
  read_.shipment.previous_sha256 = "seven";
  EXPECT_FALSE(follows()) << "there is a gap";
}

TEST_F(CheckFollows, NothingOlderDoes) {
  for (const bool whole : {false, true}) {
    if (whole) read_.shipment.previous_sha256.clear();
    EXPECT_TRUE(follows());
    for (const auto& [field, older] :
         {std::pair{&read_.shipment.number, std::uint64_t{7}},
          std::pair{&read_.shipment.inventory.commits, std::uint64_t{79}},
          std::pair{&read_.shipment.inventory.journal_entries, std::uint64_t{89}}}) {
      const auto kept = std::exchange(*field, older);
      EXPECT_FALSE(follows()) << whole << older;
      *field = kept;
    }
  }
}

TEST(StandbyMark, IsWrittenReadAndSettled) {
  const TemporaryDirectory ledger;
  daemon::StandbyMark mark;
  mark.site = "0011";
  mark.folder = "/f";
  mark.epoch = 3;
  daemon::ReadShipment read;
  read.directory = "/f/shipment-0000000001";
  for (std::uint64_t number = 1; number <= 300; ++number) {
    read.shipment.number = number;
    read.sha256 = std::to_string(number);
    read.shipment.inventory.commits = 10 * number;
    read.shipment.inventory.journal_head = std::string(64, '0');
    mark = daemon::mark_of(read, mark);
  }
  EXPECT_EQ(mark.known.size(), 256U);
  EXPECT_EQ(mark.known.begin()->first, 45U);
  EXPECT_EQ(mark.site, "0011");
  daemon::AppliedShipment next = mark;
  next.number = 301;
  next.sha256 = "coming";
  next.commits = 3010;
  next.journal_entries = 7;
  mark.next = next;
  ASSERT_TRUE(daemon::write_mark(ledger.path(), mark));
  const auto again = daemon::read_mark(ledger.path());
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->known, mark.known);
  ASSERT_TRUE((*again)->next);
  // The ledger as before, as the coming one leaves it, or neither, by one figure each.
  for (const auto& [commits, entries, head, number] :
       {std::tuple{3000U, 0U, 0U, 300U}, std::tuple{3010U, 7U, 0U, 301U},
        std::tuple{3010U, 8U, 0U, 0U}, std::tuple{3010U, 7U, 1U, 0U},
        std::tuple{3011U, 7U, 0U, 0U}}) {
    keystore::LedgerState state;
    state.commits = commits;
    state.journal_entries = entries;
    state.journal_head[0] = static_cast<std::uint8_t>(head);
    auto settled = **again;
    daemon::settle(settled, state);
    EXPECT_FALSE(settled.next);
    EXPECT_EQ(settled.matches(state), number != 0) << commits << entries << head;
    if (number != 0) {
      EXPECT_EQ(settled.number, number);
      EXPECT_EQ(settled.known.contains(301), number == 301);
      EXPECT_EQ(settled.site, "0011");
    }
  }
  auto text = read_file(ledger.path() / "standby.json");
  text.replace(text.find("\"fugo_standby\": 2"), 17, "\"fugo_standby\": 9");
  write_file(ledger.path() / "standby.json", text);
  EXPECT_FALSE(daemon::read_mark(ledger.path()));
}

TEST(Shipments, OnlyNamesAsTheyAreWrittenCount) {
  const TemporaryDirectory folder;
  for (const char* name : {"shipment-0000000001", "shipment-1", "shipment-000000000x",
                           ".shipment-0000000002.tmp", "shipment-00000000003", "other"}) {
    fs::create_directory(folder.path() / name);
    write_file(folder.path() / name / "shipment.json", "{}");
  }
  fs::create_directory(folder.path() / "shipment-0000000004");  // without its inventory
  const auto there = daemon::shipments_in(folder.path());
  ASSERT_TRUE(there);
  ASSERT_EQ(there->size(), 1U);
  EXPECT_EQ(there->begin()->first, 1U);
}

}  // namespace
}  // namespace fugo::test
