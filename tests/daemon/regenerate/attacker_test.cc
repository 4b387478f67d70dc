// For each key that may leak: an attacker with that key and a copy of the old ledger makes what can
// be made with them, and reaches nothing of the new generation. Each test first shows that the same
// attacker had everything before, so that the attack is a real one.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/site_access.h"
#include "hsm/token.h"
#include "keystore/bulk_files.h"
#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using daemon::open_site;
using fugo::testing::FaultPlan;
using fugo::testing::run_with_faults;
using keystore::Access;
using keystore::Agency;
using keystore::CheckValue;
using keystore::Generation;
using keystore::GenerationRow;

constexpr std::size_t kPeople = 24;
using Found = std::set<Block>;

template <typename T>
T must(Result<T> result) {
  EXPECT_TRUE(result) << (result ? "" : result.error().message());
  return std::move(*result);
}

// Opened is a site that is open in this process; one at a time.
class Opened {
 public:
  explicit Opened(const TestSite& site, hsm::TokenRole role = hsm::TokenRole::kIssuing)
      : settings_(must(daemon::load_settings(site.config()))),
        site_(must(open_site(settings_, role, Access::kRead))),
        generations_(must(site_->ledger().generations())) {}
  ~Opened() {
    site_.reset();
    hsm::finalize_all();
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  engine::Site& site() { return *site_; }
  engine::Symbols& symbols() { return site_->symbols(); }
  GenerationRow generation(Generation number) const {
    for (const auto& row : generations_)
      if (row.number == number) return row;
    ADD_FAILURE() << "no generation " << number;
    return {};
  }

  // Linkage symbols as the ledger holds them: what must not be reached.
  std::vector<Block> linkage(Generation number) {
    const auto snapshot = must(site_->ledger().snapshot());
    auto records = must(SecretArray<keystore::PersonRecord>::create(snapshot->people()));
    EXPECT_TRUE(
        snapshot->read_people_range(generation(number).linkage_generation, 0, records.span()));
    std::vector<Block> symbols;
    for (const auto& record : records.span()) symbols.push_back(record.linkage_symbol);
    return symbols;
  }

 private:
  daemon::Settings settings_;
  std::unique_ptr<engine::Site> site_;
  std::vector<GenerationRow> generations_;
};

// Everything that the linkage key of `row` makes of all resident codes: symbols of several
// counters, and chains of them once and twice.
Found made_by_linkage_key(engine::Symbols& symbols, const GenerationRow& row) {
  Found found;
  std::vector<std::uint64_t> codes;
  for (std::size_t i = 0; i < kPeople; ++i) codes.push_back(std::stoull(resident_code(i)));
  for (std::uint16_t counter = 0; counter < 3; ++counter) {
    const std::vector<std::uint16_t> counters(kPeople, counter);
    std::vector<Block> made(kPeople);
    std::vector<CheckValue> checks(kPeople);
    std::vector<Block> unused(kPeople);
    EXPECT_TRUE(symbols.linkage_and_check(row, codes, unused, checks));
    EXPECT_TRUE(symbols.linkage(row, codes, counters, made));
    for (int chains = 0; chains < 3; ++chains) {
      found.insert(made.begin(), made.end());
      EXPECT_TRUE(symbols.chain(row, made, checks));
    }
  }
  return found;
}

std::size_t shared(const Found& found, const std::vector<Block>& symbols) {
  return static_cast<std::size_t>(std::count_if(
      symbols.begin(), symbols.end(), [&](const Block& s) { return found.count(s) != 0; }));
}

// What an agency is answered, as blocks.
std::vector<Block> blocks(const std::map<std::size_t, std::string>& symbols) {
  std::vector<Block> all;
  for (const auto& [resident, text] : symbols) all.push_back(*decode_symbol(text));
  return all;
}

// Symbols of linkage symbols at an agency, under the keys that were the agencies' in `keys_of`,
// with every parameter that the agency has ever had.
Found made_by_agency_key(Opened& opened, const std::string& code, Generation keys_of,
                         const std::vector<Block>& linkage) {
  Found found;
  const Agency agency = *opened.site().find_agency(code);
  const auto key_rows = must(opened.site().ledger().key_rows());
  const auto generations = must(opened.site().ledger().generations());
  keystore::AgencyVersion old = agency.versions.front();
  for (const auto& version : agency.versions)
    if (version.generation <= keys_of) old = version;
  for (const auto& version : agency.versions) {
    Agency stolen = agency;
    stolen.versions = {old};
    stolen.versions.front().parameter = version.parameter;
    stolen.versions.front().generation = 1;
    const auto symbols = must(
        engine::Symbols::open(opened.site().shared_token(), key_rows, generations, {{stolen}}));
    const std::vector<keystore::AgencyNumber> agencies(linkage.size(), agency.number);
    std::vector<Block> made(linkage.size());
    EXPECT_TRUE(symbols->agency(opened.site().active_generation().number, agencies, linkage, made));
    found.insert(made.begin(), made.end());
  }
  return found;
}

// Runs the whole regeneration up to its commit; the old keys are still in the tokens then, which is
// what the attacker plays with.
std::string regenerate(const TestSite& site, const std::string& what,
                       const std::vector<std::string>& more = {}) {
  const std::string run = plan_run(site, what, more);
  EXPECT_EQ(step(site, "run", run).exit_code, 0);
  EXPECT_EQ(step(site, "commit", run).exit_code, 0);
  return run;
}

TEST(Attacker, WithTheLinkageKey) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  {
    Opened before(site);
    const Found found = made_by_linkage_key(before.symbols(), before.generation(1));
    ASSERT_EQ(shared(found, before.linkage(1)), kPeople);
  }
  (void)regenerate(site, "linkage");
  Opened after(site);
  const auto now = after.linkage(2);
  ASSERT_EQ(now.size(), kPeople);
  EXPECT_EQ(shared(made_by_linkage_key(after.symbols(), after.generation(1)), now), 0U);
}

TEST(Attacker, WithTheAgencyKeyAndEvenEveryLinkageSymbol) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  {
    Opened before(site);
    for (const auto& agency : {"131016", "131130"})
      ASSERT_EQ(
          shared(made_by_agency_key(before, agency, 1, before.linkage(1)), blocks(old.at(agency))),
          kPeople);
  }
  const std::string run = regenerate(site, "agency");
  const Symbols now = translate(site, run, old);
  Opened after(site);
  for (const auto& agency : {"131016", "131130"})
    EXPECT_EQ(
        shared(made_by_agency_key(after, agency, 1, after.linkage(2)), blocks(now.at(agency))), 0U);
}

TEST(Attacker, WithTheKeysThatCanBeInverted) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const auto invert = [&](Opened& opened, Generation generation) {
    const auto number = opened.site().find_agency("141003")->number;
    const auto listed = blocks(old.at("141003"));
    std::vector<Block> linkage(listed.size());
    EXPECT_TRUE(opened.symbols().invert_agency(generation, number, listed, linkage));
    return linkage;
  };
  std::vector<Block> known;
  {
    Opened before(site, hsm::TokenRole::kLinking);
    known = invert(before, 1);
    ASSERT_EQ(shared(Found(known.begin(), known.end()), before.linkage(1)), kPeople);
  }
  const std::string run = regenerate(site, "linkage,agency");
  const Symbols now = translate(site, run, old);
  Opened after(site);
  EXPECT_EQ(shared(Found(known.begin(), known.end()), after.linkage(2)), 0U);
  for (const auto& agency : kHolders)
    EXPECT_EQ(shared(made_by_agency_key(after, agency, 1, known), blocks(now.at(agency))), 0U);
}

TEST(Attacker, WithTheRecordKeyAndEvenEveryLinkageSymbol) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const std::string run = regenerate(site, "record");
  Opened after(site);
  const auto linkage = after.linkage(2);
  std::vector<Block> stolen(kPeople);
  ASSERT_TRUE(after.symbols().record(after.generation(1), linkage, stolen));
  const Found found(stolen.begin(), stolen.end());
  const auto lines = split_lines(read_file(aliases_file(site, run)));
  std::vector<Block> old_aliases, new_records;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    old_aliases.push_back(*decode_symbol(lines[i].at(0)));
    new_records.push_back(*decode_symbol(lines[i].at(1)));
  }
  ASSERT_EQ(shared(found, old_aliases), kPeople);  // the attack was a real one
  EXPECT_EQ(shared(found, new_records), 0U);
}

TEST(Attacker, WithSeveralKeysAtOnce) {
  const TestSite site;
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  const std::string run = regenerate(site, "linkage,agency,record");
  const Symbols now = translate(site, run, old);
  Opened after(site);
  const Found linkage = made_by_linkage_key(after.symbols(), after.generation(1));
  EXPECT_EQ(shared(linkage, after.linkage(2)), 0U);
  const std::vector<Block> all(linkage.begin(), linkage.end());
  for (const auto& agency : kHolders)
    EXPECT_EQ(shared(made_by_agency_key(after, agency, 1, all), blocks(now.at(agency))), 0U);
}

// OldCopy is a copy of the ledger with its data key: what a thief has who was there once.
class OldCopy {
 public:
  explicit OldCopy(const TestSite& site) : folder_(site.scratch() / "stolen") {
    fs::copy(site.directory() / "ledger", folder_, fs::copy_options::recursive);
    Opened opened(site);
    const auto& header = opened.site().ledger().header();
    const auto wrap = must(opened.site().token().find_key(
        {hsm::KeyPurpose::kDataWrap, hsm::KeyAlgorithm::kAes256, header.wrap_key_version},
        std::nullopt));
    key_ = must(opened.site().token().unwrap_data_key(wrap, header.wrapped_data_key));
    ledger_id_ = header.ledger_id;
    rows_ = must(open(folder_))->snapshot().value()->files();
  }

  const std::vector<keystore::FileRow>& rows() const { return rows_; }
  Result<std::unique_ptr<keystore::Ledger>> open(const fs::path& folder) const {
    return keystore::Ledger::open(folder, Access::kRead, key_);
  }
  Result<std::unique_ptr<keystore::Ledger>> open() const { return open(folder_); }

  // opened counts the files in a data folder that a key of the copy's manifest opens.
  std::size_t opened(const fs::path& data) const {
    const TemporaryDirectory place;
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(data))
      for (const auto& row : rows_) {
        if (entry.file_size() != row.bytes) continue;
        const auto name = place.path() / keystore::bulk_file_name(row.number);
        fs::copy_file(entry.path(), name, fs::copy_options::overwrite_existing);
        if (keystore::check_file({place.path(), ledger_id_}, row)) ++count;
      }
    return count;
  }

 private:
  fs::path folder_;
  SecretBytes<32> key_;
  Block ledger_id_;
  std::vector<keystore::FileRow> rows_;
};

// kill_before_unlinking gives the finish, which dies when the ledger has its new keys and every old
// file is still there. It is given twice: the first time it tells which step that is.
void kill_before_unlinking(const TestSite& site, const std::string& run,
                           const std::vector<keystore::FileRow>& old_files) {
  const auto ledger = site.directory() / "ledger", saved = site.scratch() / "saved";
  fs::copy(ledger, saved, fs::copy_options::recursive);
  FaultPlan plan;
  plan.under = site.scratch();
  plan.except = {site.directory() / "tokens"};
  plan.log = site.scratch() / "steps";
  const std::vector<std::string> finish{FUGO_BINARY_DIR "/daemon/fugo",
                                        "--config",
                                        site.config().string(),
                                        "regenerate",
                                        "finish",
                                        run,
                                        "--without-acks"};
  ASSERT_EQ(run_with_faults(finish, plan).exit_code, 0);
  std::istringstream steps(read_file(plan.log));
  std::set<std::string> names;
  for (const auto& row : old_files) names.insert(keystore::bulk_file_name(row.number));
  std::string call, path;
  for (std::uint64_t number = 0; plan.kill_at == 0 && steps >> number >> call >> path;)
    if (call == "unlink" && names.contains(fs::path(path).filename().string()))
      plan.kill_at = number;
  ASSERT_NE(plan.kill_at, 0U);
  fs::remove_all(ledger);
  fs::copy(saved, ledger, fs::copy_options::recursive);
  ASSERT_EQ(run_with_faults(finish, plan).signal, SIGKILL);
}

TEST(Attacker, WithTheDataKeyAndTheOldLedger) {
  const TestSite site;
  (void)issue_everybody(site, kPeople, kHolders);
  const OldCopy stolen(site);
  std::vector<Block> known(kPeople);
  {
    const auto ledger = must(stolen.open());
    auto records = must(SecretArray<keystore::PersonRecord>::create(kPeople));
    ASSERT_TRUE(must(ledger->snapshot())->read_people_range(1, 0, records.span()));
    for (std::size_t i = 0; i < kPeople; ++i) known[i] = records[i].linkage_symbol;
  }
  const auto ledger = site.directory() / "ledger";
  {
    Opened before(site);
    ASSERT_EQ(shared(Found(known.begin(), known.end()), before.linkage(1)), kPeople);
  }
  ASSERT_TRUE(stolen.open(ledger));
  ASSERT_EQ(stolen.opened(ledger / "data"), stolen.rows().size());

  const std::string run = regenerate(site, "linkage,ledger");
  ASSERT_NO_FATAL_FAILURE(kill_before_unlinking(site, run, stolen.rows()));
  EXPECT_FALSE(stolen.open(ledger));
  EXPECT_GT(stolen.opened(ledger / "data"), 0U);  // so the finish must be given again
  const auto finished = step(site, "finish", run, {"--without-acks"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_FALSE(stolen.open(ledger));
  EXPECT_EQ(stolen.opened(ledger / "data"), 0U);
  Opened after(site);
  EXPECT_EQ(shared(Found(known.begin(), known.end()), after.linkage(2)), 0U);
}

TEST(Attacker, WithAnAgencysParameterAlone) {
  const TestSite site;
  const TestSite elsewhere(std::vector<std::string>{});  // made anew: keys of its own
  const Symbols old = issue_everybody(site, kPeople, kHolders);
  std::vector<Block> linkage;
  Block parameter;
  {
    Opened opened(site);
    linkage = opened.linkage(1);
    parameter = opened.site().find_agency("472018")->versions.front().parameter;
    ASSERT_EQ(shared(made_by_agency_key(opened, "472018", 1, linkage), blocks(old.at("472018"))),
              kPeople);
  }
  // The right parameter, and keys of the attacker's own: another site's.
  Opened other(elsewhere);
  Agency agency = *other.site().find_agency("472018");
  agency.versions.front().parameter = parameter;
  const auto symbols = must(
      engine::Symbols::open(other.site().shared_token(), must(other.site().ledger().key_rows()),
                            must(other.site().ledger().generations()), {{agency}}));
  const std::vector<keystore::AgencyNumber> agencies(kPeople, agency.number);
  std::vector<Block> made(kPeople);
  ASSERT_TRUE(symbols->agency(1, agencies, linkage, made));
  EXPECT_EQ(shared(Found(made.begin(), made.end()), blocks(old.at("472018"))), 0U);
}

}  // namespace
}  // namespace fugo::test
