// A takeover where custodians are configured: not without two of them.
#include "tests/daemon/second_site/two_sites.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

int shell(const std::string& command) {
  return std::system(("{ " + command + "; } > /dev/null 2>&1").c_str());
}

// CustodianSites has two custodians at both sites, and one shipment applied.
class ApprovedTakeover : public ::testing::Test {
 protected:
  ApprovedTakeover() {
    std::string lines = "\n[custodians]\n";
    for (const char* name : {"alice", "bob"}) {
      EXPECT_EQ(shell("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out " +
                      path(name) + ".pem && openssl pkey -in " + path(name) + ".pem -pubout -out " +
                      path(name) + "-public.pem"),
                0);
      lines += std::string(name) + " = \"" + path(name) + "-public.pem\"\n";
    }
    write_file(sites_.first().config(), read_file(sites_.first().config()) + lines);
    EXPECT_EQ(sites_.ship().exit_code, 0);
    EXPECT_EQ(sites_.found().exit_code, 0);
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return (sites_.scratch() / name).string();
  }
  [[nodiscard]] std::string request(const std::string& name) const {
    const auto asked = sites_.at_second({"takeover", "--write-request", path(name)});
    EXPECT_EQ(asked.exit_code, 0) << asked.err;
    return path(name);
  }
  [[nodiscard]] std::string sign(const std::string& name, const std::string& file) const {
    const auto signature = file + "." + name;
    EXPECT_EQ(
        shell("openssl dgst -sha256 -sign " + path(name) + ".pem -out " + signature + " " + file),
        0);
    return name + "=" + signature;
  }
  void expect_refused(const std::vector<std::string>& more, const std::string& why) const {
    const auto refused = sites_.take_over(more);
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_THAT(refused.err, HasSubstr(why));
    EXPECT_EQ(sites_.at_second({"--json", "status"}).json()["sites"]["standby"]["state"],
              "following");
  }
  TwoSites sites_;
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
  const std::vector<std::string> approved = {"--request",         file,         "--approval",
                                             sign("alice", file), "--approval", sign("bob", file)};
  ASSERT_EQ(sites_.take_over(approved).exit_code, 0);
  write_file(mark, kept);
  const auto again = sites_.take_over();
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.json()["epoch"], 2);
  EXPECT_FALSE(fs::exists(mark));
}

}  // namespace
}  // namespace fugo::test
