// A daemon whose ledger is damaged: it says so, applies nothing more, and harms nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/jobs/trial_requests.h"
#include "tests/daemon/service/daemon_fixture.h"

namespace fugo::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::vector<std::string> kAgencies = {"131016", "472018"};

std::string request(const std::string& id) {
  return request_text(id, trial_rows(0, 200, kAgencies));
}

// IssuedSite is a site with 200 people.
class IssuedSite {
 public:
  IssuedSite() {
    write_file(site_.scratch() / "r", request("OLD"));
    EXPECT_EQ(site_
                  .run({"issue", (site_.scratch() / "r").string(), "--out",
                        (site_.scratch() / "out").string()})
                  .exit_code,
              0);
    fs::copy(ledger(), site_.scratch() / "whole", fs::copy_options::recursive);
  }
  fs::path ledger() const { return site_.directory() / "ledger"; }
  const TestSite& site() const { return site_; }
  // Changes a bit every 64 bytes of each bulk file, behind its first page.
  void damage_bulk_files() const {
    for (const auto& entry : fs::directory_iterator(ledger() / "data")) {
      auto content = read_file(entry.path());
      for (std::size_t at = content.size() / 2; at < content.size(); at += 64) content[at] ^= 1;
      write_file(entry.path(), content);
    }
  }
  void put_back() const {
    fs::remove_all(ledger());
    fs::copy(site_.scratch() / "whole", ledger(), fs::copy_options::recursive);
  }

 private:
  TestSite site_;
};

TEST(Damage, OfTheCatalogueEndsTheStart) {
  const IssuedSite issued;
  drop(issued.site(), "a", request("J1"));
  fs::resize_file(issued.ledger() / "data.mdb", 4096);
  RunningDaemon daemon(issued.site(), RunningDaemon::DontWait{});
  EXPECT_EQ(daemon.end(), 5) << daemon.log();
  EXPECT_THAT(daemon.log(), HasSubstr("data.mdb"));
  EXPECT_THAT(entries(folder(issued.site(), "inbox")), ElementsAre("a"));
  EXPECT_TRUE(entries(folder(issued.site(), "outbox")).empty());
  issued.put_back();
  RunningDaemon second(issued.site());
  ASSERT_TRUE(wait_for([&] { return answered(issued.site(), "J1"); })) << second.log();
  EXPECT_EQ(second.stop(), 0);
}

TEST(Damage, ThatAJobMeetsStopsAllWorkAndLeavesTheRequest) {
  const IssuedSite issued;
  const auto& site = issued.site();
  issued.damage_bulk_files();
  RunningDaemon daemon(site);
  drop(site, "a", request("J1"));
  ASSERT_TRUE(wait_for([&] {
    return daemon.notices().find("STATUS=stopped_by_damage") != std::string::npos;
  })) << daemon.log();
  drop(site, "b", request("J2"));
  EXPECT_THAT(daemon.log(), HasSubstr("code=damaged"));
  EXPECT_THAT(daemon.log(), HasSubstr("does not authenticate"));
  EXPECT_THAT(entries(folder(site, "work")), ElementsAre("a"));
  EXPECT_TRUE(entries(folder(site, "outbox")).empty());
  EXPECT_TRUE(entries(folder(site, "refused")).empty());
  EXPECT_TRUE(wait_for(
      [&] { return site.run({"status"}).out.find("stopped_by_damage") != std::string::npos; }));
  EXPECT_EQ(daemon.stop(), 0);
  EXPECT_THAT(entries(folder(site, "inbox")), ElementsAre("b"));
  EXPECT_EQ(site.run({"verify"}).exit_code, 5);
  // With the good copy put back both are answered.
  issued.put_back();
  RunningDaemon second(site);
  ASSERT_TRUE(wait_for([&] { return answered(site, "J1") && answered(site, "J2"); }))
      << second.log();
  EXPECT_EQ(second.stop(), 0);
  EXPECT_EQ(site.run({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
