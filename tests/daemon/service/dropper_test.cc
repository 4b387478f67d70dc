// Where custodians are configured, nobody approves what he dropped himself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "daemon/config.h"
#include "daemon/service/orders.h"
#include "daemon/site_access.h"
#include "tests/daemon/as_root.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr uid_t kSomebody = 61'901;  // a number that nobody has
constexpr uid_t kHidden = 65'534;    // what a user namespace shows for who is not in it

void configure_custodians(const TestSite& site) {
  write_file(site.config(), read_file(site.config()) +
                                "\n[custodians]\nalice = \"alice.pem\"\nbob = \"bob.pem\"\n");
}

std::string deletion(const std::string& id, std::size_t resident) {
  return kind_text(id, "delete", {{resident_code(resident), "clerical_error"}});
}

// A file is dropped by who owns it.
void drop_as(uid_t account, const TestSite& site, const std::string& name, const std::string& text,
             fs::perms mode) {
  const auto hidden = folder(site, "inbox") / ("." + name);
  fs::create_directory(folder(site, "inbox"));
  write_file(hidden, text);
  fs::permissions(hidden, mode);
  ASSERT_EQ(::chown(hidden.c_str(), account, account), 0);
  fs::rename(hidden, folder(site, "inbox") / name);
}

std::string held_details(const TestSite& site, const std::string& id) {
  const auto journal = site.run({"--json", "journal", "show"}).json();
  std::string found;
  for (const auto& entry : journal["entries"])
    if (entry["act"] == "delete.held" && entry["details"]["request"] == id)
      found = entry["details"].dump();
  return found;
}

// One site with people and a running daemon for each case.
class DropperTest : public testing::Test {
 protected:
  DropperTest() { (void)issue_everybody(site_, 6, {"131016", "472018"}); }
  void hold(uid_t account, const std::string& id, std::size_t resident,
            fs::perms mode = fs::perms(0600)) {
    drop_as(account, site_, id, deletion(id, resident), mode);
    ASSERT_TRUE(wait_for([&] { return fs::exists(folder(site_, "held") / id / id); }));
  }
  void expect_refused(const std::vector<std::string>& words, const std::string& why) {
    const auto refused = site_.run(words);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(why));
    EXPECT_THAT(refused.err, HasSubstr("nothing was applied"));
  }
  TestSite site_;
};

TEST_F(DropperTest, IsNotWhoApproves) {
  configure_custodians(site_);
  RunningDaemon daemon(site_);
  hold(::geteuid(), "MINE", 0);
  hold(kSomebody, "THEIRS", 1);
  hold(kHidden, "UNKNOWN", 2);
  hold(kSomebody, "OF-ALL", 3, fs::perms(0664));  // whoever wrote it last
  EXPECT_THAT(held_details(site_, "MINE"), HasSubstr(R"("dropped_by":"root")"));
  EXPECT_THAT(held_details(site_, "THEIRS"), HasSubstr(R"("dropped_by":"uid-61901")"));
  EXPECT_EQ(held_details(site_, "UNKNOWN").find("dropped_by"), std::string::npos);
  expect_refused({"jobs", "approve", "MINE"}, "was dropped or signed by root");
  expect_refused({"--operator", "chief", "jobs", "approve", "MINE"}, "must not approve it");
  EXPECT_EQ(held_details(site_, "OF-ALL").find("dropped_by"), std::string::npos);
  expect_refused({"jobs", "approve", "UNKNOWN"}, "nobody knows who dropped it");
  expect_refused({"jobs", "approve", "OF-ALL"}, "nobody knows who dropped it");
  ASSERT_EQ(site_.run({"jobs", "approve", "THEIRS"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site_, "THEIRS"); })) << daemon.log();
  EXPECT_EQ(entries(folder(site_, "held")),
            (std::vector<std::string>{"MINE", "OF-ALL", "UNKNOWN"}));
  // Who dropped it may take it back.
  ASSERT_EQ(site_.run({"jobs", "refuse", "MINE"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return refused(site_, "MINE"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_F(DropperTest, MayApproveWhereNobodyIsACustodian) {
  RunningDaemon daemon(site_);
  hold(::geteuid(), "MINE", 0);
  ASSERT_EQ(site_.run({"jobs", "approve", "MINE"}).exit_code, 0);
  ASSERT_TRUE(wait_for([&] { return answered(site_, "MINE"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

// Who logged in counts, and whom he acts as; the journal's word, and the file's that is held.
TEST_F(DropperTest, IsKnownByEveryNameThatHeHas) {
  {
    RunningDaemon daemon(site_);
    hold(kSomebody, "D1", 0);
    EXPECT_EQ(daemon.stop(), 0);
  }
  const auto settings = daemon::load_settings(site_.config()).value();
  const auto open =
      daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kWrite).value();
  auto& ledger = open->ledger();
  const auto approve = [&](const std::string& account, const std::string& held_owner) {
    const keystore::Actor actor = {"chief", {}, "approval", account};
    return daemon::order_job(ledger, "D1", daemon::JobOrder::kApprove, {}, actor,
                             {true, true, held_owner});
  };
  for (const char* account : {"uid-61901", "uid-61901/fugo", "suzuki/uid-61901"})
    EXPECT_FALSE(approve(account, "").has_value()) << account;
  EXPECT_FALSE(approve("tanaka/fugo", "tanaka").has_value());
  EXPECT_FALSE(approve("suzuki/tanaka", "tanaka").has_value());
  // An encrypted request is also its signer's. The last word of the journal counts.
  const auto update = ledger.begin().value();
  ASSERT_TRUE(update->append_journal({"fugod", {}, {}, {}}, "delete.held",
                                     R"({"request":"D1","dropped_by":"gate","sender":"sato"})"));
  ASSERT_TRUE(update->commit());
  EXPECT_FALSE(approve("sato/fugo", "gate").has_value());
  EXPECT_EQ(approve("suzuki/fugo", "gate"), true);
}

}  // namespace
}  // namespace fugo::test

int main(int argc, char** argv) { return fugo::test::run_as_root(argc, argv); }
