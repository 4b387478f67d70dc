// The commands of docs/audit.md, on a site where a month of work was done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/service/daemon_fixture.h"
#include "tests/daemon/shell_blocks.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class Audit : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.set_config("[ledger]", "[issue]\nreject_limit_rows = 3\n\n[ledger]");
    symbols_ = issue_everybody(site_, 8, {"131016", "472018"});
    fs::create_directories(site_.directory() / "kept");
    act({"journal", "export", "--out", kept("october.jsonl")});
    EXPECT_EQ(site_.run({"agency", "suspend", "011002"}).exit_code, 0);  // in between: in November
    act({"journal", "checkpoint", "--out", kept("october.note")});
    a_month();
  }
  std::string kept(const std::string& name) const {
    return (site_.directory() / "kept" / name).string();
  }
  void act(std::vector<std::string> words, int expected = 0) const {
    words.insert(words.begin(), {"--operator", "suzuki", "--order", "WO-7"});
    const auto done = site_.run(words);
    EXPECT_EQ(done.exit_code, expected) << words[4] << ": " << done.err;
  }
  void a_month() {
    EXPECT_EQ(run_kind(site_, "N1", "issue",
                       request_text("N1", {{"1", "131016", resident_code(20)},
                                           {"2", "472018", resident_code(1)},
                                           {"3", "131016", "24727059600"}}))
                  .exit_code,
              3);
    EXPECT_EQ(run_kind(site_, "C1", "change",
                       kind_text("C1", "change", {{resident_code(2), resident_code(50)}}))
                  .exit_code,
              0);
    EXPECT_EQ(run_kind(site_, "D1", "delete",
                       kind_text("D1", "delete", {{resident_code(3), "clerical_error"}}),
                       {"--confirm", "1"})
                  .exit_code,
              0);
    what_applies_nothing();
    act({"freeze", "issue", "--reason", "a drill"});
    EXPECT_EQ(site_.run({"thaw"}).exit_code, 0);  // by nobody's order
    act({"backup", kept("backup")});
    act({"keys", "create", "--purpose", "record"});
  }
  // Codes and symbols are put to the token for all of these.
  void what_applies_nothing() {
    std::vector<std::pair<std::string, std::string>> nobody, people;
    for (std::size_t i = 0; i < 4; ++i) {
      nobody.emplace_back(resident_code(800 + i), resident_code(900 + i));
      people.emplace_back(resident_code(4 + i), "clerical_error");
    }
    {  // held, and refused
      RunningDaemon daemon(site_);
      drop(site_, "H1", kind_text("H1", "change", nobody));
      ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site_, "held") / "H1" / "H1"); }));
      act({"jobs", "refuse", "H1"});
      ASSERT_TRUE(wait_for([&] { return refused(site_, "H1"); })) << daemon.log();
      EXPECT_EQ(daemon.stop(), 0);
    }
    // Looked at, checked, linked.
    EXPECT_EQ(run_kind(site_, "L1", "delete", kind_text("L1", "delete", people)).exit_code, 1);
    act({"check", (site_.scratch() / "L1.csv").string()});
    EXPECT_EQ(link_one(site_, symbols_["131016"][1], "131016", "472018").substr(0, 3), "ok,");
  }
  // blocks_of gives what entries of one act say.
  nlohmann::json blocks_of(const std::string& act_name) const {
    const auto shown = site_.run({"--json", "journal", "show", "--last", "1000"}).json();
    for (const auto& entry : shown["entries"])
      if (entry["act"] == act_name && entry["details"].contains("blocks"))
        return entry["details"]["blocks"];
    return {};
  }
  TestSite site_;
  std::map<std::string, std::map<std::size_t, std::string>> symbols_;
};

TEST_F(Audit, EveryCommandOfTheWalkDoesWhatItSays) {
  const auto walk = run_document("audit.md", site_.directory());
  ASSERT_EQ(walk.exit_code, 0) << walk.log;
  EXPECT_THAT(walk.log, HasSubstr("Verified OK"));
  EXPECT_THAT(walk.log, HasSubstr("\tagency.suspend\n")) << "no entry is in no copy";
  EXPECT_THAT(walk.log, HasSubstr("\tthaw\n")) << "what nobody ordered is named";
  EXPECT_THAT(walk.log, Not(HasSubstr("suzuki\tfreeze\n")));
  EXPECT_THAT(walk.log, HasSubstr("\"requests\": 1"));
  EXPECT_THAT(walk.log, HasSubstr("\"new\": 1"));
  EXPECT_THAT(walk.log, HasSubstr("\"rejected\": 1"));
  for (const char* act : {"issue.done", "change.done", "delete.done", "job.refuse", "delete.look",
                          "check.done", "link"})
    EXPECT_FALSE(blocks_of(act).empty()) << act;
  EXPECT_THAT(walk.log, HasSubstr("\nlinkage-v1 "));
  EXPECT_THAT(walk.log, HasSubstr("\nthe blocks add up\n"));
  EXPECT_THAT(walk.log, HasSubstr("kept/backup/backup.json: OK"));
  EXPECT_THAT(walk.log, HasSubstr("\nthe digest agrees\n"));
  EXPECT_THAT(walk.log, HasSubstr("\"act\":\"keys.create\""));
  EXPECT_THAT(walk.log, Not(HasSubstr("unexplained_blocks\":")));
  EXPECT_THAT(walk.log, HasSubstr("\"act\":\"delete.done\""));
}

TEST_F(Audit, ALedgerThatWasPutBackEndsItAtTheFirstStep) {
  act({"journal", "checkpoint", "--out", kept("later.note")});
  fs::rename(kept("later.note"), kept("october.note"));
  fs::rename(kept("later.note.pem"), kept("october.note.pem"));
  const auto copy = fs::path(kept("backup")) / "ledger";
  fs::remove_all(site_.directory() / "ledger/data");
  for (const auto* name : {"data.mdb", "data"}) {
    fs::remove_all(site_.directory() / "ledger" / name);
    fs::copy(copy / name, site_.directory() / "ledger" / name, fs::copy_options::recursive);
  }
  const auto walk = run_document("audit.md", site_.directory());
  EXPECT_EQ(walk.exit_code, 5) << walk.log;
  EXPECT_THAT(walk.log, Not(HasSubstr("november")));
}

}  // namespace
}  // namespace fugo::test
