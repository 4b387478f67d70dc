// The daemon as a whole: files in, answers out, whatever happens in between.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>

#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
namespace fs = std::filesystem;

const std::vector<std::string> kAgencies = {"131016", "472018", "131130"};

std::string request(const std::string& id, std::uint64_t first = 0, std::size_t residents = 20) {
  return request_text(id, trial_rows(first, residents, kAgencies));
}

// A file in which more rows are rejected than the limit lets pass.
std::string rejected_request(const std::string& id) {
  auto rows = trial_rows(0, 5, kAgencies);
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) rows[i].agency = "NOSUCH";
  return request_text(id, rows);
}

// A change of which only the ledger knows that all its rows are rejected.
std::string change_of_nobody(const std::string& id) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (std::size_t i = 0; i < 4; ++i)
    rows.emplace_back(resident_code(800 + i), resident_code(900 + i));
  return kind_text(id, "change", rows);
}

void set_small_limits(const TestSite& site) {
  site.set_config("[ledger]", "[issue]\nreject_limit_rows = 3\n\n[ledger]");
}

std::vector<std::string> acts(const TestSite& site, const std::string& act) {
  std::vector<std::string> found;
  const auto journal = site.run({"--json", "journal", "show"}).json();
  for (const auto& entry : journal["entries"])
    if (entry["act"] == act) found.push_back(entry["details"].dump());
  return found;
}

nlohmann::json job(const TestSite& site, const std::string& id) {
  const auto listed = site.run({"--json", "jobs", "list", "--all"}).json();
  for (const auto& row : listed["jobs"])
    if (row["id"] == id) return row;
  return {};
}

bool is_empty(const TestSite& site, const std::string& name) {
  return entries(folder(site, name)).empty();
}

TEST(Fugod, TakesWhatWasThereAndWhatComes) {
  const TestSite site;
  drop(site, "a.csv", request("J1"));
  RunningDaemon daemon(site);
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();
  drop(site, "b.csv", request("J2", 10));
  drop(site, "c.csv", request("J3", 40));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J2") && answered(site, "J3"); }))
      << daemon.log();
  ASSERT_TRUE(wait_for([&] { return is_empty(site, "inbox") && is_empty(site, "work"); }));
  ASSERT_TRUE(wait_for([&] { return daemon.notices().find("STATUS=idle") != std::string::npos; }));
  // The same request again is answered by reading, from the folder or once more.
  fs::remove_all(folder(site, "outbox") / "J1");
  drop(site, "again.csv", request("J1"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_THAT(daemon.notices(), HasSubstr("STOPPING=1"));
  EXPECT_TRUE(is_empty(site, "work"));
  struct stat info {};
  for (const char* name : {"inbox", "work", "held", "outbox", "refused", "records"}) {
    ASSERT_EQ(::stat(folder(site, name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0700U) << name;
  }
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

TEST(Fugod, RefusesWhatIsNoRequestAndGoesOn) {
  const TestSite site;
  const std::string planted = "24727059608";
  drop(site, "1-empty", "");
  drop(site, "2-\xff name with \n everything", "garbage " + planted + "\n");
  drop(site, "3-short",
       "#fugo-request,version=1,id=SHORT,kind=issue,records=2\n"
       "processing_number,agency_code,resident_code\n1,131016," +
           planted + "\n");
  fs::create_directory(folder(site, "inbox") / "4-folder");
  ASSERT_EQ(::mkfifo((folder(site, "inbox") / "5-pipe").c_str(), 0600), 0);
  fs::create_symlink("/etc/passwd", folder(site, "inbox") / "6-link");
  drop(site, std::string(255, 'n'), "garbage");
  drop(site, "8-good", request("GOOD"));
  RunningDaemon daemon(site);
  ASSERT_TRUE(wait_for([&] {
    return answered(site, "GOOD") && refused(site, "SHORT") &&
           refused(site, std::string(64, 'n')) && entries(folder(site, "inbox")).size() == 3;
  })) << daemon.log();
  EXPECT_EQ(entries(folder(site, "refused")).size(), 4U);
  for (const auto& name : entries(folder(site, "refused"))) {
    const auto reason = read_file(folder(site, "refused") / name / "reason.txt");
    EXPECT_THAT(reason, HasSubstr("reason: "));
    EXPECT_THAT(reason, Not(HasSubstr(planted)));
  }
  EXPECT_THAT(read_file(folder(site, "refused") / "SHORT" / "reason.txt"), HasSubstr("3-short:"));
  // The id of a refused request can be used by the corrected file.
  drop(site, "9-corrected", request("SHORT", 100));
  ASSERT_TRUE(wait_for([&] { return answered(site, "SHORT"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_EQ(acts(site, "request.refuse").size(), 4U);
  EXPECT_THAT(daemon.log(), Not(HasSubstr(planted)));
}

TEST(Fugod, HoldsWhatNeedsAnApproval) {
  const TestSite site;
  set_small_limits(site);
  RunningDaemon daemon(site);
  drop(site, "a", rejected_request("H1"));
  drop(site, "b", rejected_request("H2"));
  drop(site, "c", request("PLAIN"));
  drop(site, "d", change_of_nobody("H3"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "PLAIN"); })) << daemon.log();
  ASSERT_TRUE(wait_for([&] { return entries(folder(site, "held")).size() == 3; }));
  EXPECT_EQ(job(site, "H1")["state"], "held");
  EXPECT_EQ(job(site, "H1")["hold_reason"], "rejects");
  EXPECT_EQ(job(site, "H3")["hold_reason"], "rejects");
  EXPECT_EQ(site.run({"jobs", "approve", "PLAIN"}).exit_code, 1);
  EXPECT_EQ(site.run({"jobs", "approve", "NOSUCH"}).exit_code, 1);
  // What is held outlives the daemon.
  EXPECT_EQ(daemon.stop(), 0);
  RunningDaemon second(site);
  EXPECT_THAT(entries(folder(site, "held")), ElementsAre("H1", "H2", "H3"));
  EXPECT_EQ(site.run({"--operator", "chief", "jobs", "approve", "H1"}).exit_code, 0);
  EXPECT_EQ(site.run({"jobs", "refuse", "H2", "--reason", "wrong file"}).exit_code, 0);
  EXPECT_EQ(site.run({"jobs", "approve", "H3"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] {
    return answered(site, "H1") && refused(site, "H2") && answered(site, "H3");
  })) << second.log();
  ASSERT_TRUE(wait_for([&] { return is_empty(site, "held") && is_empty(site, "work"); }));
  EXPECT_EQ(second.stop(), 0);
  EXPECT_EQ(job(site, "H1")["approved_by"], "chief");
  EXPECT_EQ(acts(site, "job.approve").size(), 2U);
  EXPECT_THAT(acts(site, "job.refuse"), ElementsAre(HasSubstr("wrong file")));
}

// Whom a deletion would delete is found out for the limit on rejects: they are not counted as
// deleted for that.
TEST(Fugod, AHeldDeletionHasDeletedNobody) {
  const TestSite site;
  set_small_limits(site);
  RunningDaemon daemon(site);
  drop(site, "a", request("PLAIN"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "PLAIN"); })) << daemon.log();
  std::vector<std::pair<std::string, std::string>> rows;
  for (std::size_t i = 0; i < 10; ++i) rows.emplace_back(resident_code(i), "clerical_error");
  drop(site, "b", kind_text("GONE", "delete", rows));
  ASSERT_TRUE(wait_for([&] { return !entries(folder(site, "held")).empty(); })) << daemon.log();
  const auto deleted = [&] {
    return site.run({"--json", "status"}).json()["jobs"].back()["deleted"].get<int>();
  };
  EXPECT_EQ(deleted(), 0);
  ASSERT_EQ(site.run({"jobs", "approve", "GONE"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site, "GONE"); })) << daemon.log();
  EXPECT_EQ(deleted(), 10);
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Fugod, IsTheOnlyWriter) {
  const TestSite site;
  RunningDaemon daemon(site);
  RunningDaemon second(site, RunningDaemon::DontWait{});
  EXPECT_EQ(second.end(), 1);
  EXPECT_THAT(second.log(), HasSubstr("another fugod"));
  EXPECT_THAT(second.log(), HasSubstr(std::to_string(daemon.pid())));
  write_file(site.scratch() / "r", request("J1"));
  const auto issued = site.run(
      {"issue", (site.scratch() / "r").string(), "--out", (site.scratch() / "out").string()});
  EXPECT_EQ(issued.exit_code, 1);
  EXPECT_THAT(issued.err, HasSubstr("another process has the ledger open for writing"));
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Fugod, ReloadsAConfigurationOnlyIfItIsGood) {
  const TestSite site;
  RunningDaemon daemon(site);
  const auto good = read_file(site.config());
  write_file(site.config(), good + "\n[daemon]\nnonsense = 1\n");
  daemon.signal(SIGHUP);
  ASSERT_TRUE(wait_for([&] {
    return daemon.log().find("configuration is wrong") != std::string::npos;
  })) << daemon.log();
  EXPECT_THAT(daemon.log(), HasSubstr("daemon.nonsense is not a known key"));
  write_file(site.config(), good);
  daemon.signal(SIGHUP);
  ASSERT_TRUE(wait_for([&] {
    return daemon.log().find("configuration was read again") != std::string::npos;
  })) << daemon.log();
  EXPECT_THAT(daemon.notices(), HasSubstr("RELOADING=1"));
  EXPECT_EQ(site.run({"agency", "add", "NEW1", "--name", "new"}).exit_code, 0);
  drop(site, "a", request_text("J1", trial_rows(0, 5, {"NEW1", "131016"})));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();
  EXPECT_TRUE(fs::exists(folder(site, "outbox") / "J1" / "NEW1.csv"));
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Fugod, NamesEveryMistakeOfItsConfigurationAndDoesNotStart) {
  const TestSite site;
  write_file(site.config(), read_file(site.config()) +
                                "\n[daemon]\nnonsense = 1\nrescan_seconds = \"x\"\n"
                                "retry_first_seconds = 0\n");
  RunningDaemon daemon(site, RunningDaemon::DontWait{});
  EXPECT_EQ(daemon.end(), 2);
  EXPECT_THAT(daemon.log(), HasSubstr("3 mistakes"));
  EXPECT_THAT(daemon.log(), HasSubstr("daemon.rescan_seconds must be a whole number"));
}

TEST(Fugod, FeedsTheWatchdog) {
  const TestSite site;
  RunningDaemon daemon(site, {{"WATCHDOG_USEC", "200000"}});
  ASSERT_TRUE(wait_for([&] {
    const auto& notices = daemon.notices();
    const auto first = notices.find("WATCHDOG=1");
    return first != std::string::npos && notices.find("WATCHDOG=1", first + 1) != std::string::npos;
  }));
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Fugod, TakesItsPinFromACredential) {
  const TestSite site;
  const auto credentials = site.scratch() / "credentials";
  fs::create_directory(credentials);
  fs::copy(site.directory() / "tokens/issuing/pin", credentials / "issuing-pin");
  fs::permissions(credentials / "issuing-pin", fs::perms::owner_read);
  site.set_config("\"tokens/issuing/pin\"", "\"credential:issuing-pin\"");
  {
    RunningDaemon daemon(site, RunningDaemon::DontWait{});
    EXPECT_EQ(daemon.end(), 2);
    EXPECT_THAT(daemon.log(), HasSubstr("LoadCredential="));
  }
  RunningDaemon daemon(site, {{"CREDENTIALS_DIRECTORY", credentials.string()}});
  drop(site, "a", request("J1"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(Fugod, AnswersAreDestroyedWhenTheyWereReceived) {
  const TestSite site;
  RunningDaemon daemon(site);
  drop(site, "a", request("J1"));
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1"); })) << daemon.log();
  const auto listed = site.run({"--json", "outbox", "list"}).json();
  ASSERT_EQ(listed["answers"].size(), 4U);
  EXPECT_EQ(site.run({"outbox", "ack", "J1", "141003"}).exit_code, 1);
  EXPECT_EQ(site.run({"outbox", "ack", "../J1", "131016"}).exit_code, 2);
  for (const char* agency : {"131016", "472018", "131130", "rejects"}) {
    EXPECT_TRUE(answered(site, "J1"));
    const auto acked = site.run({"--json", "outbox", "ack", "J1", agency});
    ASSERT_EQ(acked.exit_code, 0) << acked.err;
    EXPECT_EQ(acked.json()["destroyed"], true);
    EXPECT_FALSE(fs::exists(folder(site, "outbox") / "J1" / (std::string(agency) + ".csv")));
  }
  EXPECT_FALSE(fs::exists(folder(site, "outbox") / "J1"));
  EXPECT_EQ(site.run({"--json", "outbox", "ack", "J1", "131016"}).json()["destroyed"], false);
  EXPECT_EQ(acts(site, "outbox.ack").size(), 4U);
  EXPECT_EQ(daemon.stop(), 0);
}

}  // namespace
}  // namespace fugo::test
