// Disks that are full or fail while a second site is sent to, follows and takes over; and a first
// site that is lost with a job open.
#include "tests/daemon/second_site/second_site_crash.h"

namespace fugo::test {
namespace {

using fugo::testing::FaultPlan;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class SiteTrouble : public SecondSiteCrash {
 protected:
  // fail_at_some makes some of the calls of a command fail, which must say so; `reset` puts
  // everything back before each, and `check` is called after.
  void fail_at_some(const fs::path& config, const std::vector<std::string>& words,
                    const std::function<void()>& reset,
                    const std::function<void(const std::string&)>& check) {
    for (const int error : {ENOSPC, EIO}) {
      reset();
      FaultPlan count;
      count.fail_errno = error;
      const auto failable = run(count, config, words).failable;
      ASSERT_GE(failable, 4U);
      int told = 0;
      for (std::uint64_t at = 1; at <= failable; at += 1 + failable / 8) {
        reset();
        FaultPlan plan;
        plan.fail_at = at;
        plan.fail_errno = error;
        const auto failed = run(plan, config, words);
        const auto where = words.front() + ", call " + std::to_string(at);
        ASSERT_EQ(failed.signal, 0) << where;
        if (failed.exit_code != 0) {
          ++told;
          EXPECT_NE(failed.exit_code, 5) << where << failed.errors;
          EXPECT_THAT(failed.errors,
                      HasSubstr(error == EIO ? "Input/output error" : "No space left on device"))
              << where;
        }
        check(where + failed.errors);
        if (HasFatalFailure()) return;
      }
      EXPECT_GE(told, 2);
    }
  }
};

TEST_F(SiteTrouble, SendingIsDoneAgain) {
  replace(first_ledger(), saved("first"));
  fail_at_some(
      sites_.first().config(), {"ship", sites_.folder().string()},
      [&] {
        replace(saved("first"), first_ledger());
        fs::remove_all(sites_.folder());
        fs::create_directory(sites_.folder());
        fs::remove_all(sites_.second());
      },
      [&](const std::string& where) {
        ASSERT_EQ(sites_.ship({"--always"}).exit_code, 0) << where;
        ASSERT_EQ(sites_.found().exit_code, 0) << where;
        EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
      });
}

TEST_F(SiteTrouble, FollowingIsDoneAgain) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  (void)sites_.issue_first("N1", 500);
  ASSERT_EQ(sites_.ship().exit_code, 0);
  fail_at_some(
      sites_.second() / "fugo.toml", {"follow", sites_.folder().string()},
      [&] { replace(saved("second"), sites_.second()); },
      [&](const std::string& where) {
        ASSERT_EQ(sites_.follow().exit_code, 0) << where;
        EXPECT_EQ(sites_.digest_second(), sites_.digest_first()) << where;
      });
  EXPECT_EQ(sites_.at_second({"verify"}).exit_code, 0);
}

TEST_F(SiteTrouble, TakingOverIsDoneAgainAndNotedOnce) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  fail_at_some(
      sites_.second() / "fugo.toml", {"takeover", "--reason", "fire", "--unverified"},
      [&] { replace(saved("second"), sites_.second()); },
      [&](const std::string& where) {
        if (fs::exists(sites_.second() / "ledger/standby.json")) {
          // Unverified too: where LMDB could not write its meta page it leaves the snapshot before
          // the last one spoilt, which nobody reads, and which the next commit replaces.
          const auto again = sites_.take_over({"--unverified"});
          ASSERT_EQ(again.exit_code, 0) << where << again.err;
        }
        const auto journal = sites_.at_second({"--json", "journal", "show"}).json();
        std::size_t takeovers = 0;
        for (const auto& entry : journal["entries"])
          takeovers += entry["act"] == "takeover" ? 1U : 0U;
        EXPECT_EQ(takeovers, 1U) << where;
        EXPECT_EQ(sites_.at_second({"verify"}).exit_code, 0) << where;
      });
}

// A job was open in what was shipped: its request goes on at the second site, or is given up.
TEST_F(SiteTrouble, AJobThatWasOpenGoesOnAtTheSecondSite) {
  ship_and_found();
  replace(sites_.second(), saved("second"));
  const auto request = sites_.scratch() / "J1.csv", out = sites_.scratch() / "answers";
  write_file(request, request_text("J1", {{"1", "131016", resident_code(500)}}));
  const std::vector<std::string> words = {"issue", request.string(), "--out", out.string()};
  // Killed at one step after the other until it leaves its job open.
  std::uint64_t step = 0;
  do {
    FaultPlan plan;
    plan.kill_at = ++step;
    ASSERT_EQ(run(plan, sites_.first().config(), words).signal, SIGKILL) << step;
  } while (sites_.first().run({"--json", "jobs", "list"}).json()["jobs"].empty());
  const auto last = sites_.ship({"--final"});
  EXPECT_EQ(last.exit_code, 1) << "nothing is handed over in the middle of a job";
  EXPECT_THAT(last.err, HasSubstr("is not finished"));
  EXPECT_FALSE(fs::exists(first_ledger() / "standby.json"));
  ASSERT_EQ(sites_.ship().exit_code, 0);
  ASSERT_EQ(sites_.follow().exit_code, 0);
  ASSERT_EQ(sites_.take_over().exit_code, 0);
  // Nothing else begins meanwhile; the same request goes on.
  const auto other = sites_.scratch() / "J2.csv";
  write_file(other, request_text("J2", {{"1", "131016", resident_code(501)}}));
  const auto busy = sites_.at_second({"issue", other.string(), "--out", out.string()});
  EXPECT_EQ(busy.exit_code, 1);
  // The first site ended it, as its journal says.
  ASSERT_EQ(sites_.first().run(words).exit_code, 0);
  const auto answer = read_file(out / "J1/131016.csv");
  fs::remove_all(out / "J1");
  const auto copy = (sites_.scratch() / "journal.jsonl").string();
  ASSERT_EQ(sites_.first().run({"journal", "export", "--out", copy}).exit_code, 0);
  const auto lost = sites_.at_second({"--json", "reconcile", copy}).json();
  EXPECT_EQ(lost["jobs"][0]["id"], "J1");
  EXPECT_EQ(lost["jobs"][0]["known_here"], true);
  const auto done = sites_.at_second(words);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(read_file(out / "J1/131016.csv"), answer);
  EXPECT_EQ(sites_.at_second({"verify"}).exit_code, 0);
}

}  // namespace
}  // namespace fugo::test
