// fugo backup and fugo restore: the same site again, and nothing else accepted.
#include "tests/daemon/backup/backup_site.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// acts are the names of all acts in a site's journal.
std::vector<std::string> acts(const CommandResult& shown) {
  std::vector<std::string> names;
  const auto document = shown.json();
  for (const auto& entry : document["entries"]) names.push_back(entry["act"]);
  return names;
}

void flip(const fs::path& file, std::uint64_t at) {
  auto content = read_file(file);
  content.at(at) = static_cast<char>(content.at(at) ^ 0x10);
  write_file(file, content);
}

TEST(Backup, GivesTheSameSiteAgain) {
  const BackupSite site;
  const auto made = site.make_backup();
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.json()["verified"], true);
  EXPECT_EQ(made.json()["digest"].get<std::string>() + "\n", site.site().run({"digest"}).out);
  EXPECT_THAT(acts(site.site().run({"--json", "journal", "show", "--last", "2"})),
              ::testing::ElementsAre("backup.start", "backup"));
  // Nothing but the ledger's files and the signed inventory: no locks, no keys, no PIN.
  EXPECT_THAT(entries(site.backup()), ::testing::ElementsAre("backup.json", "backup.json.pem",
                                                             "backup.json.sig", "ledger"));
  EXPECT_THAT(entries(site.backup() / "ledger"), ::testing::ElementsAre("data", "data.mdb"));

  const auto restored = site.restore();
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_EQ(acts(site.run_restored({"--json", "journal", "show", "--last", "1"}))[0], "restore");
  site.expect_same_site();
  // The same request is the same job, and gives the same answers.
  write_file(site.site().scratch() / "again",
             request_text("N1", {{"1", "131016", resident_code(7)}}));
  const auto again = site.run_restored({"issue", (site.site().scratch() / "again").string(),
                                        "--out", (site.site().scratch() / "o2").string()});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(read_file(site.site().scratch() / "o2/N1/131016.csv"), HasSubstr(",existing"));
}

TEST(Backup, TakesWhatIsThereWhileTheDaemonIssues) {
  const BackupSite site;
  const auto before = site.site().run({"--json", "digest"}).json()["issuances"].get<int>();
  const RunningDaemon daemon(site.site());
  int most = 0;
  for (int i = 0; i < 6; ++i) {
    const std::string id = "H" + std::to_string(i);
    std::vector<TrialRow> rows;
    for (int row = 0; row < 50; ++row)
      rows.push_back({std::to_string(row), "011002",
                      resident_code(static_cast<std::uint64_t>(1000 + 50 * i + row))});
    drop(site.site(), id + ".csv", request_text(id, rows));
    const auto made = site.make_backup(id);
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto restored = site.restore(id, "to" + id);
    ASSERT_EQ(restored.exit_code, 0) << restored.err;
    // Whole requests or, since a request is one segment here, nothing of them.
    const int more = restored.json()["issuances"].get<int>() - before;
    EXPECT_EQ(more % 50, 0);
    most = std::max(most, more);
    EXPECT_EQ(site.run_restored({"verify"}, "to" + id).exit_code, 0);
  }
  ASSERT_TRUE(wait_for([&] { return answered(site.site(), "H5"); }));
  EXPECT_GT(most, 0);
}

TEST(Backup, ADirectoryInUseIsRefusedAndStays) {
  const BackupSite site;
  fs::create_directory(site.backup());
  write_file(site.backup() / "mine", "x");
  EXPECT_EQ(site.make_backup().exit_code, 1);
  EXPECT_EQ(entries(site.backup()), std::vector<std::string>{"mine"});
  ASSERT_EQ(site.make_backup("good").exit_code, 0);
  const auto refused = site.restore("good", "backup");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("nothing was restored"));
  EXPECT_EQ(entries(site.backup()), std::vector<std::string>{"mine"});
}

TEST(Backup, OneFlippedByteAnywhereIsFound) {
  const BackupSite site;
  ASSERT_EQ(site.make_backup().exit_code, 0);
  std::size_t flips = 0;
  for (const auto& entry : fs::recursive_directory_iterator(site.backup())) {
    if (!entry.is_regular_file() || entry.path().extension() == ".pem") continue;
    const auto size = fs::file_size(entry.path());
    for (std::uint64_t i = 0; i < 6; ++i, ++flips) {
      const auto at = i == 0 ? 0 : i == 1 ? size - 1 : (size * (2 * i + 1)) / 13;
      flip(entry.path(), at);
      const auto refused = site.restore();
      EXPECT_EQ(refused.exit_code, 5) << entry.path() << " at " << at << ": " << refused.err;
      EXPECT_FALSE(fs::exists(site.restored()));
      flip(entry.path(), at);
    }
  }
  EXPECT_GE(flips, 30U);
  EXPECT_EQ(site.restore().exit_code, 0);
}

TEST(Backup, WhatIsMissingCutOffOrOfAnotherBackupIsFound) {
  const BackupSite site;
  ASSERT_EQ(site.make_backup("first").exit_code, 0);
  ASSERT_EQ(run_kind(site.site(), "N2", "issue",
                     request_text("N2", {{"1", "131016", resident_code(777)}}))
                .exit_code,
            0);
  ASSERT_EQ(site.make_backup().exit_code, 0);
  const auto file = fs::directory_iterator(site.backup() / "ledger/data")->path();
  const auto size = fs::file_size(file);
  fs::rename(file, site.site().scratch() / "away");
  EXPECT_EQ(site.restore().exit_code, 5);
  fs::rename(site.site().scratch() / "away", file);
  const auto content = read_file(file);
  fs::resize_file(file, size - 1);
  EXPECT_EQ(site.restore().exit_code, 5);
  write_file(file, content);
  // The older rows under the newer inventory, and the older inventory without its signature.
  const auto newer = read_file(site.backup() / "ledger/data.mdb");
  write_file(site.backup() / "ledger/data.mdb",
             read_file(site.backup("first") / "ledger/data.mdb"));
  EXPECT_EQ(site.restore().exit_code, 5);
  write_file(site.backup() / "ledger/data.mdb", newer);
  const auto inventory = read_file(site.backup() / "backup.json");
  write_file(site.backup() / "backup.json", read_file(site.backup("first") / "backup.json"));
  EXPECT_EQ(site.restore().exit_code, 5);
  write_file(site.backup() / "backup.json", "{}");
  EXPECT_EQ(site.restore().exit_code, 5);
  write_file(site.backup() / "backup.json", inventory);
  EXPECT_FALSE(fs::exists(site.restored()));
  ASSERT_EQ(site.restore().exit_code, 0);
  // What nobody named is not taken over.
  EXPECT_EQ(site.restore("first", "older").exit_code, 0);
}

TEST(Backup, NamesThatLeadElsewhereAreNoInventory) {
  const BackupSite site;
  ASSERT_EQ(site.make_backup().exit_code, 0);
  const auto file = site.backup() / "backup.json";
  auto document = nlohmann::ordered_json::parse(read_file(file));
  for (const char* name : {"../fugo.toml", "data/../../x.fugo", "/etc/passwd", "data/.fugo", ""}) {
    document["files"][1]["name"] = name;
    write_file(file, document.dump());
    const auto refused = site.restore();
    EXPECT_EQ(refused.exit_code, 5) << name;
    EXPECT_THAT(refused.err, HasSubstr("names files that no ledger has"));
  }
}

TEST(Backup, AnInventoryOfAnotherKindIsDamage) {
  const BackupSite site;
  ASSERT_EQ(site.make_backup().exit_code, 0);
  for (const char* text : {"", "[]", R"({"fugo_backup":"1"})", R"({"fugo_backup":2})"}) {
    write_file(site.backup() / "backup.json", text);
    EXPECT_EQ(site.restore().exit_code, 5) << text;
  }
}

TEST(Backup, TokensOfAnotherSiteDoNotOpenIt) {
  const BackupSite site;
  const TestSite other(std::vector<std::string>{});  // keys of its own
  ASSERT_EQ(site.make_backup().exit_code, 0);
  const auto refused =
      other.run({"restore", site.backup().string(), "--dir", (other.scratch() / "r").string()});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_FALSE(fs::exists(other.scratch() / "r"));
}

TEST(Backup, DamageOfTheLedgerIsFoundWhenItIsBackedUp) {
  const BackupSite site;
  fs::path largest;
  for (const auto& entry : fs::directory_iterator(site.site().directory() / "ledger/data"))
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path();
  flip(largest, fs::file_size(largest) / 2);
  const auto refused = site.make_backup();
  EXPECT_EQ(refused.exit_code, 5) << refused.err;
  EXPECT_FALSE(fs::exists(site.backup()));
  // Unverified it is taken as it is; restoring finds it.
  EXPECT_EQ(site.make_backup("blind", {"--unverified"}).exit_code, 0);
  EXPECT_EQ(site.restore("blind").exit_code, 5);
}

}  // namespace
}  // namespace fugo::test
