// The commands of docs/exchange.md, as they stand there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/shell_blocks.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kSource = FUGO_SOURCE_DIR;

// run_script runs commands in a folder, with fugo and the agency's programs on the path.
CommandResult run_script(const fs::path& at, const std::string& commands) {
  write_file(at / "script.sh", "set -eu\nPATH=" + std::string(FUGO_BINARY_DIR) + "/daemon:" +
                                   (kSource / "examples/agency").string() + ":$PATH\n" + commands);
  return shell(at, "sh script.sh");
}

TEST(Document, ItsCommandsWork) {
  const TestSite site;
  for (const char* name : {"sender", "agency"}) fs::create_directory(site.scratch() / name);
  const auto made = run_script(
      site.scratch(),
      "openssl req -x509 -newkey rsa:3072 -nodes -keyout sender/jlis.key -out sender/jlis.pem "
      "-days 30 -subj /CN=jlis\n"
      "openssl req -x509 -newkey rsa:3072 -nodes -keyout agency/131016.key -out "
      "agency/131016.pem -days 30 -subj /CN=131016\n");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  write_file(site.scratch() / "sender/J1.csv",
             request_text("J1", trial_rows(0, 30, {"131016", "472018"})));
  const auto done = run_script(site.scratch(),
                               "cd site\n" + shell_blocks(read_file(kSource / "docs/exchange.md")));
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const auto agency = site.scratch() / "agency";
  EXPECT_EQ(read_file(agency / "opened.csv"), read_file(agency / "answer.csv"));
  EXPECT_EQ(read_file(agency / "answer.csv"),
            read_file(site.scratch() / "site/answers/J1/131016.csv"));
  // The agency's table has what it was answered, and keeps it when the answer comes again.
  const auto answers = read_answers(site.scratch() / "site/answers/J1").at("131016");
  const auto table = split_lines(read_file(agency / "symbols.csv"));
  ASSERT_EQ(table.size(), answers.size() + 1);
  for (std::size_t i = 1; i < table.size(); ++i)
    EXPECT_EQ(answers.at(table[i].at(0)).symbol, table[i].at(1));
  const auto again = run_script(agency, "keep-symbols.sh --agency 131016 answer.csv symbols.csv\n");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(split_lines(read_file(agency / "symbols.csv")), table);
}

TEST(Agency, TakesNothingThatWasChangedOrIsForSomebodyElse) {
  const ExchangeSite with;
  with.make_identity("agency", "-newkey rsa:3072 -subj /CN=agency");
  const auto at = with.scratch();
  ASSERT_EQ(
      with.site().run({"agency", "certificate", "131016", (at / "agency.pem").string()}).exit_code,
      0);
  write_file(at / "J1.csv", request_text("J1", trial_rows(0, 30, {"131016"})));
  ASSERT_EQ(with.issue(at / "J1.csv").exit_code, 0);
  std::string bytes = read_file(at / "out/J1/131016.csv.p7m");
  for (const std::size_t back : {std::size_t{200}, std::size_t{20}}) {
    std::string changed = bytes;
    changed[changed.size() - back] = static_cast<char>(changed[changed.size() - back] ^ 1);
    write_file(at / "changed.p7m", changed);
    const auto opened =
        run_script(at, "open-answer.sh --agency 131016 changed.p7m agency.pem agency.key clear\n");
    EXPECT_NE(opened.exit_code, 0);
    EXPECT_FALSE(fs::exists(at / "clear"));
  }
  const auto other = run_script(
      at, "open-answer.sh --agency 131016 out/J1/131016.csv.p7m jlis.pem jlis.key clear\n");
  EXPECT_NE(other.exit_code, 0);
  // Another symbol for a number that the table has.
  ASSERT_EQ(
      run_script(
          at, "keep-symbols.sh --agency 131016 out/J1/131016.csv.p7m t.csv agency.pem agency.key\n")
          .exit_code,
      0);
  std::string table = read_file(at / "t.csv");
  const std::size_t symbol = table.rfind(",1\n") - 5;
  table[symbol] = table[symbol] == '0' ? '1' : '0';
  write_file(at / "t.csv", table);
  const auto twice = run_script(
      at, "keep-symbols.sh --agency 131016 out/J1/131016.csv.p7m t.csv agency.pem agency.key\n");
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_THAT(twice.err, HasSubstr("another symbol"));
  EXPECT_EQ(read_file(at / "t.csv"), table);
}

// Whoever has the agency's certificate can encrypt to it: that the site made a file is said by its
// summary alone.
TEST(Agency, TakesNothingOfAnotherAgencyOrRequestOrThatTheSummaryDoesNotName) {
  const ExchangeSite with;
  with.make_identity("agency");
  const auto at = with.scratch();
  for (const char* agency : {"131016", "472018"})
    ASSERT_EQ(
        with.site().run({"agency", "certificate", agency, (at / "agency.pem").string()}).exit_code,
        0);
  write_file(at / "J1.csv", request_text("J1", trial_rows(0, 30, {"131016", "472018"})));
  ASSERT_EQ(with.issue(at / "J1.csv").exit_code, 0);
  const std::string keys = " agency.pem agency.key ";
  const auto refused = [&](const std::string& command, const std::string& why) {
    const auto done = run_script(at, command + "\n");
    EXPECT_EQ(done.exit_code, 1) << command;
    EXPECT_THAT(done.err, HasSubstr(why)) << command;
    for (const char* made : {"clear", "t.csv", "new.csv"})
      EXPECT_FALSE(fs::exists(at / made)) << command;
  };
  const std::string open = "open-answer.sh --agency 131016 ", mine = "out/J1/131016.csv.p7m";
  const std::string summary = "--summary out/J1/summary.json ";
  refused(open + "out/J1/472018.csv.p7m" + keys + "clear", "is not for agency 131016");
  refused(open + "--id J2 " + mine + keys + "clear", "is not of J2");
  refused(open + summary + "out/J1/472018.csv.p7m" + keys + "clear", "is not the file that");
  ASSERT_EQ(run_script(at, open + summary + "--id J1 " + mine + keys + "right.csv\n").exit_code, 0);
  // Somebody else's symbols under the agency's own head, encrypted to the agency.
  ASSERT_EQ(run_script(at,
                       "sed 's/,1,new/,2,new/' right.csv >forged.csv\n"
                       "openssl cms -encrypt -binary -aes-256-gcm -recip agency.pem "
                       "-outform DER -in forged.csv -out forged.p7m\n")
                .exit_code,
            0);
  ASSERT_EQ(run_script(at, open + "forged.p7m" + keys + "taken\n").exit_code, 0);
  const std::string keep = "keep-symbols.sh --agency 131016 ";
  refused(open + summary + "forged.p7m" + keys + "clear", "is not the file that");
  refused(keep + summary + "forged.p7m t.csv" + keys, "is not the file that");
  refused(keep + summary + "forged.csv t.csv", "is not the file that");
  refused("keep-symbols.sh --agency 472018 right.csv t.csv", "is not for agency 472018");
  write_file(at / "data.csv", "symbol,number\n");
  refused("move-symbols.sh --agency 472018 right.csv data.csv new.csv", "is not for agency 472018");
  refused("move-symbols.sh --agency 131016 " + summary + "forged.csv data.csv new.csv",
          "is not the file that");
  EXPECT_EQ(run_script(at, keep + summary + "right.csv t.csv\n").exit_code, 0);
  EXPECT_EQ(run_script(at, "keep-symbols.sh right.csv t.csv\n").exit_code, 2);
}

TEST(Agency, MovesItsTableByAnEncryptedMapping) {
  const ExchangeSite with;
  with.make_identity("agency");
  const auto at = with.scratch();
  ASSERT_EQ(
      with.site().run({"agency", "certificate", "131016", (at / "agency.pem").string()}).exit_code,
      0);
  write_file(at / "J1.csv", request_text("J1", trial_rows(0, 30, {"131016"})));
  ASSERT_EQ(with.issue(at / "J1.csv").exit_code, 0);
  ASSERT_EQ(run_script(
                at,
                "open-answer.sh --agency 131016 out/J1/131016.csv.p7m agency.pem agency.key a.csv\n"
                "{ echo symbol,number; tail -n +3 a.csv | "
                "awk -F, '{print $2 \",\" $1}'; } >data.csv\n")
                .exit_code,
            0);
  const auto planned =
      with.site().run({"--json", "regenerate", "plan", "--what", "agency", "--reason", "trial"});
  ASSERT_EQ(planned.exit_code, 0) << planned.err;
  const std::string id = planned.json()["run"];
  ASSERT_EQ(with.site().run({"regenerate", "run", id, "--out", (at / "maps").string()}).exit_code,
            0);
  const auto moved = run_script(at, "move-symbols.sh --agency 131016 --id " + id +
                                        " --summary maps/" + id + "/summary.json maps/" + id +
                                        "/131016.csv.p7m data.csv new.csv agency.pem agency.key\n");
  EXPECT_EQ(moved.exit_code, 0) << moved.err;
  EXPECT_EQ(split_lines(read_file(at / "new.csv")).size(),
            split_lines(read_file(at / "data.csv")).size());
  EXPECT_NE(read_file(at / "new.csv"), read_file(at / "data.csv"));
}

}  // namespace
}  // namespace fugo::test
