// The table of roles: every command is in it, and a group that the caller lacks is asked for.
#include "daemon/roles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "daemon/command/application.h"
#include "tests/daemon/jobs/kind_requests.h"

namespace fugo::daemon {
namespace {

using ::testing::HasSubstr;

void collect(const CLI::App& app, const std::string& path, std::vector<std::string>& leaves) {
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  if (below.empty()) leaves.push_back(path);
  for (const auto* command : below)
    collect(*command, path.empty() ? command->get_name() : path + " " + command->get_name(),
            leaves);
}

TEST(Roles, EveryCommandHasOneAndEveryRowACommand) {
  Context context;
  CLI::App app("", "fugo");
  add_command_line(app, context);
  std::vector<std::string> leaves;
  collect(app, "", leaves);
  ASSERT_GT(leaves.size(), 40U);
  std::set<std::string_view> used;
  for (const auto& command : leaves) {
    const auto* row = role_of(command);
    EXPECT_NE(row, nullptr) << command;
    if (row != nullptr) used.insert(row->command);
  }
  for (const auto& row : command_roles()) {
    EXPECT_TRUE(used.contains(row.command)) << row.command << " is no command";
    EXPECT_TRUE(row.role.empty() || is_role(row.role)) << row.role;
  }
}

TEST(Roles, TheLongestRowCounts) {
  EXPECT_EQ(role_of("jobs approve")->role, kApproval);
  EXPECT_EQ(role_of("jobs pause")->role, kIssuing);
  EXPECT_EQ(role_of("jobs list")->role, kAnybody);
  EXPECT_EQ(role_of("issuer"), nullptr) << "a name that begins like one";
}

TEST(Roles, AGroupIsAskedForWhereOneIsNamed) {
  const std::vector<RoleGroup> roles = {{"issuing", "fugo-issuing"}, {"keys", "fugo-keys"}};
  const Caller suzuki{"suzuki", {"users", "fugo-issuing"}};
  EXPECT_TRUE(check_role("issue", suzuki, roles));
  EXPECT_TRUE(check_role("backup", suzuki, roles)) << "no line: everybody's";
  EXPECT_TRUE(check_role("keys list", suzuki, roles));
  const auto refused = check_role("keys destroy", suzuki, roles);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_THAT(refused.error().message(), HasSubstr("role keys"));
  EXPECT_THAT(refused.error().message(), HasSubstr("fugo-keys"));
  EXPECT_FALSE(check_role("invented", suzuki, roles));
}

TEST(Roles, TheCommandAsksForTheGroup) {
  const test::TestSite site;
  const auto mine = caller().value();
  ASSERT_FALSE(mine.groups.empty());
  site.set_config("[ledger]", "[roles]\nadministration = \"" + mine.groups.back() +
                                  "\"\nbackup = \"nobody-has-this\"\n\n[ledger]");
  EXPECT_EQ(site.run({"agency", "suspend", "472018"}).exit_code, 0);
  const auto refused = site.run({"backup", (site.scratch() / "copy").string()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("role backup"));
  EXPECT_FALSE(std::filesystem::exists(site.scratch() / "copy"));
  const auto entries = site.run({"--json", "journal", "show"}).json()["entries"];
  EXPECT_EQ(entries.back()["role"], "administration");
  EXPECT_EQ(entries.back()["account"], mine.account);
  site.set_config("backup = ", "bakcup = ");
  const auto mistaken = site.run({"status"});
  EXPECT_EQ(mistaken.exit_code, 2);
  EXPECT_THAT(mistaken.err, HasSubstr("is no role"));
}

}  // namespace
}  // namespace fugo::daemon
