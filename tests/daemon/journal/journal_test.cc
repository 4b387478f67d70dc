// The journal outside of the ledger: exports, signed checkpoints, and what they find.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "daemon/config.h"
#include "daemon/site_access.h"
#include "hsm/token.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Journal : public ::testing::Test {
 protected:
  void issue(const std::string& id, std::uint64_t resident) const {
    ASSERT_EQ(
        run_kind(site_, id, "issue", request_text(id, {{"1", "131016", resident_code(resident)}}))
            .exit_code,
        0);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (site_.scratch() / name).string();
  }
  [[nodiscard]] CommandResult verify(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"--json", "journal", "verify"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.run(arguments);
  }
  void export_to(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"journal", "export", "--out", path(name)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto done = site_.run(arguments);
    ASSERT_EQ(done.exit_code, 0) << done.err;
  }
  void save_ledger(const std::string& name) const {
    fs::copy(site_.directory() / "ledger", path(name), fs::copy_options::recursive);
  }
  void bring_ledger_back(const std::string& name) const {
    fs::remove_all(site_.directory() / "ledger");
    fs::copy(path(name), site_.directory() / "ledger", fs::copy_options::recursive);
  }
  TestSite site_;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

TEST_F(Journal, AnExportHasEveryEntryAndStaysTrueAsTheLedgerGoesOn) {
  issue("I1", 1);
  export_to("whole.jsonl");
  export_to("tail.jsonl", {"--from", "3"});
  const auto shown = site_.run({"--json", "journal", "show"}).json()["entries"];
  const auto lines = lines_of(read_file(path("whole.jsonl")));
  ASSERT_EQ(lines.size(), shown.size());
  for (std::size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(nlohmann::json::parse(lines[i]), shown[i]);
  EXPECT_EQ(lines_of(read_file(path("tail.jsonl"))).size(), lines.size() - 3);
  issue("I2", 2);
  const auto sound = verify({"--export", path("whole.jsonl"), path("tail.jsonl")});
  EXPECT_EQ(sound.exit_code, 0) << sound.out << sound.err;
  // No code of anybody is in it.
  EXPECT_THAT(read_file(path("whole.jsonl")), ::testing::Not(HasSubstr(resident_code(1))));
}

TEST_F(Journal, ChangesRemovalsAndMovesInACopyAreFound) {
  issue("I1", 1);
  export_to("copy.jsonl");
  const auto lines = lines_of(read_file(path("copy.jsonl")));
  ASSERT_GT(lines.size(), 4U);
  const auto finds = [&](const std::vector<std::string>& changed, const std::string& line) {
    write_file(path("copy.jsonl"), joined(changed));
    const auto found = verify({"--export", path("copy.jsonl")});
    EXPECT_EQ(found.exit_code, 5) << found.out;
    EXPECT_THAT(found.err, HasSubstr("line " + line));
  };
  auto without = lines;
  without.erase(without.begin() + 2);
  finds(without, "3");
  auto swapped = lines;
  std::swap(swapped[1], swapped[2]);
  finds(swapped, "2");
  for (const auto& [key, value] : {std::pair{"operator", nlohmann::ordered_json("mallory")},
                                   {"act", "keys.destroy"},
                                   {"time", "2020-01-01T00:00:00+09:00"},
                                   {"unix_time", 7},
                                   {"order", "9"},
                                   {"details", nlohmann::ordered_json::object()},
                                   {"extra", 1}}) {
    auto changed = lines;
    auto document = nlohmann::ordered_json::parse(changed[2]);
    document[key] = value;
    ASSERT_NE(document.dump(), changed[2]) << key;
    changed[2] = document.dump();
    finds(changed, "3");
  }
  // The same to a program that reads JSON, and not to a person or another program.
  const auto twice = [&](const std::string& field, const std::string& more) {
    auto changed = lines;
    const auto at = changed[2].find(field);
    ASSERT_NE(at, std::string::npos) << field;
    changed[2].insert(at, more);
    finds(changed, "3");
  };
  twice("\"operator\"", "\"operator\":\"mallory\",");
  twice("\"act\"", " ");
  twice("+09:00\",\"unix_time\"", " ");
  const auto sequence = lines[2].find("\"sequence\":2,");
  ASSERT_NE(sequence, std::string::npos);
  auto number = lines;
  number[2].replace(sequence, 13, "\"sequence\":2.0");
  finds(number, "3");
  auto longer = lines;
  longer[2].insert(longer[2].find("\",\"unix_time\""), "\\u0000 or some other day");
  finds(longer, "3");
  auto mistyped = nlohmann::ordered_json::parse(lines[2]);
  mistyped["time"] = 5;
  auto other = lines;
  other[2] = mistyped.dump();
  finds(other, "3");
  auto broken = lines;
  broken[3] = broken[3].substr(0, 40);
  finds(broken, "4");
}

TEST_F(Journal, WhatIsNoCopyIsNotSound) {
  write_file(path("empty.jsonl"), "");
  EXPECT_EQ(verify({"--export", path("empty.jsonl")}).exit_code, 5);
  EXPECT_EQ(verify({"--export", site_.scratch().string()}).exit_code, 1);
  export_to("copy.jsonl");
  const auto kept = read_file(path("copy.jsonl"));
  EXPECT_EQ(site_.run({"journal", "export", "--out", path("copy.jsonl")}).exit_code, 1);
  EXPECT_EQ(read_file(path("copy.jsonl")), kept);
}

TEST_F(Journal, ARollBackIsFoundByWhatWasKeptElsewhere) {
  issue("I1", 1);
  ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("first.note")}).exit_code, 0);
  save_ledger("old");
  issue("I2", 2);
  export_to("copy.jsonl");
  ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("second.note")}).exit_code, 0);
  EXPECT_EQ(verify({"--checkpoint", path("first.note"), path("second.note")}).exit_code, 0);

  bring_ledger_back("old");
  EXPECT_EQ(site_.run({"verify"}).exit_code, 0) << "sealing alone does not see it";
  EXPECT_EQ(verify({"--checkpoint", path("first.note")}).exit_code, 0);
  const auto rolled = verify({"--checkpoint", path("second.note")});
  EXPECT_EQ(rolled.exit_code, 5);
  EXPECT_THAT(rolled.err, HasSubstr("rolled back"));
  const auto parted = verify({"--export", path("copy.jsonl")});
  EXPECT_EQ(parted.exit_code, 5);
  const auto parting = parted.json()["partings"][0];
  EXPECT_EQ(parting["ledger_ends"], true);
  EXPECT_THAT(parting["missing"].dump(), HasSubstr("I2"));

  // Going on from there does not hide it.
  issue("I3", 3);
  issue("I4", 4);
  const auto other = verify({"--checkpoint", path("second.note")});
  EXPECT_EQ(other.exit_code, 5);
  EXPECT_THAT(other.err, HasSubstr("does not begin with"));
  EXPECT_EQ(verify({"--export", path("copy.jsonl")}).json()["partings"][0]["ledger_ends"], false);
}

// Whoever has the data key and writes the ledger need not tell the journal.
TEST_F(Journal, ContentThatChangedWithoutAnEntryIsNotThatOfTheCheckpoint) {
  const auto change = [&](std::uint32_t open_job) {
    const auto settings = daemon::load_settings(site_.config());
    const auto open =
        daemon::open_ledger(*settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend);
    ASSERT_TRUE(open) << open.error().message();
    const auto update = open->ledger->begin();
    ASSERT_TRUE(update) << update.error().message();
    (*update)->state().people_digest.add({{1, 0, 0, 0}});
    (*update)->state().open_job = open_job;
    ASSERT_TRUE((*update)->commit());
  };
  issue("I1", 1);
  ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("note")}).exit_code, 0);
  const auto same = verify({"--checkpoint", path("note")});
  EXPECT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(same.json()["checkpoints"][0]["content"], "as it was signed for");
  change(1);
  hsm::finalize_all();
  const auto open = verify({"--checkpoint", path("note")});
  EXPECT_EQ(open.exit_code, 0) << "segments have no entry";
  EXPECT_EQ(open.json()["checkpoints"][0]["content"], "not compared, since a job is open");
  change(0);
  hsm::finalize_all();
  EXPECT_EQ(verify({}).exit_code, 0) << "the chain alone does not see it";
  const auto changed = verify({"--checkpoint", path("note")});
  EXPECT_EQ(changed.exit_code, 5);
  EXPECT_THAT(changed.err, HasSubstr("not those of the checkpoint"));
  issue("I2", 2);
  EXPECT_EQ(verify({"--checkpoint", path("note")}).exit_code, 0) << "what came since is not known";
}

TEST_F(Journal, ACheckpointIsCheckedWithOpenssl) {
  ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("note")}).exit_code, 0);
  const auto lines = lines_of(read_file(path("note")));
  // Origin, size, root, time, two digests, configuration, counts of blocks, a gap, a signature.
  ASSERT_GE(lines.size(), 10U);
  EXPECT_EQ(lines[lines.size() - 2], "");
  const std::string script =
      "set -e; cd '" + site_.scratch().string() +
      "'; sed '/^$/,$d' note > body; tail -n 1 note | cut -d' ' -f3 | base64 -d > blob; "
      "tail -c +5 blob > sig; openssl dgst -sha256 -verify note.pem -signature sig body; "
      // The key's id: SHA-256 of the SubjectPublicKeyInfo, four bytes.
      "test \"$(head -c 4 blob | od -An -tx1 | tr -d ' ')\" = \"$(openssl pkey -pubin -in note.pem "
      "-outform DER | openssl dgst -sha256 -r | cut -c 1-8)\"";
  EXPECT_EQ(std::system(("bash -c '" +
                         [&] {
                           std::string quoted;
                           for (const char c : script)
                             quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
                           return quoted;
                         }() +
                         "' > /dev/null")
                            .c_str()),
            0);
  EXPECT_EQ(lines[4], "digest " + lines_of(site_.run({"digest"}).out)[0]);
}

TEST_F(Journal, ACheckpointThatWasChangedOrIsAnothersIsRefused) {
  ASSERT_EQ(site_.run({"journal", "checkpoint", "--out", path("note")}).exit_code, 0);
  const auto note = read_file(path("note"));
  for (std::size_t at = 0; at < note.size(); at += 11) {
    auto changed = note;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    write_file(path("changed"), changed);
    EXPECT_EQ(verify({"--checkpoint", path("changed")}).exit_code, 5) << at;
  }
  // A witness's signature beside it is nobody's business here.
  write_file(path("witnessed"), note + "\xE2\x80\x94 example.com/witness AAAAAAAA\n");
  EXPECT_EQ(verify({"--checkpoint", path("witnessed")}).exit_code, 0);
  const TestSite other(std::vector<std::string>{});
  EXPECT_EQ(other.run({"journal", "verify", "--checkpoint", path("note")}).exit_code, 5);
}

}  // namespace
}  // namespace fugo::test
