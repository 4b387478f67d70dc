#include "tests/daemon/jobs/full_ledger.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "daemon/site_access.h"
#include "hsm/token.h"
#include "keystore/bulk_format.h"
#include "keystore/rows.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/merge_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130", "141003"};
constexpr std::size_t kFirst = 130, kMore = 30;  // people before and after the first regeneration

// Content collects what there is as bytes; the first error ends it.
class Content {
 public:
  explicit Content(const keystore::Ledger& ledger) : ledger_(ledger) {}

  Result<std::string> all() {
    FUGO_ASSIGN(const auto header, keystore::encode_header(ledger_.header()));
    add(header);
    FUGO_ASSIGN(const auto state, ledger_.state());
    FUGO_TRY(row(state));
    FUGO_TRY(tables());
    FUGO_ASSIGN(const auto entries, ledger_.journal(0, state.journal_entries + 1));
    FUGO_TRY(rows(entries));
    FUGO_ASSIGN(const auto stats, ledger_.stats());
    for (const auto& row : stats)
      text_ += row.day + std::to_string(row.agency) + "," + std::to_string(row.generation) + "," +
               std::to_string(row.count_new) + "," + std::to_string(row.count_existing) + "," +
               std::to_string(row.count_rejected) + "\n";
    FUGO_TRY(bulk());
    return std::move(text_);
  }

 private:
  void add(ByteView bytes) {
    text_ += std::to_string(bytes.size()) + ":";
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  template <typename Row>
  Status row(const Row& value) {
    FUGO_ASSIGN(const auto encoded, keystore::encode_row(value));
    add(encoded.bytes());
    return {};
  }
  template <typename Row>
  Status rows(const std::vector<Row>& values) {
    text_ += std::to_string(values.size()) + " rows\n";
    for (const Row& value : values) FUGO_TRY(row(value));
    return {};
  }

  Status tables() {
    FUGO_ASSIGN(const auto agencies, ledger_.agencies());
    FUGO_TRY(rows(agencies));
    FUGO_ASSIGN(const auto keys, ledger_.key_rows());
    FUGO_TRY(rows(keys));
    FUGO_ASSIGN(const auto generations, ledger_.generations());
    FUGO_TRY(rows(generations));
    FUGO_ASSIGN(const auto jobs, ledger_.jobs());
    FUGO_TRY(rows(jobs));
    for (const auto& job : jobs) {
      FUGO_ASSIGN(const auto found, ledger_.find_job(job.id));
      text_ += found == job ? "found\n" : "another\n";
    }
    FUGO_ASSIGN(const auto segments, ledger_.segments());
    FUGO_TRY(rows(segments));
    FUGO_ASSIGN(const auto runs, ledger_.runs());
    FUGO_TRY(rows(runs));
    for (const auto& run : runs) {
      FUGO_ASSIGN(const auto parts, ledger_.run_agencies(run.number));
      FUGO_TRY(rows(parts));
    }
    return {};
  }

  template <typename Codec>
  void entry(const typename Codec::Entry& value) {
    std::array<std::uint8_t, Codec::kLayout.entry_bytes> bytes{};
    Codec::encode(value, bytes.data());
    add(bytes);
  }

  Status bulk() {
    FUGO_ASSIGN(const auto snapshot, ledger_.snapshot());
    FUGO_TRY(rows(snapshot->files()));
    const auto patches = snapshot->patches();
    FUGO_TRY(rows(std::vector(patches.begin(), patches.end())));
    std::map<keystore::Generation, std::uint64_t> people;
    for (const auto& file : snapshot->files())
      if (file.kind == keystore::FileKind::kPerson) people[file.generation] += file.entries;
    for (const auto& [generation, count] : people) {
      std::vector<keystore::PersonRecord> records(count);
      FUGO_TRY(snapshot->read_people_range(generation, 0, records));
      for (const auto& record : records) entry<keystore::PersonCodec>(record);
      FUGO_TRY(snapshot->scan_index(generation, [&](auto entries) -> Status {
        for (const auto& found : entries) entry<keystore::IndexCodec>(found);
        return {};
      }));
    }
    return issuances(*snapshot);
  }

  Status issuances(const keystore::Snapshot& snapshot) {
    FUGO_ASSIGN(const auto agencies, ledger_.agencies());
    for (const auto& agency : agencies)
      FUGO_TRY(
          snapshot.scan_issued(agency.number, 0, keystore::kNoPerson, [&](auto entries) -> Status {
            for (const auto& found : entries) entry<keystore::IssuedCodec>(found);
            return {};
          }));
    return {};
  }

  const keystore::Ledger& ledger_;
  std::string text_;
};

}  // namespace

Result<std::string> content_of(const keystore::Ledger& ledger) { return Content(ledger).all(); }

FullLedger::FullLedger() {
  site_.set_config("[ledger]", "[issue]\nsegment_rows = 160\n\n[ledger]");
  make_people();
  regenerate();
  leave_things_open();
  auto settings = daemon::load_settings(site_.config());
  EXPECT_TRUE(settings) << settings.error().message();
  settings_ = std::move(*settings);
  take_data_key();
}

void FullLedger::done(const std::vector<std::string>& words) const {
  const auto result = site_.run(words);
  EXPECT_EQ(result.exit_code, 0) << words[0] << " " << words[1] << ": " << result.err;
}

void FullLedger::request(const std::string& kind, const std::string& id,
                         const std::string& text) const {
  std::vector<std::string> more;
  if (kind == "delete") more = {"--confirm", "1"};
  const auto result = run_kind(site_, id, kind, text, more);
  EXPECT_EQ(result.exit_code, 0) << id << ": " << result.err;
}

// Residents [first, first + count), each at all agencies but now and then one.
void FullLedger::issue(const std::string& id, std::size_t first, std::size_t count) {
  std::vector<TrialRow> rows;
  for (std::size_t i = 0; i < kAgencies.size(); ++i)
    for (std::size_t resident = first; resident < first + count; ++resident)
      if (resident % 7 != i)
        rows.push_back({"P" + std::to_string(resident * 7919 % 100003), kAgencies[i],
                        resident_code(resident)});
  request("issue", id, request_text(id, rows));
  for (const auto& [agency, answers] : read_answers(site_.scratch() / "out" / id))
    symbols_[agency] = answers.begin()->second.symbol;
}

void FullLedger::make_people() {
  issue("I1", 0, kFirst);
  request(
      "issue", "I2",
      request_text("I2", {{"1", "011002", resident_code(1)}, {"2", "011002", resident_code(6)}}));
  request("change", "C1", kind_text("C1", "change", {{resident_code(3), resident_code(9003)}}));
  request("delete", "D1", kind_text("D1", "delete", {{resident_code(5), "clerical_error"}}));
  done({"agency", "add", "999999", "--name", "Nobody's"});
  done({"agency", "suspend", "999999"});
  EXPECT_EQ(run_merge(site_, "011002", "131016").exit_code, 0);
}

// Everything anew once, to its end; then people who start from there, and symbols anew again, as
// far as files beside the ledger's own.
void FullLedger::regenerate() {
  const auto plan = [&](const std::string& what) {
    const auto planned =
        site_.run({"--json", "regenerate", "plan", "--what", what, "--reason", "a trial"});
    EXPECT_EQ(planned.exit_code, 0) << planned.err;
    return planned.json()["run"].get<std::string>();
  };
  const auto maps = (site_.scratch() / "maps").string();
  const auto first = plan("linkage,agency,record,ledger");
  done({"regenerate", "run", first, "--out", maps});
  done({"regenerate", "commit", first});
  issue("I3", kFirst - 10, kMore);
  request("change", "C2", kind_text("C2", "change", {{resident_code(7), resident_code(9007)}}));
  done({"regenerate", "finish", first, "--without-acks"});
  issue("I4", kFirst + kMore, kMore);
  request("delete", "D2", kind_text("D2", "delete", {{resident_code(11), "clerical_error"}}));
  done({"regenerate", "run", plan("linkage,agency"), "--out", maps});
}

// A request that the daemon holds, which a deletion is until somebody approves it.
void FullLedger::leave_things_open() const {
  RunningDaemon daemon(site_);
  drop(site_, "D3.csv", kind_text("D3", "delete", {{resident_code(13), "clerical_error"}}));
  EXPECT_TRUE(wait_for([&] { return entries(folder(site_, "held")).size() == 1; }));
  EXPECT_EQ(daemon.stop(), 0);
}

void FullLedger::take_data_key() {
  const auto header = keystore::Ledger::read_header(settings_.ledger_directory);
  ASSERT_TRUE(header) << header.error().message();
  {
    const auto wanted = settings_.token(hsm::TokenRole::kLinking);
    const auto token = hsm::Token::open(*wanted);
    ASSERT_TRUE(token) << token.error().message();
    const auto wrap_key = (*token)->find_key(
        {hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, header->wrap_key_version},
        std::nullopt);
    ASSERT_TRUE(wrap_key) << wrap_key.error().message();
    const auto data_key = (*token)->unwrap_data_key(*wrap_key, header->wrapped_data_key);
    ASSERT_TRUE(data_key) << data_key.error().message();
    data_key_ = *data_key;
  }
  hsm::finalize_all();  // processes are forked from here
}

std::string FullLedger::shown() const {
  std::string text;
  for (const std::vector<std::string>& words : {std::vector<std::string>{"digest"},
                                                {"--json", "agency", "list"},
                                                {"--json", "journal", "show"},
                                                {"--json", "stats"},
                                                {"--json", "keys", "list"},
                                                {"--json", "jobs", "list"},
                                                {"--json", "regenerate", "status"}}) {
    const auto result = site_.run(words);
    text += std::to_string(result.exit_code) + " " + result.out + result.err;
  }
  return text;
}

std::string FullLedger::links() const {
  std::string text;
  for (const auto& [from, symbol] : symbols_)
    for (const auto& to : {kAgencies.front(), kAgencies.back()})
      if (from != to) text += link_one(site_, symbol, from, to) + "\n";
  return text;
}

}  // namespace fugo::test
