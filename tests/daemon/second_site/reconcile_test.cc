// Proof that two sites are equal, the walk to a new machine, and what a lagging site finds out.
#include "daemon/journal/reconcile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "daemon/journal/entry_line.h"
#include "daemon/site_access.h"
#include "keystore/rows.h"
#include "tests/daemon/custodians.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string checkpoint(const TwoSites& sites, const std::string& name) {
  const auto file = (sites.scratch() / name).string();
  const auto made = sites.first().run({"journal", "checkpoint", "--out", file});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  return file;
}

// The walk of docs/second-site.md, "Moving to a new machine".
TEST(Moving, EndsWithASignedProofThatBothAreEqual) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.first()
                .run({"follow", sites.folder().string(), "--dir", sites.second().string(),
                      "--all-tokens"})
                .exit_code,
            0);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.ship({"--final"}).exit_code, 0);
  const auto old = checkpoint(sites, "old.checkpoint");
  // Not before the new machine has everything.
  const auto early = sites.at_second({"--json", "compare", old});
  EXPECT_EQ(early.exit_code, 1) << early.err;
  EXPECT_EQ(early.json()["equal"], false);
  ASSERT_EQ(sites.follow().exit_code, 0);
  EXPECT_EQ(sites.at_second({"verify"}).exit_code, 0);
  EXPECT_EQ(sites.at_second({"compare", old}).exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto moved = (sites.scratch() / "moved.json").string();
  const auto proof = sites.at_second({"--json", "compare", old, "--out", moved});
  ASSERT_EQ(proof.exit_code, 0) << proof.out << proof.err;
  EXPECT_EQ(proof.json()["since"], nlohmann::json::array({"takeover"}));
  EXPECT_EQ(proof.json()["here"]["digest"], proof.json()["there"]["digest"]);
  EXPECT_EQ(
      shell("openssl dgst -sha256 -verify " + moved + ".pem -signature " + moved + ".sig " + moved),
      0);
  EXPECT_EQ(nlohmann::json::parse(read_file(moved))["equal"], true);
  // What leaves people and issuances as they are may still be more than a takeover.
  ASSERT_EQ(sites.at_second({"agency", "suspend", "011002"}).exit_code, 0);
  const auto other = sites.at_second({"--json", "compare", old});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_EQ(other.json()["same_content"], true);
  // The tokens of both roles are the new machine's too: each does its own work.
  (void)sites.issue_second("N2", 501);
  EXPECT_EQ(sites.at_second({"compare", old}).exit_code, 1);  // it went on
  EXPECT_EQ(sites.first().run({"verify"}).exit_code, 0);
}

// Both went on: the same people, and another story.
TEST(Compare, SitesThatPartedAreNotEqual) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "suspend", "011002"}).exit_code, 0);
  const auto file = checkpoint(sites, "c");
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto parted = sites.at_second({"--json", "compare", file});
  EXPECT_EQ(parted.exit_code, 5) << parted.out;
  EXPECT_THAT(parted.err, HasSubstr("does not begin with"));
}

// A copy of the journal can be anybody's work: a terminal obeys nothing of it.
TEST(Reconcile, TellsNothingThatATerminalObeys) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "add", "999", "--name", "New"}).exit_code, 0);
  const auto copy = (sites.scratch() / "journal.jsonl").string();
  ASSERT_EQ(sites.first().run({"journal", "export", "--out", copy}).exit_code, 0);
  auto text = read_file(copy);
  const auto last = text.rfind('\n', text.size() - 2) + 1;
  auto entry = daemon::parse_entry_line(text.substr(last, text.size() - 1 - last), copy);
  ASSERT_TRUE(entry);
  for (const auto& [act, details] :
       {std::pair{"agency.\x1b[2J", "\x1b[2J"},
        std::pair{"issue.done", R"({"request":"\u001b[2Jx","rows":"many"})"}}) {
    entry->act = act;
    entry->details = details;
    const auto hash = keystore::journal_hash(*entry);
    ASSERT_TRUE(hash);
    entry->hash = *hash;
    write_file(copy, text.substr(0, last) + daemon::entry_line(*entry) + "\n");
    for (const auto& words :
         {std::vector<std::string>{"reconcile", copy}, {"journal", "verify", "--export", copy}}) {
      const auto told = sites.at_second(words);
      EXPECT_NE(told.exit_code, 0);
      EXPECT_EQ(told.out.find('\x1b'), std::string::npos) << told.out;
      EXPECT_THAT(told.out, HasSubstr("u001b[2J"));
    }
  }
}

TEST(Compare, AnotherLedgersAndAChangedCheckpointAreRefused) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto file = checkpoint(sites, "c");
  EXPECT_EQ(sites.at_second({"compare", file}).exit_code, 0);
  auto text = read_file(file);
  const auto at = text.find("digest ") + 7;
  text[at] = text[at] == 'a' ? 'b' : 'a';
  write_file(file, text);
  EXPECT_EQ(sites.at_second({"compare", file}).exit_code, 5);
  const TestSite other(std::vector<std::string>{});
  ASSERT_EQ(
      other.run({"journal", "checkpoint", "--out", (other.scratch() / "c").string()}).exit_code, 0);
  EXPECT_EQ(sites.at_second({"compare", (other.scratch() / "c").string()}).exit_code, 5);
}

// A takeover with lag: what the first site answered since is found by the journal's copies, and the
// same requests give the same symbols again.
TEST(Reconcile, TellsWhatWasAnsweredSinceAndItComesOutTheSame) {
  const TwoSites sites;
  const auto copies = sites.scratch() / "journal";
  fs::create_directory(copies);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  const auto first = sites.issue_first("N1", 500);
  ASSERT_EQ(run_kind(sites.first(), "C1", "change",
                     kind_text("C1", "change", {{resident_code(3), resident_code(300)}}))
                .exit_code,
            0);
  const auto changed = read_file(sites.scratch() / "out/C1/131016.csv");
  ASSERT_EQ(sites.first().run({"agency", "suspend", "011002"}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  const auto idle = sites.first().run({"--json", "journal", "copy", copies.string()});
  EXPECT_EQ(idle.json()["entries"], 0) << idle.err;

  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto lost = sites.at_second({"--json", "reconcile", copies.string()});
  EXPECT_EQ(lost.exit_code, 1) << lost.err;
  const auto found = lost.json();
  ASSERT_EQ(found["jobs"].size(), 2U) << lost.out;
  EXPECT_EQ(found["jobs"][0]["id"], "N1");
  EXPECT_EQ(found["jobs"][0]["kind"], "issue");
  EXPECT_EQ(found["jobs"][0]["end"], "answered");
  EXPECT_EQ(found["jobs"][0]["new"], 1);
  EXPECT_EQ(found["jobs"][1]["id"], "C1");
  ASSERT_EQ(found["others"].size(), 1U) << lost.out;
  EXPECT_EQ(found["others"][0]["act"], "agency.suspend");
  EXPECT_EQ(found["same_symbols"], true);
  EXPECT_EQ(found["parted"], true);  // the takeover has the place of the first lost entry
  EXPECT_THAT(
      sites
          .at_second({"journal", "verify", "--export",
                      (copies / fs::directory_iterator(copies)->path().filename()).string()})
          .out,
      ::testing::Not(HasSubstr("resident")));

  // Again, in that order.
  EXPECT_EQ(sites.issue_second("N1", 500), first);
  const auto again = sites.at_second({"change", (sites.scratch() / "C1.csv").string(), "--out",
                                      (sites.scratch() / "out2").string()});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_file(sites.scratch() / "out2/C1/131016.csv"), changed);
  EXPECT_EQ(sites.at_second({"digest", "--without-times"}).out,
            sites.first().run({"digest", "--without-times"}).out);
  EXPECT_EQ(sites.first().run({"reconcile", copies.string()}).exit_code, 0);
}

TEST(Reconcile, SaysWhatCannotComeOutTheSameAndWhatIsMissing) {
  const TwoSites sites;
  const auto copies = sites.scratch() / "journal";
  fs::create_directory(copies);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "add", "999", "--name", "New"}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  const auto lost = sites.at_second({"--json", "reconcile", copies.string()});
  EXPECT_EQ(lost.json()["same_symbols"], false) << lost.out << lost.err;
  EXPECT_EQ(lost.json()["parted"], false);
  EXPECT_THAT(lost.out, HasSubstr("another parameter"));

  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(copies)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 3U);
  const auto gap = sites.at_second({"reconcile", files[2].string()});
  EXPECT_EQ(gap.exit_code, 1);
  EXPECT_THAT(gap.err, HasSubstr("are in none of the copies"));
}

TEST(Reconcile, TwoStoriesAreNotMixed) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.found("third").exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "suspend", "011002"}).exit_code, 0);
  ASSERT_EQ(sites.take_over().exit_code, 0);
  const auto one = (sites.scratch() / "one.jsonl").string();
  const auto two = (sites.scratch() / "two.jsonl").string();
  ASSERT_EQ(sites.first().run({"journal", "export", "--out", one}).exit_code, 0);
  ASSERT_EQ(sites.at_second({"journal", "export", "--out", two}).exit_code, 0);
  for (const auto& copy : {one, two})
    EXPECT_EQ(sites.at_second({"reconcile", copy}, "third").exit_code, 1);
  const auto both = sites.at_second({"reconcile", one, two}, "third");
  EXPECT_EQ(both.exit_code, 5) << both.out;
  EXPECT_THAT(both.err, HasSubstr("another copy has another entry"));
}

// Whoever can write the folder of the copies can make an entry; a signed checkpoint tells.
TEST(Reconcile, ACheckpointTellsAnEntryThatWasAddedAndOneThatIsMissing) {
  const TwoSites sites;
  const auto copies = sites.scratch() / "journal";
  fs::create_directory(copies);
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "suspend", "011002"}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"agency", "resume", "011002"}).exit_code, 0);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  const auto note = checkpoint(sites, "note");
  const auto reconcile = [&] {
    return sites.at_second({"--json", "reconcile", copies.string(), "--checkpoint", note});
  };
  const auto good = reconcile();
  EXPECT_EQ(good.exit_code, 1) << good.err;
  const auto entries = good.json()["signed_entries"].get<std::uint64_t>();
  EXPECT_EQ(good.json()["entries"], 2);
  EXPECT_THAT(sites.at_second({"reconcile", copies.string()}).out,
              HasSubstr("Not compared with a signed checkpoint"));
  // The last entry is gone.
  fs::path last;
  for (const auto& entry : fs::directory_iterator(copies)) last = std::max(last, entry.path());
  const auto text = read_file(last);
  const auto second = text.find('\n') + 1;
  write_file(last, text.substr(0, second));
  const auto cut = reconcile();
  EXPECT_EQ(cut.exit_code, 5) << cut.out;
  EXPECT_THAT(cut.err, HasSubstr("the newest copies are missing"));
  // Another act in its place: another reason of the same chain is made by the second site itself.
  ASSERT_EQ(sites.take_over().exit_code, 0);
  ASSERT_EQ(sites.at_second({"freeze", "link", "--reason", "forged"}).exit_code, 0);
  const auto forged = (sites.scratch() / "forged.jsonl").string();
  ASSERT_EQ(
      sites.at_second({"journal", "export", "--out", forged, "--from", std::to_string(entries - 2)})
          .exit_code,
      0);
  const auto first = sites.first().run({"--json", "reconcile", forged, "--checkpoint", note});
  EXPECT_EQ(first.exit_code, 5) << first.out;
  EXPECT_THAT(first.err, HasSubstr("do not make the journal"));
}

// A first site that died while it wrote its copy never comes back to finish the line.
TEST(Reconcile, APieceOfALineIsTheEndOfACopy) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  for (const char* act : {"suspend", "resume"})
    ASSERT_EQ(sites.first().run({"agency", act, "011002"}).exit_code, 0);
  const auto copy = (sites.scratch() / "journal.jsonl").string();
  ASSERT_EQ(sites.first().run({"journal", "export", "--out", copy}).exit_code, 0);
  const auto full = read_file(copy);
  const auto last = full.rfind('\n', full.size() - 2) + 1;
  for (const std::size_t kept : {last + 1, last + 14, full.size() - 40, full.size() - 2}) {
    write_file(copy, full.substr(0, kept));
    const auto lost = sites.at_second({"--json", "reconcile", copy});
    EXPECT_EQ(lost.exit_code, 1) << kept << lost.err;
    EXPECT_EQ(lost.json()["entries"], 1) << kept;
    EXPECT_EQ(lost.json()["torn"], nlohmann::json::array({copy}));
    const auto verified = sites.first().run({"--json", "journal", "verify", "--export", copy});
    EXPECT_EQ(verified.exit_code, 0) << kept << verified.err;
    EXPECT_EQ(verified.json()["torn"], nlohmann::json::array({copy}));
  }
  EXPECT_THAT(sites.at_second({"reconcile", copy}).out, HasSubstr("ends with a piece of a line"));
  EXPECT_THAT(sites.at_second({"journal", "verify", "--export", copy}).out,
              HasSubstr("ends with a piece of a line"));
  // The line feed alone is missing: the entry is whole.
  write_file(copy, full.substr(0, full.size() - 1));
  const auto whole = sites.at_second({"--json", "reconcile", copy}).json();
  EXPECT_EQ(whole["entries"], 2);
  EXPECT_TRUE(whole["torn"].empty());
  // What is not the beginning of a line was put there.
  for (const char* more : {"X", "{\"sequence\":X", "{\"sequence\":1}"}) {
    write_file(copy, full + more);
    EXPECT_EQ(sites.at_second({"reconcile", copy}).exit_code, 5) << more;
  }
}

// What is too much to be listed counts all the same, once, and is compared with the checkpoint.
TEST(Reconcile, WhatIsNotListedIsComparedAndCounted) {
  const TwoSites sites;
  ASSERT_EQ(sites.ship().exit_code, 0);
  ASSERT_EQ(sites.found().exit_code, 0);
  for (const char* act : {"suspend", "resume", "suspend", "resume"})
    ASSERT_EQ(sites.first().run({"agency", act, "011002"}).exit_code, 0);
  const auto one = (sites.scratch() / "one.jsonl").string();
  const auto two = (sites.scratch() / "two.jsonl").string();
  ASSERT_EQ(sites.first().run({"journal", "export", "--out", one}).exit_code, 0);
  fs::copy(one, two);
  const auto note = checkpoint(sites, "note");
  const auto settings = daemon::load_settings(sites.second() / "fugo.toml");
  ASSERT_TRUE(settings) << settings.error().message();
  const auto role = daemon::any_role(*settings);
  ASSERT_TRUE(role);
  auto site = daemon::open_ledger(*settings, *role, keystore::Access::kRead);
  ASSERT_TRUE(site) << site.error().message();
  const auto found = daemon::reconcile(*site->ledger, {two, one}, {note}, 1);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->entries, 4U);
  EXPECT_EQ(found->unlisted, 3U);
  ASSERT_EQ(found->others.size(), 1U);
  EXPECT_EQ(found->others[0].act, "agency.suspend");
  const auto state = site->ledger->state();
  ASSERT_TRUE(state);
  EXPECT_EQ(found->signed_entries, state->journal_entries + 4);
  *site = {};
  hsm::finalize_all();
}

// Two at once would write one file and spoil the copy for good.
TEST(JournalCopy, OneAtATimeInAFolder) {
  const TwoSites sites;
  const auto copies = sites.scratch() / "journal";
  fs::create_directory(copies);
  const int folder = ::open(copies.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(folder, LOCK_EX | LOCK_NB), 0);
  const auto busy = sites.first().run({"journal", "copy", copies.string()});
  EXPECT_EQ(busy.exit_code, 1);
  EXPECT_THAT(busy.err, HasSubstr("another process copies the journal there"));
  EXPECT_TRUE(fs::is_empty(copies));
  ::close(folder);
  // What else lies there is nobody's copy.
  write_file(copies / "what-somebody-noted-about-this-folder.txt", "x\n");
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
}

TEST(JournalCopy, FindsALedgerThatWasPutBack) {
  const TwoSites sites;
  const auto ledger = sites.first().directory() / "ledger", old = sites.scratch() / "old";
  const auto copies = sites.scratch() / "journal";
  fs::create_directory(copies);
  fs::copy(ledger, old, fs::copy_options::recursive);
  (void)sites.issue_first("N1", 500);
  ASSERT_EQ(sites.first().run({"journal", "copy", copies.string()}).exit_code, 0);
  fs::remove_all(ledger);
  fs::rename(old, ledger);
  // As it is then, and when it has gone on beyond where the copy ends.
  for (int more = 0; more < 2; ++more) {
    const auto refused = sites.first().run({"journal", "copy", copies.string()});
    EXPECT_EQ(refused.exit_code, 5);
    EXPECT_THAT(refused.err, HasSubstr("is not in this ledger's journal"));
    (void)sites.issue_first("M1", 501);
    (void)sites.issue_first("M2", 502);
  }
}

}  // namespace
}  // namespace fugo::test
