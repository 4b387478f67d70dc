// A thief of the ledger's files, without the token: two ledgers of the same keys that differ in who
// is in them, at which agency, or in what order, show the same to whoever can only look at files.
#include <gtest/gtest.h>
#include <lmdb.h>
#include <string.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "daemon/config.h"
#include "daemon/site_access.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using Rows = std::vector<TrialRow>;

// Row is what LMDB shows of one row: its key, and the sealed value.
struct Row {
  std::string key, value;
};

std::vector<Row> lmdb_rows(const fs::path& ledger) {
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi table = 0;
  MDB_cursor* cursor = nullptr;
  std::vector<Row> rows;
  EXPECT_EQ(mdb_env_create(&environment), 0);
  EXPECT_EQ(mdb_env_open(environment, ledger.c_str(), MDB_RDONLY | MDB_NOLOCK, 0600), 0);
  EXPECT_EQ(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction), 0);
  EXPECT_EQ(mdb_dbi_open(transaction, nullptr, 0, &table), 0);
  EXPECT_EQ(mdb_cursor_open(transaction, table, &cursor), 0);
  MDB_val key{}, value{};
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
    rows.push_back({{static_cast<const char*>(key.mv_data), key.mv_size},
                    {static_cast<const char*>(value.mv_data), value.mv_size}});
  mdb_cursor_close(cursor);
  mdb_txn_abort(transaction);
  mdb_env_close(environment);
  return rows;
}

// shown_key is a row's key but for what is a keyed hash: of ids of jobs, of people with a patch,
// and of days.
std::string shown_key(const std::string& key) {
  const auto table = static_cast<unsigned char>(key[0]);
  const bool hashed = table == 8 || table == 11 || table == 12;
  EXPECT_TRUE(!hashed || key.size() >= 17);
  return hex(as_bytes(hashed ? key.substr(0, 1) + key.substr(17) : key));
}

// visible is everything about a ledger's directory that is not sealed text: names, lengths, rights
// and times of files, and keys and lengths of LMDB's rows. Of times those of data.mdb and of
// directories are left out: they say when the machine last wrote, as its log does.
std::string visible(const fs::path& ledger) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(ledger))
    lines.push_back(fs::relative(entry.path(), ledger).string() + " " +
                    std::to_string(entry.is_regular_file() ? entry.file_size() : 0) + " " +
                    std::to_string(static_cast<unsigned>(entry.status().permissions())) +
                    (entry.path().extension() == ".fugo"
                         ? std::to_string(entry.last_write_time().time_since_epoch().count())
                         : ""));
  std::sort(lines.begin(), lines.end());
  std::vector<std::string> rows;
  for (const Row& row : lmdb_rows(ledger))
    rows.push_back(shown_key(row.key) + " " + std::to_string(row.value.size()));
  std::sort(rows.begin(), rows.end());  // hashes come in any order
  lines.insert(lines.end(), rows.begin(), rows.end());
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

struct Stolen {
  std::string shown;
  std::vector<Row> rows;
  std::string bulk;  // all bulk files
};

// Act is a request of some kind, carried out.
struct Act {
  std::string kind, text;
};

Stolen steal_of(const TestSite& site) {
  const auto ledger = site.directory() / "ledger";
  Stolen stolen{visible(ledger), lmdb_rows(ledger), {}};
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(ledger / "data")) files.insert(entry.path());
  for (const auto& file : files) stolen.bulk += read_file(file);
  return stolen;
}

// steal_after makes a site on which this was done, and takes its ledger.
Stolen steal_after(const std::vector<Act>& acts, const std::string& agencies = {},
                   const RunOptions& options = {}) {
  const TestSite site;
  const auto scratch = site.scratch();
  if (!agencies.empty()) {
    write_file(scratch / "more", agencies);
    EXPECT_EQ(site.run({"agency", "import", (scratch / "more").string()}).exit_code, 0);
  }
  for (const Act& act : acts) {
    write_file(scratch / "request", act.text);
    std::vector<std::string> words = {act.kind, (scratch / "request").string(), "--out",
                                      (scratch / "out").string()};
    if (act.kind == "delete") words.insert(words.end(), {"--confirm", "1"});
    const auto done = site.run(words, options);
    EXPECT_EQ(done.exit_code, 0) << done.err;
  }
  return steal_of(site);
}
Stolen steal(const Rows& rows) { return steal_after({{"issue", request_text("REQUEST-7", rows)}}); }

// people gives `count` people from `first` on; those for whom `at_first` holds are at 131016, the
// others at 472018.
template <typename AtFirst>
Rows people(std::uint64_t first, std::size_t count, AtFirst at_first) {
  Rows rows;
  for (std::size_t i = 0; i < count; ++i)
    rows.push_back(
        {std::to_string(1000 + i), at_first(i) ? "131016" : "472018", resident_code(first + i)});
  return rows;
}
bool even(std::size_t i) { return i % 2 == 0; }

TEST(Thief, CannotTellWhoIsInIt) {
  const auto one = steal(people(0, 40, even));
  EXPECT_EQ(steal(people(5000, 40, even)).shown, one.shown) << "other people";
  auto but_one = people(0, 40, even);
  but_one[17].resident_code = resident_code(9999);
  EXPECT_EQ(steal(but_one).shown, one.shown) << "one other person";
  // The control: how many there are can be seen, roughly, as docs/threat-model.md says.
  EXPECT_NE(steal(people(0, 400, even)).shown, one.shown);
}

TEST(Thief, CannotTellWhichAgencyHoldsWhomNorInWhatOrderTheyCame) {
  const auto one = steal(people(0, 40, even));
  EXPECT_EQ(steal(people(0, 40, [](std::size_t i) { return !even(i); })).shown, one.shown)
      << "the other agency";
  EXPECT_EQ(steal(people(0, 40, [](std::size_t i) { return even(i) && i != 4; })).shown, one.shown)
      << "one issuance at the other agency";
  auto turned = people(0, 40, even);
  for (std::size_t i = 0; i < turned.size(); ++i)
    turned[i].resident_code = resident_code(turned.size() - 1 - i);
  EXPECT_EQ(steal(turned).shown, one.shown) << "another order";
}

// Numbers of a registry with more agencies than fit one byte of CBOR's small numbers.
std::string many_agencies() {
  std::string text = "agency_code,name,method\n";
  for (int i = 0; i < 40; ++i) text += "2" + std::to_string(10'000 + i) + ",Town,\n";
  return text;
}

// The numbers in rows are of any size: how many people an agency has, whether it has any, and its
// own number must not show in the lengths of what is sealed.
TEST(Thief, CannotTellHowManyAnAgencyHas) {
  const auto at_first = [](std::size_t count) {
    return steal(people(0, 40, [=](std::size_t i) { return i < count; })).shown;
  };
  const auto one = at_first(23);
  for (const std::size_t count : {0U, 1U, 16U, 17U, 24U, 39U, 40U})
    EXPECT_EQ(at_first(count), one) << count;
}

TEST(Thief, CannotTellAgenciesByTheirNumbers) {
  const auto with_one_at = [](const std::string& agency) {
    auto rows = people(0, 40, even);
    rows[17].agency = agency;
    return steal_after({{"issue", request_text("REQUEST-7", rows)}}, many_agencies()).shown;
  };
  const auto one = with_one_at("131016");
  EXPECT_EQ(with_one_at("210000"), one);
  EXPECT_EQ(with_one_at("210039"), one);
}

// Of a second request, who was known and who was not: but for whether there was anybody new.
TEST(Thief, CannotTellWhoWasKnown) {
  const auto first = request_text("REQUEST-1", people(0, 30, even));
  const auto with_new = [&](std::size_t count) {
    Rows rows = people(0, 24, [](std::size_t i) { return !even(i); });
    for (std::size_t i = 0; i < count; ++i) rows[i].resident_code = resident_code(700 + i);
    return steal_after({{"issue", first}, {"issue", request_text("REQUEST-2", rows)}}).shown;
  };
  const auto one = with_new(1);
  EXPECT_EQ(with_new(2), one);
  EXPECT_EQ(with_new(9), one);
}

TEST(Thief, CannotTellWhoWasChangedOrDeleted) {
  const Act first{"issue", request_text("REQUEST-1", people(0, 40, even))};
  const auto changed = [&](std::size_t who) {
    return steal_after(
               {first,
                {"change", kind_text("C", "change", {{resident_code(who), resident_code(800)}})}})
        .shown;
  };
  EXPECT_EQ(changed(3), changed(30));
  const auto deleted = [&](std::size_t who) {
    return steal_after(
               {first,
                {"delete", kind_text("D", "delete", {{resident_code(who), "clerical_error"}})}})
        .shown;
  };
  EXPECT_EQ(deleted(4), deleted(31));
  EXPECT_EQ(deleted(5), deleted(4));
}

TEST(Thief, CannotTellWhen) {
  const auto after = [](const std::string& offset) {
    RunOptions options;
    options.environment = {{"LD_PRELOAD", FUGO_LIBFAKETIME}, {"FAKETIME", offset}};
    return steal_after({{"issue", request_text("REQUEST-7", people(0, 40, even))}}, {}, options)
        .shown;
  };
  const auto one = after("+1d");
  EXPECT_EQ(after("+40d"), one);
  EXPECT_EQ(after("+3000d"), one);
}

// chi_square of the bytes' frequencies; of random ones 255, give or take 23.
double chi_square(const std::string& bytes) {
  std::array<double, 256> count{};
  for (const char c : bytes) ++count[static_cast<unsigned char>(c)];
  const double expected = static_cast<double>(bytes.size()) / 256;
  double sum = 0;
  for (const double n : count) sum += (n - expected) * (n - expected) / expected;
  return sum;
}

TEST(Thief, SealedBytesLookRandomAndNoBlockComesTwice) {
  const auto one = steal(people(0, 3000, even)), other = steal(people(0, 3000, even));
  ASSERT_GT(one.bulk.size(), 200'000U);
  constexpr double kMost = 255 + 8 * 22.6;  // eight standard deviations
  EXPECT_LT(chi_square(one.bulk), kMost);
  std::string values;
  for (const Row& row : one.rows)
    if (row.key[0] != 1) values += row.value;  // but the header, which is not sealed
  EXPECT_LT(chi_square(values), kMost);
  EXPECT_GT(chi_square(std::string(values.size(), 'x')), kMost);
  std::set<std::string> blocks;
  for (const auto* bulk : {&one.bulk, &other.bulk})
    for (std::size_t at = 0; at + 16 <= bulk->size(); at += 16)
      EXPECT_TRUE(blocks.insert(bulk->substr(at, 16)).second) << "at " << at;
}

// Two texts under one key and nonce would be there for who takes their difference: entries have
// zeros and numbers that go up in the same places.
TEST(Thief, TheDifferenceOfTwoBlocksLooksRandomToo) {
  constexpr double kMost = 255 + 8 * 22.6;
  constexpr std::size_t kBlock = 1024, kText = 1008;
  const auto one = steal(people(0, 3000, even)), other = steal(people(5000, 3000, even));
  ASSERT_EQ(one.bulk.size(), other.bulk.size());
  const auto differences = [&](const std::string& a, const std::string& b, std::size_t apart) {
    std::string all;
    for (std::size_t at = 0; at + apart + kBlock <= b.size(); at += kBlock)
      for (std::size_t i = 0; i < kText; ++i)
        all += static_cast<char>(a[at + i] ^ b[at + apart + i]);
    return chi_square(all);
  };
  for (const std::size_t apart : {std::size_t{1}, std::size_t{2}, std::size_t{7}})
    EXPECT_LT(differences(one.bulk, one.bulk, apart * kBlock), kMost) << apart << " blocks apart";
  EXPECT_LT(differences(one.bulk, other.bulk, 0), kMost) << "the same file of two ledgers";
  EXPECT_GT(differences(one.bulk, one.bulk, 0), kMost);
}

// Nothing of the registry, the journal or the requests is there in clear.
TEST(Thief, FindsNoCodeNameParameterOrTime) {
  const TestSite site;
  write_file(site.scratch() / "request", request_text("REQUEST-7", people(0, 40, even)));
  ASSERT_EQ(
      site.run({"--operator", "somebody-here", "--order", "WORK-ORDER-12", "issue",
                (site.scratch() / "request").string(), "--out", (site.scratch() / "out").string()})
          .exit_code,
      0);
  std::vector<std::string> wanted = {"131016",        "472018",     "REQUEST-7", "somebody-here",
                                     "WORK-ORDER-12", "fugo-link",  "agency",    "issue",
                                     "Asia/Tokyo",    "cmac-ff-aes"};
  {
    const auto settings = daemon::load_settings(site.config());
    ASSERT_TRUE(settings);
    auto opened = daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kRead);
    ASSERT_TRUE(opened) << opened.error().message();
    const auto agencies = opened->ledger->agencies();
    ASSERT_TRUE(agencies);
    for (const auto& agency : *agencies) {
      wanted.push_back(agency.name.size() > 3 ? agency.name : agency.code);
      const auto& parameter = agency.versions.front().parameter.bytes;
      wanted.emplace_back(parameter.begin(), parameter.begin() + 8);
      wanted.push_back(hex(parameter).substr(0, 16));
    }
  }
  hsm::finalize_all();
  for (const auto& entry : fs::recursive_directory_iterator(site.directory() / "ledger")) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    const auto bytes = read_file(entry.path());
    for (const auto& text : wanted) {
      EXPECT_EQ(bytes.find(text), std::string::npos)
          << hex(as_bytes(text)) << " in " << entry.path();
      std::string wide;
      for (const char c : text) wide += std::string{c, '\0'};
      EXPECT_EQ(bytes.find(wide), std::string::npos) << text << " in " << entry.path();
    }
  }
  // The control: what is not sealed is found.
  EXPECT_NE(read_file(site.directory() / "ledger/data.mdb").find("fugoLDGR"), std::string::npos);
}

}  // namespace
}  // namespace fugo::test
