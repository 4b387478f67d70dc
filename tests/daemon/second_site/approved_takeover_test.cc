// A takeover where custodians are configured: not without two of them.
#include "tests/daemon/custodians.h"
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// CustodianSites has two custodians at both sites, and one shipment applied.
class ApprovedTakeover : public ::testing::Test {
 protected:
  ApprovedTakeover() {
    custodians_.configure(sites_.first());
    EXPECT_EQ(sites_.ship().exit_code, 0);
    EXPECT_EQ(sites_.found().exit_code, 0);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (sites_.scratch() / name).string();
  }
  [[nodiscard]] std::string request(const std::string& name,
                                    const std::string& site = "second") const {
    const auto asked = sites_.at_second({"takeover", "--write-request", path(name)}, site);
    EXPECT_EQ(asked.exit_code, 0) << asked.err;
    return path(name);
  }
  [[nodiscard]] std::string sign(const std::string& name, const std::string& file) const {
    return custodians_.sign(name, file);
  }
  void expect_refused(const std::vector<std::string>& more, const std::string& why) const {
    const auto refused = sites_.take_over(more);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(why));
    EXPECT_EQ(sites_.at_second({"--json", "status"}).json()["sites"]["standby"]["state"],
              "following");
  }
  TwoSites sites_;
  Custodians custodians_{sites_.scratch(), {"alice", "bob"}};
};

TEST_F(ApprovedTakeover, IsRefusedWithoutTwoAndDoneWithThem) {
  const auto file = request("request");
  EXPECT_THAT(read_file(file), HasSubstr("\nact=takeover\n"));
  const auto alice = sign("alice", file), bob = sign("bob", file);
  expect_refused({}, "two custodians must approve");
  expect_refused({"--request", file, "--approval", alice}, "1 approvals were given");
  expect_refused({"--request", file, "--approval", alice, "--approval", alice},
                 "two different custodians");
  // What was approved for something else.
  const auto other = path("create");
  ASSERT_EQ(sites_.at_second({"keys", "request", "create", "--purpose", "record", "--out", other})
                .exit_code,
            0);
  expect_refused(
      {"--request", other, "--approval", sign("alice", other), "--approval", sign("bob", other)},
      "is for keys.create, not for takeover");
  // It stays good when more is followed.
  (void)sites_.issue_first("N1", 500);
  ASSERT_EQ(sites_.ship().exit_code, 0);
  ASSERT_EQ(sites_.follow().exit_code, 0);
  const auto taken = sites_.take_over({"--request", file, "--approval", alice, "--approval", bob});
  ASSERT_EQ(taken.exit_code, 0) << taken.err;
  const auto entries = sites_.at_second({"--json", "journal", "show", "--last", "1"}).json();
  const auto entry = entries["entries"][0];
  EXPECT_EQ(entry["act"], "takeover");
  EXPECT_EQ(entry["details"]["custodians"], nlohmann::json::array({"alice", "bob"}));
}

// Died between its entry and the removal of the mark: the approvals are used, and it goes on.
TEST_F(ApprovedTakeover, GoesOnWithoutAnotherApproval) {
  const auto mark = sites_.second() / "ledger/standby.json";
  const auto kept = read_file(mark);
  const auto file = request("request");
  ASSERT_EQ(sites_.take_over(custodians_.approved(file, "alice", "bob")).exit_code, 0);
  write_file(mark, kept);
  const auto again = sites_.take_over();
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["epoch"], 2);
  EXPECT_FALSE(fs::exists(mark));
}

// Of two sites that stand by, what was approved for one does not let the other take over.
TEST_F(ApprovedTakeover, IsForOneStandbySite) {
  ASSERT_EQ(sites_.found("third").exit_code, 0);
  const auto file = request("request");
  const auto site = sites_.at_second({"--json", "status"}).json()["sites"]["standby"]["site"];
  EXPECT_THAT(read_file(file), HasSubstr("\nact=takeover\nsite=" + site.get<std::string>() + "\n"));
  const auto approved = custodians_.approved(file, "alice", "bob");
  const auto other = sites_.take_over(approved, "third");
  EXPECT_EQ(other.exit_code, 1) << other.out;
  EXPECT_THAT(other.err, HasSubstr("for another standby site"));
  // The text without that line, or with the other site's, is not what was signed.
  auto text = read_file(file);
  text.erase(text.find("site="), text.find("expires=") - text.find("site="));
  write_file(file, text);
  EXPECT_EQ(sites_.take_over(approved).exit_code, 1);
  write_file(file, read_file(request("again")));
  const auto done = sites_.take_over(custodians_.approved(path("again"), "alice", "bob"));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  // A site that does not stand by asks for nothing.
  EXPECT_EQ(sites_.first().run({"takeover", "--write-request", path("x")}).exit_code, 1);
}

}  // namespace
}  // namespace fugo::test
