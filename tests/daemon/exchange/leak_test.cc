// Every kind of act at a small site: codes and linkage symbols are in nothing that it leaves, and
// an agency's symbols are in nothing that is another's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/needles.h"
#include "tests/daemon/jobs/trial_requests.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;

const std::vector<std::uint64_t> kPlanted = {1, 3, 5, 7, 55, 300};

class LeakOfActs : public testing::Test {
 protected:
  // done runs a command that must succeed, and gives what it said.
  CommandResult done(const std::vector<std::string>& words) {
    const auto result = site().run(words);
    EXPECT_EQ(result.exit_code, 0) << words.front() << ": " << result.err;
    said_ += result.out + result.err;
    return result;
  }
  [[nodiscard]] const TestSite& site() const { return with_.site(); }
  // Requests lie apart from what comes of them.
  [[nodiscard]] std::string asked(const std::string& name, const std::string& text) const {
    fs::create_directory(site().scratch() / "asked");
    write_file(site().scratch() / "asked" / name, text);
    return (site().scratch() / "asked" / name).string();
  }
  [[nodiscard]] std::string out(const std::string& name = {}) const {
    fs::create_directory(site().scratch() / "left");
    return (site().scratch() / "left" / name).string();
  }

  void issue_change_and_delete() {
    std::vector<TrialRow> rows;
    for (std::uint64_t i = 0; i < 40; ++i)
      for (const char* agency : {"131016", "472018"})
        rows.push_back({std::to_string(1000 + 7 * i % 97), agency, resident_code(i)});
    rows.push_back({"9", "131016", "24727059600"});  // its check digit is wrong
    EXPECT_EQ(site()
                  .run({"issue", asked("I1", request_text("I1", rows)), "--out", out(),
                        "--accept-rejects"})
                  .exit_code,
              3);
    const auto sealed = with_.seal(
        "I2", request_text("I2", {{"1", "131016", resident_code(55)}, {"2", "131016", "x"}}));
    EXPECT_EQ(site().run({"issue", sealed.string(), "--out", out(), "--accept-rejects"}).exit_code,
              3);
    done({"change",
          asked("C1", kind_text("C1", "change", {{resident_code(3), resident_code(300)}})), "--out",
          out()});
    done({"delete", asked("D1", kind_text("D1", "delete", {{resident_code(5), "clerical_error"}})),
          "--confirm", "1", "--out", out()});
  }

  // Returns the regeneration's id.
  std::string link_and_regenerate() {
    const auto answers = read_answers(out("I1"));
    write_file(site().scratch() / "symbols", answers.at("131016").begin()->second.symbol + "\n");
    done({"link", (site().scratch() / "symbols").string(), "--from", "131016", "--to", "472018",
          "--out", out("linked")});
    const auto id = done({"--json", "regenerate", "plan", "--what", "agency", "--reason", "a test"})
                        .json()["run"];
    done({"regenerate", "run", id, "--out", out("maps")});
    done({"regenerate", "commit", id});
    return id;
  }

  // in tells how many needles there are in one of the files that were left.
  [[nodiscard]] std::size_t in(const std::string& file, const std::vector<Needle>& needles) const {
    return find_in(as_bytes(read_file(out(file))), needles).size();
  }
  static std::vector<Needle> needles_of(const std::vector<Block>& symbols) {
    std::vector<Needle> needles;
    for (const Block& symbol : symbols) add_symbol(symbol, needles);
    return needles;
  }
  // Of two agencies each has its own symbols in its file, and none of the other's.
  void expect_apart(const std::string& folder, const std::vector<Needle>& first,
                    const std::vector<Needle>& second) const {
    EXPECT_GE(in(folder + "/131016.csv", first), 3U) << folder;
    EXPECT_GE(in(folder + "/472018.csv", second), 3U) << folder;
    EXPECT_EQ(in(folder + "/131016.csv", second), 0U) << folder;
    EXPECT_EQ(in(folder + "/472018.csv", first), 0U) << folder;
  }

  void copy() {
    done({"backup", out("backup")});
    done({"ship", out()});
    fs::create_directory(out("journal"));
    done({"journal", "copy", out("journal")});
    done({"journal", "export", "--out", out("export")});
    done({"journal", "checkpoint", "--out", out("checkpoint")});
    done({"stats"});
    done({"jobs", "list"});
    done({"verify"});
  }

  ExchangeSite with_;
  std::string said_;
};

TEST_F(LeakOfActs, NothingOfThemIsLeft) {
  std::vector<std::uint64_t> codes;
  std::vector<Needle> secret;
  for (const auto number : kPlanted) {
    codes.push_back(std::stoull(resident_code(number)));
    add_code(resident_code(number), secret);
  }
  issue_change_and_delete();
  // As they were when these people were issued theirs; the regeneration makes others.
  const auto of_first = symbols_of(site(), codes, "131016");
  const auto of_second = symbols_of(site(), codes, "472018");
  const auto run = link_and_regenerate();
  const auto new_of_first = symbols_of(site(), codes, "131016");
  const auto new_of_second = symbols_of(site(), codes, "472018");
  copy();
  for (const auto* symbols : {&of_first, &of_second})
    for (const Block& symbol : symbols->linkage) add_symbol(symbol, secret);
  expect_findable(secret);
  EXPECT_GE(find_needles(site().scratch() / "asked", {}, secret).size(), 4U);
  EXPECT_THAT(find_needles(site().directory(), {}, secret), testing::IsEmpty());
  EXPECT_THAT(find_needles(out(), {}, secret), testing::IsEmpty());
  write_file(out("said"), said_);
  EXPECT_THAT(find_needles(out(), {}, secret), testing::IsEmpty());

  const auto own = needles_of(of_first.agency), others = needles_of(of_second.agency);
  const auto new_own = needles_of(new_of_first.agency);
  const auto new_others = needles_of(new_of_second.agency);
  expect_apart("I1", own, others);
  expect_apart("maps/" + run, own, others);
  expect_apart("maps/" + run, new_own, new_others);
  for (const auto* symbols : {&own, &others, &new_own, &new_others}) {
    for (const char* file :
         {"I1/rejects.csv", "I1/summary.json", "I2/summary.json", "export", "checkpoint", "said"})
      EXPECT_EQ(in(file, *symbols), 0U) << file;
    for (const auto& folder :
         {site().directory() / "ledger", fs::path(out("journal")), fs::path(out("backup"))})
      EXPECT_THAT(find_needles(folder, {}, *symbols), testing::IsEmpty());
  }
}

// Of an encrypted request nothing may ever be in a file in the clear, whenever the job dies.
TEST_F(LeakOfActs, NothingOfAnEncryptedRequestIsLeftByAJobThatIsKilled) {
  std::vector<TrialRow> rows;
  for (std::uint64_t i = 0; i < 300; ++i)
    for (const char* agency : {"131016", "472018"})
      rows.push_back({std::to_string(1000 + 7 * i % 997), agency, resident_code(i)});
  site().set_config("[ledger]", "[issue]\nsegment_rows = 200\n\n[ledger]");
  const auto sealed = with_.seal("I1", request_text("I1", rows));
  std::vector<Needle> secret;
  std::vector<std::uint64_t> codes;
  for (const std::uint64_t number : {1U, 150U, 299U}) {
    codes.push_back(std::stoull(resident_code(number)));
    add_code(resident_code(number), secret);
  }
  for (const Block& symbol : symbols_of(site(), codes, "131016").linkage)
    add_symbol(symbol, secret);
  expect_findable(secret);
  const int killed = kill_until_done(
      {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config", site().config().string(), "issue",
       sealed.string(), "--out", out()},
      site(), [&] { EXPECT_THAT(find_needles(site().scratch(), {}, secret), testing::IsEmpty()); });
  EXPECT_GT(killed, 8);
}

}  // namespace
}  // namespace fugo::test
