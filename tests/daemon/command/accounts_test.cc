// Two accounts on one site: the linking one reads the ledger, and can change and issue nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>

#include "tests/daemon/as_root.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// Numbers that nobody has; the issuing account is not even in the linking group.
constexpr uid_t kIssuer = 61'901, kLinker = 61'902;
constexpr gid_t kLinkingGroup = 61'903;

void become(uid_t account, gid_t group) {
  const gid_t groups[] = {group};
  if (::setgroups(1, groups) != 0 || ::setresgid(account, account, account) != 0 ||
      ::setresuid(account, account, account) != 0)
    ::_exit(126);
}
void become_issuer() { become(kIssuer, kIssuer); }
void become_linker() { become(kLinker, kLinkingGroup); }

void give_tree(const fs::path& root, uid_t account) {
  ASSERT_EQ(::lchown(root.c_str(), account, static_cast<gid_t>(-1)), 0) << root;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    ASSERT_EQ(::lchown(entry.path().c_str(), account, static_cast<gid_t>(-1)), 0) << entry;
}

unsigned mode_of(const fs::path& path) {
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777U;
}

// as_linker asks `question` of each path in a process of the linking account, and gives those that
// it says yes to.
std::set<std::string> as_linker(const fs::path& root, bool (*question)(const char* path)) {
  std::vector<std::string> paths = {root.string()};
  for (const auto& entry : fs::recursive_directory_iterator(root))
    paths.push_back(entry.path().string());
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    become_linker();
    for (const auto& path : paths) {
      const char answer = question(path.c_str()) ? 'y' : 'n';
      if (::write(ends[1], &answer, 1) != 1) ::_exit(1);
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  std::set<std::string> yes;
  for (const auto& path : paths) {
    char answer = 0;
    EXPECT_EQ(::read(ends[0], &answer, 1), 1) << "the child could not become the linking account";
    if (answer == 'y') yes.insert(fs::relative(path, root).string());
  }
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return yes;
}

bool can_write(const char* path) { return ::access(path, W_OK) == 0; }
bool can_read_file(const char* path) {
  struct stat info {};
  return ::stat(path, &info) == 0 && S_ISREG(info.st_mode) && ::access(path, R_OK) == 0;
}

// One site for all cases: it belongs to the issuing account, but for the linking token, and that
// account has issued a request, J1.
class AccountsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = std::make_unique<TestSite>(
        std::vector<std::string>{"--linking-group", std::to_string(kLinkingGroup)});
    ASSERT_EQ(::chmod(made_->scratch().c_str(), 0711), 0);
    give_tree(made_->directory(), kIssuer);
    give_tree(made_->directory() / "tokens/linking", kLinker);
    for (const auto& [name, account] : {std::pair{"issuing", kIssuer}, {"linking", kLinker}}) {
      fs::create_directory(made_->scratch() / name);
      ASSERT_EQ(::chown((made_->scratch() / name).c_str(), account, account), 0);
    }
    // The build may lie where only root comes.
    fs::copy_file(FUGO_BINARY_DIR "/daemon/fugo", made_->scratch() / "fugo");
    const auto issued = issue("J1", made_->config(), become_issuer, "issuing");
    ASSERT_EQ(issued.exit_code, 0) << issued.err;
  }
  static void TearDownTestSuite() { made_.reset(); }
  static fs::path tokens() { return made_->directory() / "tokens"; }
  static fs::path home(const std::string& name) { return made_->scratch() / name; }
  static fs::path linking_config() { return made_->directory() / "linking.toml"; }

  static CommandResult run(const fs::path& config, std::vector<std::string> words,
                           void (*account)()) {
    words.insert(words.begin(), {"--json", "--config", config.string()});
    RunOptions options;
    options.in_child = account;
    options.working_directory = made_->scratch();
    options.program = made_->scratch() / "fugo";
    return run_fugo(words, options);
  }
  static CommandResult issue(const std::string& id, const fs::path& config, void (*account)(),
                             const std::string& name) {
    write_file(made_->scratch() / id, "#fugo-request,version=1,id=" + id +
                                          ",kind=issue,records=2\n"
                                          "processing_number,agency_code,resident_code\n"
                                          "1,131016,24727059608\n2,472018,24727059608\n");
    fs::permissions(made_->scratch() / id, fs::perms(0644));
    return run(config, {"issue", (made_->scratch() / id).string(), "--out", home(name).string()},
               account);
  }
  static std::string digest() {
    return run(linking_config(), {"digest"}, become_linker).json()["digest"];
  }

  static std::unique_ptr<TestSite> made_;
};
std::unique_ptr<TestSite> AccountsTest::made_;

TEST_F(AccountsTest, TheLinkingAccountLinksAndItsUseIsCounted) {
  const auto answers = read_file(home("issuing") / "J1/131016.csv");
  const auto row = answers.find("\n1,") + 3;
  write_file(home("linking") / "symbols", answers.substr(row, 27) + "\nnone\n");
  fs::permissions(home("linking") / "symbols", fs::perms(0644));
  const auto linked =
      run(linking_config(),
          {"--operator", "core", "link", (home("linking") / "symbols").string(), "--from", "131016",
           "--to", "472018", "--out", (home("linking") / "linked").string()},
          become_linker);
  ASSERT_EQ(linked.exit_code, 3) << linked.err;
  EXPECT_EQ(linked.json()["by_status"]["ok"], 1) << linked.out;
  const auto expected = read_file(home("issuing") / "J1/472018.csv");
  EXPECT_THAT(read_file(home("linking") / "linked"),
              HasSubstr(expected.substr(expected.find("\n2,") + 3, 27)));
  // Not journaled by itself, but left for the daemon, who can read it without being in the group.
  const auto uses = made_->directory() / "link-usage";
  ASSERT_EQ(std::distance(fs::directory_iterator(uses), {}), 1);
  const auto file = fs::directory_iterator(uses)->path();
  EXPECT_EQ(mode_of(file), 0644U);
  const auto summary = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(summary["program"], "fugo link");
  EXPECT_EQ(summary["operator"], "core");
  EXPECT_EQ(summary["uses"]["131016"], (nlohmann::json{{"asked", 2}, {"ok", 1}}));
}

TEST_F(AccountsTest, TheLinkingAccountWritesNothingAndReadsNoSecretOfIssuing) {
  std::set<std::string> readable = {"linking.toml", "ledger/data.mdb", "ledger/lock.mdb"};
  std::size_t bulk_files = 0;
  for (const auto& entry : fs::directory_iterator(made_->directory() / "ledger/data")) {
    readable.insert("ledger/data/" + entry.path().filename().string());
    EXPECT_EQ(mode_of(entry.path()), 0640U) << entry;
    ++bulk_files;
  }
  EXPECT_GT(bulk_files, 0U);
  std::set<std::string> writable = {"ledger/lock.mdb", "link-usage", "tokens/linking"};
  for (const auto& entry : fs::recursive_directory_iterator(tokens() / "linking")) {
    const auto name = fs::relative(entry.path(), made_->directory()).string();
    writable.insert(name);
    if (entry.is_regular_file()) readable.insert(name);
  }
  // What another case left in link-usage/ is its own.
  const auto left = [](std::set<std::string> names) {
    std::erase_if(names, [](const auto& name) { return name.rfind("link-usage/", 0) == 0; });
    return names;
  };
  EXPECT_EQ(left(as_linker(made_->directory(), can_write)), writable);
  EXPECT_EQ(left(as_linker(made_->directory(), can_read_file)), readable);
  EXPECT_EQ(mode_of(tokens() / "issuing"), 0700U);
  EXPECT_EQ(mode_of(tokens() / "issuing/pin"), 0600U);
  EXPECT_EQ(mode_of(made_->directory() / "link-usage"), 03770U);
}

TEST_F(AccountsTest, TheLinkingAccountCanNeitherIssueNorOrderAnything) {
  const auto before = digest();
  const auto own = home("linking") / "own.toml";
  const auto text = read_file(made_->config());
  write_file(own, text.substr(0, text.find("[ledger]")) + "[ledger]\ndirectory = \"" +
                      (made_->directory() / "ledger").string() + "\"\n\n[hsm]\nmodule = \"" +
                      "/usr/lib/softhsm/libsofthsm2.so\"\n\n[hsm.issuing]\n" +
                      "uri = \"pkcs11:token=fugo-issuing\"\npin_file = \"" +
                      (tokens() / "issuing/pin").string() + "\"\nsofthsm_conf = \"" +
                      (tokens() / "issuing/softhsm2.conf").string() + "\"\n");
  fs::permissions(own, fs::perms(0644));
  for (const auto& config : {linking_config(), made_->config(), own}) {
    const auto issued = issue("J2", config, become_linker, "linking");
    EXPECT_THAT(issued.exit_code, testing::AnyOf(1, 2, 4)) << config << issued.out;
    EXPECT_NE(issued.err, "") << config;
    EXPECT_FALSE(fs::exists(home("linking") / "J2"));
  }
  const auto frozen =
      run(linking_config(), {"freeze", "link", "--reason", "no right to"}, become_linker);
  EXPECT_EQ(frozen.exit_code, 1) << frozen.out;
  EXPECT_THAT(frozen.err, HasSubstr("is done by the account that owns it"));
  EXPECT_EQ(digest(), before);
}

// People with an account each, and one account that they act as: as docs/operation.md, "Roles", has
// it with sudo. Numbers that nobody has, so the groups are called gid-61921 and gid-61922.
constexpr const char *kSuzuki = "61911", *kTanaka = "61912";  // as the kernel reads them
constexpr gid_t kBackupGroup = 61'921, kAdministrationGroup = 61'922;

// log_in notes the person as who logged in, as login(1) does. A kernel without it, or one that
// lets nobody change it, leaves who acts as the owner without a name of the own.
bool log_in(const char* person) {
  const int login = ::open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
  const auto length = std::char_traits<char>::length(person);
  const bool noted = login >= 0 && ::write(login, person, length) == static_cast<ssize_t>(length);
  if (login >= 0) ::close(login);
  return noted;
}

// act_as is what a login and `sudo -u OWNER -g GROUP` leave of a process.
void act_as(const char* person, gid_t group) {
  const gid_t groups[] = {kIssuer};
  (void)log_in(person);
  if (::setgroups(1, groups) != 0 || ::setresgid(group, group, group) != 0 ||
      ::setresuid(kIssuer, kIssuer, kIssuer) != 0)
    ::_exit(126);
}

// logins_are_told tells whether this kernel notes who logs in.
bool logins_are_told() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(log_in("61911") ? 0 : 1);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && status == 0;
}
void suzuki_backs_up() { act_as(kSuzuki, kBackupGroup); }
void tanaka_administers() { act_as(kTanaka, kAdministrationGroup); }
void tanaka_without_a_role() { act_as(kTanaka, kIssuer); }

class PeopleTest : public testing::Test {
 protected:
  PeopleTest() {
    site_.set_config("[ledger]",
                     "[roles]\nbackup = \"gid-61921\"\nadministration = \"gid-61922\"\n\n[ledger]");
    EXPECT_EQ(::chmod(site_.scratch().c_str(), 0711), 0);
    give_tree(site_.directory(), kIssuer);
    fs::create_directory(site_.scratch() / "home");
    EXPECT_EQ(::chown((site_.scratch() / "home").c_str(), kIssuer, kIssuer), 0);
    fs::copy_file(FUGO_BINARY_DIR "/daemon/fugo", site_.scratch() / "fugo");
  }
  [[nodiscard]] CommandResult run(std::vector<std::string> words, void (*person)()) const {
    words.insert(words.begin(), {"--json", "--config", site_.config().string()});
    RunOptions options;
    options.in_child = person;
    options.working_directory = site_.scratch();
    options.program = site_.scratch() / "fugo";
    return run_fugo(words, options);
  }
  [[nodiscard]] std::string copy(const std::string& name) const {
    return (site_.scratch() / "home" / name).string();
  }
  // account is who the journal says did the last act of this name.
  [[nodiscard]] std::string account(const std::string& act) const {
    std::string last = "nobody";
    const auto shown = run({"journal", "show"}, suzuki_backs_up).json();
    for (const auto& entry : shown["entries"])
      if (entry["act"] == act) last = entry["account"];
    return last;
  }
  static void expect_refused(const CommandResult& refused, const std::string& role) {
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_THAT(refused.err, HasSubstr("is for the role " + role));
  }
  TestSite site_;
};

TEST_F(PeopleTest, EachDoesWhatTheRoleIsForAndTheJournalNamesThem) {
  const std::vector<std::string> suspend = {"agency", "suspend", "472018"};
  expect_refused(run(suspend, suzuki_backs_up), "administration");
  expect_refused(run({"backup", copy("no")}, tanaka_administers), "backup");
  expect_refused(run({"backup", copy("no")}, tanaka_without_a_role), "backup");
  expect_refused(run(suspend, tanaka_without_a_role), "administration");
  EXPECT_FALSE(fs::exists(copy("no")));
  const auto backed_up = run({"backup", copy("yes")}, suzuki_backs_up);
  EXPECT_EQ(backed_up.exit_code, 0) << backed_up.err;
  const auto suspended = run(suspend, tanaka_administers);
  EXPECT_EQ(suspended.exit_code, 0) << suspended.err;
  EXPECT_THAT(account("backup"), EndsWith("uid-61901"));
  EXPECT_THAT(account("agency.suspend"), EndsWith("uid-61901"));
  if (!logins_are_told()) return;  // then the journal has the owner's name alone
  EXPECT_EQ(account("backup"), "uid-61911/uid-61901");
  EXPECT_EQ(account("agency.suspend"), "uid-61912/uid-61901");
  EXPECT_THAT(run(suspend, suzuki_backs_up).err, HasSubstr("uid-61911/uid-61901 is none"));
}

// What people are let run names the configuration first, so that nobody brings another one.
TEST_F(PeopleTest, ASecondConfigurationIsNoWayRound) {
  const auto own = site_.scratch() / "home" / "own.toml";
  auto text = read_file(site_.config());
  write_file(own, text.erase(text.find("[roles]"), text.find("[ledger]") - text.find("[roles]")));
  for (const auto& words :
       {std::vector<std::string>{"--config", own.string(), "backup", copy("no")},
        {"backup", copy("no"), "--config", own.string()}}) {
    const auto refused = run(words, tanaka_administers);
    EXPECT_EQ(refused.exit_code, 2) << refused.out << refused.err;
    EXPECT_FALSE(fs::exists(copy("no")));
  }
}

// So whoever looks at the journal needs no PIN of issuing.
TEST_F(AccountsTest, TheLinkingAccountReadsAndVerifiesTheJournal) {
  const auto exported = (home("linking") / "journal.jsonl").string();
  for (const std::vector<std::string>& words : {std::vector<std::string>{"digest"},
                                                {"journal", "show"},
                                                {"journal", "export", "--out", exported},
                                                {"journal", "verify", "--export", exported}}) {
    const auto done = run(linking_config(), words, become_linker);
    EXPECT_EQ(done.exit_code, 0) << words.front() << done.out << done.err;
  }
  const auto signed_by = run(
      linking_config(),
      {"journal", "checkpoint", "--out", (home("linking") / "checkpoint").string()}, become_linker);
  EXPECT_EQ(signed_by.exit_code, 2) << signed_by.out;
}

// Without a group everything is the owner's alone.
TEST(Accounts, ASiteWithoutALinkingGroupIsPrivate) {
  const TestSite& site = TestSite::pristine();
  for (const auto& entry : fs::recursive_directory_iterator(site.directory())) {
    const auto name = entry.path().filename();
    const bool for_all = name == "README" || name == "recovery-public.pem";
    EXPECT_TRUE(for_all || (mode_of(entry.path()) & 077U) == 0U) << entry;
  }
  EXPECT_FALSE(fs::exists(site.directory() / "linking.toml"));
}

TEST(Accounts, AGroupThatIsNotThereIsNamed) {
  const TemporaryDirectory scratch;
  const auto made = run_fugo({"init", "--dir", (scratch.path() / "site").string(),
                              "--linking-group", "fugo-no-such-group"});
  EXPECT_EQ(made.exit_code, 2) << made.err;
  EXPECT_THAT(made.err, HasSubstr("there is no such group"));
  EXPECT_FALSE(fs::exists(scratch.path() / "site"));
}

}  // namespace
}  // namespace fugo::test

int main(int argc, char** argv) { return fugo::test::run_as_root(argc, argv); }
