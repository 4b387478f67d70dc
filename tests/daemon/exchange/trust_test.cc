// Whom a site takes requests from, and what is its own fault and not the request's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/daemon/exchange/exchange_site.h"
#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kText = request_text("J1", trial_rows(0, 20, {"131016"}));
const std::string kLabel = "fugo-exchange-rsa3072-v1";

fs::path folder_of(const ExchangeSite& with, const std::string& name) {
  return with.site().directory() / name;
}

std::string checkpoint_line(const ExchangeSite& with) {
  const auto made = with.site().run({"journal", "checkpoint"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  const auto at = made.out.find("\nsenders ");
  EXPECT_NE(at, std::string::npos) << made.out;
  return made.out.substr(at + 1, made.out.find('\n', at + 1) - at - 1);
}

// The key of a sender was lost after the request was answered: with the new one it is asked again.
TEST(Senders, WhoRenewedTheCertificateAsksAgainForAnOlderRequest) {
  const ExchangeSite with;
  ASSERT_EQ(with.issue(with.seal("J1", kText)).exit_code, 0);
  std::this_thread::sleep_for(std::chrono::seconds(2));  // not valid yet when the job began
  with.make_identity("jlis");
  fs::copy_file(with.scratch() / "jlis.pem", folder_of(with, "senders") / "jlis.pem",
                fs::copy_options::overwrite_existing);
  const auto again = with.issue(with.seal("J1-again", kText));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["repeated"], true);
}

TEST(Senders, NobodyElseMayWriteToTheirFolder) {
  const ExchangeSite with;
  const auto sealed = with.seal("J1", kText);
  const auto senders = folder_of(with, "senders");
  for (const auto& path : {senders, senders / "jlis.pem", folder_of(with, "exchange")}) {
    for (const auto others : {fs::perms::group_write, fs::perms::others_write}) {
      fs::permissions(path, others, fs::perm_options::add);
      const auto refused = with.issue(sealed);
      EXPECT_EQ(refused.exit_code, 2) << path << refused.err;
      EXPECT_THAT(refused.err, HasSubstr("may be written by group or others"));
      EXPECT_THAT(refused.err, HasSubstr(path.string()));
      fs::permissions(path, others, fs::perm_options::remove);
    }
  }
  // A name that the journal could not say.
  fs::copy_file(senders / "jlis.pem", senders / "a\xFF.pem");
  EXPECT_THAT(with.issue(sealed).err, HasSubstr("not readable UTF-8"));
  fs::remove(senders / "a\xFF.pem");
  EXPECT_EQ(with.issue(sealed).exit_code, 0);
}

TEST(Senders, AreInCheckpointsAndTheDaemonJournalsThem) {
  const ExchangeSite with;
  const std::string before = checkpoint_line(with);
  EXPECT_EQ(checkpoint_line(with), before);
  const auto entries_of = [&] {
    std::vector<std::vector<std::string>> found;
    const auto journal = with.site().run({"--json", "journal", "show"}).json();
    for (const auto& entry : journal["entries"]) {
      if (entry["act"] != "exchange.senders") continue;
      found.emplace_back();
      for (const auto& sender : entry["details"]["senders"]) {
        EXPECT_EQ(sender["certificate"].get<std::string>().size(), 64U);
        found.back().push_back(sender["sender"]);
      }
    }
    return found;
  };
  using Names = std::vector<std::string>;
  RunningDaemon daemon(with.site());
  ASSERT_TRUE(wait_for([&] { return !entries_of().empty(); })) << daemon.log();
  with.make_identity("other");
  with.know("other");
  daemon.signal(SIGHUP);
  ASSERT_TRUE(wait_for([&] { return entries_of().size() > 1; })) << daemon.log();
  EXPECT_NE(checkpoint_line(with), before);
  fs::remove(folder_of(with, "senders") / "other.pem");
  daemon.signal(SIGHUP);
  ASSERT_TRUE(wait_for([&] { return entries_of().size() > 2; })) << daemon.log();
  daemon.signal(SIGHUP);
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_THAT(entries_of(), ElementsAre(Names{"jlis"}, Names{"jlis", "other"}, Names{"jlis"}));
  EXPECT_EQ(checkpoint_line(with), before);
}

// A request that was destroyed must be sent again: so it is not, where the site is at fault.
class SiteFaults : public ::testing::Test {
 protected:
  // expect_kept breaks the site and lets the daemon see a request, then mends it.
  void expect_kept(const std::string& id, const std::function<void()>& break_it,
                   const std::string& reason, const std::function<void()>& mend_it) {
    SCOPED_TRACE(reason);
    drop(site(), id + ".p7m",
         read_file(with_.seal("sealed", request_text(id, trial_rows(0, 5, {"131016"})))));
    break_it();
    {
      const auto told = [&] {
        return site().run({"--json", "status"}).out.find(reason) != std::string::npos;
      };
      RunningDaemon daemon(site());
      EXPECT_TRUE(wait_for(told)) << daemon.log();
      EXPECT_FALSE(refused(site(), id));
      EXPECT_TRUE(fs::exists(folder(site(), "work") / (id + ".p7m")));
      mend_it();
      EXPECT_TRUE(wait_for([&] { return answered(site(), id); })) << daemon.log();
      EXPECT_EQ(daemon.stop(), 0);
    }
    EXPECT_FALSE(refused(site(), id));
  }
  [[nodiscard]] const TestSite& site() const { return with_.site(); }
  void move(const std::string& from, const std::string& to) const {
    fs::rename(site().directory() / from, site().directory() / to);
  }
  ExchangeSite with_;
};

TEST_F(SiteFaults, DestroyNoRequest) {
  site().set_config("[ledger]",
                    "[daemon]\nretry_first_seconds = 1\nretry_most_seconds = 1\n\n[ledger]");
  expect_kept(
      "A1", [&] { move("senders", "away"); }, "no certificate of a known sender",
      [&] { move("away", "senders"); });
  expect_kept(
      "A2", [&] { move("exchange", "away"); }, "no certificate of this site",
      [&] { move("away", "exchange"); });
  // One that is copied into its folder while a request is opened.
  expect_kept(
      "A3", [&] { write_file(site().directory() / "senders/half.pem", "-----BEGIN"); },
      "is no X.509 certificate", [&] { fs::remove(site().directory() / "senders/half.pem"); });
}

// Both lie on one disk, which is away.
TEST_F(SiteFaults, DestroyNoRequestWhenBothFoldersAreAway) {
  site().set_config("[ledger]",
                    "[daemon]\nretry_first_seconds = 1\nretry_most_seconds = 1\n\n[ledger]");
  expect_kept(
      "B1",
      [&] {
        move("senders", "away");
        move("exchange", "away-too");
      },
      "no certificate of a known sender",
      [&] {
        move("away-too", "exchange");
        move("away", "senders");
      });
  // With its only key destroyed the site takes none any more: nothing that comes can be opened.
  drop(site(), "B2.p7m",
       read_file(with_.seal("sealed", request_text("B2", trial_rows(0, 5, {"131016"})))));
  ASSERT_EQ(site().run({"exchange", "destroy", kLabel}).exit_code, 0);
  move("senders", "away");
  move("exchange", "away-too");
  RunningDaemon daemon(site());
  EXPECT_TRUE(wait_for([&] { return refused(site(), "B2"); })) << daemon.log();
  EXPECT_EQ(daemon.stop(), 0);
}

TEST_F(SiteFaults, AKeyThatIsNotInTheTokenIsNoFaultOfTheRequest) {
  const auto sealed = with_.seal("J1", kText);
  ASSERT_EQ(site().run({"exchange", "destroy", kLabel}).exit_code, 0);
  EXPECT_EQ(site().run({"verify"}).exit_code, 0);
  move("exchange/" + kLabel + ".pem.old", "exchange/" + kLabel + ".pem");
  const auto verified = site().run({"verify"});
  EXPECT_NE(verified.exit_code, 0);
  EXPECT_THAT(verified.out + verified.err, HasSubstr("the key of this certificate is not in"));
  drop(site(), "J1.p7m", read_file(sealed));
  RunningDaemon daemon(site());
  EXPECT_TRUE(wait_for([&] {
    return site().run({"--json", "status"}).out.find("is not in the token") != std::string::npos;
  })) << daemon.log();
  EXPECT_FALSE(refused(site(), "J1"));
  EXPECT_TRUE(fs::exists(folder(site(), "work") / "J1.p7m"));
  EXPECT_EQ(daemon.stop(), 0);
}

TEST(SiteKeys, NumbersAreNotUsedAgainWhenNothingIsLeftOfThem) {
  const ExchangeSite with;
  ASSERT_EQ(with.site().run({"exchange", "destroy", kLabel}).exit_code, 0);
  fs::remove(folder_of(with, "exchange") / (kLabel + ".pem.old"));
  EXPECT_EQ(with.site().run({"--json", "exchange", "create"}).json()["key"],
            "fugo-exchange-rsa3072-v2");
}

}  // namespace
}  // namespace fugo::test
