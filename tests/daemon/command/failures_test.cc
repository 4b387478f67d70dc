// What goes wrong around the command: each has its exit code and a message that says what to do.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystore/ledger.h"
#include "keystore/rows.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Failures, WrongPin) {
  const TestSite site;
  write_file(site.directory() / "tokens/issuing/pin", "7777777\n");
  const auto result = site.run({"--json", "status"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("CKR_PIN_INCORRECT"));
  EXPECT_THAT(result.err + result.out, Not(HasSubstr("7777777")));
  EXPECT_EQ(result.json()["error"]["code"], "hsm");
}

TEST(Failures, MissingPinFile) {
  const TestSite site;
  std::filesystem::remove(site.directory() / "tokens/issuing/pin");
  const auto result = site.run({"status"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("tokens/issuing/pin"));
}

TEST(Failures, MissingModule) {
  const TestSite site;
  site.set_config("libsofthsm2.so", "libnone.so");
  const auto result = site.run({"status"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("libnone.so"));
}

TEST(Failures, MissingToken) {
  const TestSite site;
  site.set_config("token=fugo-issuing", "token=nobody");
  const auto result = site.run({"agency", "suspend", "131016"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("nobody"));
  EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
}

TEST(Failures, UnreadableFile) {
  const TestSite site;
  const auto file = site.scratch() / "secret.csv";
  write_file(file, "x");
  ASSERT_EQ(::chmod(file.c_str(), 0), 0);
  RunOptions like_anybody;
  like_anybody.in_child = [] {
    drop_capability(CAP_DAC_OVERRIDE);
    drop_capability(CAP_DAC_READ_SEARCH);
  };
  const auto result = site.run({"agency", "import", file.string()}, like_anybody);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("secret.csv"));
  EXPECT_THAT(result.err, HasSubstr("Permission denied"));
}

TEST(Failures, MissingLedger) {
  const TestSite site;
  site.set_config("directory = \"ledger\"", "directory = \"elsewhere\"");
  const auto result = site.run({"status"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("elsewhere"));
}

TEST(Failures, LedgerOfAnotherSchema) {
  const TestSite site;
  const auto data = site.directory() / "ledger/data.mdb";
  const std::string magic = "fugoLDGR";  // the header row begins with it
  auto header = keystore::Ledger::read_header(site.directory() / "ledger");
  ASSERT_TRUE(header);
  header->schema = 7;
  const auto row = keystore::encode_header(*header);
  ASSERT_TRUE(row);
  auto bytes = read_file(data);
  for (auto at = bytes.find(magic); at != std::string::npos; at = bytes.find(magic, at + 1))
    bytes.replace(at, row->size(), reinterpret_cast<const char*>(row->data()), row->size());
  write_file(data, bytes);
  const auto result = site.run({"agency", "suspend", "131016"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("schema 7"));
  EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
}

TEST(Failures, AnotherEnvironmentThanTheLedgers) {
  const TestSite site;
  site.set_config("environment = \"test\"", "environment = \"production\"");
  const auto result = site.run({"status"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("environment"));
}

RunOptions nothing_can_be_locked() {
  RunOptions options;
  options.in_child = [] {
    drop_capability(CAP_IPC_LOCK);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_MEMLOCK, &none);
  };
  return options;
}

TEST(Failures, EveryCommandWarnsOnceOfSecretsThatWereNotLocked) {
  const TestSite site;
  const auto request = (site.scratch() / "request").string();
  write_file(request,
             "#fugo-request,version=1,id=J1,kind=issue,records=1\n"
             "processing_number,agency_code,resident_code\n"
             "1,131016,24727059608\n");
  write_file(site.scratch() / "symbols", std::string(27, '0') + "\n");
  const auto linked = (site.scratch() / "linked").string();
  const std::string symbols = (site.scratch() / "symbols").string();
  const std::vector<std::vector<std::string>> commands = {
      {"check", request},
      {"issue", request, "--out", (site.scratch() / "answers").string()},
      {"link", symbols, "--from", "131016", "--to", "472018", "--out", linked}};
  for (const auto& command : commands) {
    const auto warned = site.run(command, nothing_can_be_locked());
    const auto at = warned.err.find("could not be locked into memory");
    ASSERT_NE(at, std::string::npos) << command.front() << ": " << warned.err;
    EXPECT_EQ(warned.err.find("could not be locked", at + 1), std::string::npos) << warned.err;
    EXPECT_THAT(site.run(command).err, Not(HasSubstr("could not be locked"))) << command.front();
  }
}

TEST(Failures, TooSmallALockLimit) {
  const TestSite site;
  site.set_config("\"preferred\"", "\"required\"");
  write_file(site.scratch() / "request",
             "#fugo-request,version=1,id=J1,kind=issue,records=1\n"
             "processing_number,agency_code,resident_code\n"
             "1,131016,24727059608\n");
  const auto result = site.run({"issue", (site.scratch() / "request").string(), "--out",
                                (site.scratch() / "answers").string()},
                               nothing_can_be_locked());
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("lock"));
  EXPECT_THAT(result.err, HasSubstr("nothing was applied"));
  EXPECT_EQ(site.run({"--json", "status"}).json()["people"], 0);
}

TEST(Failures, MissingConfiguration) {
  const TemporaryDirectory nowhere;
  const auto result = run_fugo({"status"}, {{}, nowhere.path(), {}});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--config"));
}

TEST(Failures, MistakesInTheConfigurationComeAllAtOnce) {
  const TestSite site;
  site.set_config("lock_memory", "lock_memroy");
  site.set_config("Asia/Tokyo", "Asia/Tokio");
  const auto result = site.run({"--json", "status"});
  EXPECT_EQ(result.exit_code, 2);
  const std::string what = result.json()["error"]["what"];
  EXPECT_THAT(what, HasSubstr("lock_memroy is not a known key"));
  EXPECT_THAT(what, HasSubstr("Asia/Tokio"));
}

TEST(Failures, AnotherWriter) {
  const TestSite site;
  const int lock =
      ::open((site.directory() / "ledger/writer.lock").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_GE(lock, 0);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  const auto result = site.run({"verify"});
  ::close(lock);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr((site.directory() / "ledger").string()));
  EXPECT_THAT(result.err, HasSubstr("another process has the ledger open for writing"));
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
