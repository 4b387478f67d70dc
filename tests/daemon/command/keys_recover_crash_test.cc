// kill -9 at each durable step of fugo keys recover, those of the token itself among them.
#include <gmock/gmock.h>

#include "tests/daemon/command/keys_fixture.h"
#include "tests/daemon/jobs/kind_requests.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(KeysRecoverCrash, ItGoesOnOrSaysToBeginWithANewToken) {
  const KeySite site;
  const auto digest = site.run({"digest"}).out;
  const auto token = site.directory() / "tokens/linking";
  const auto before = site.objects("linking");
  const std::vector<std::string> words = {
      "keys",    "recover",       "--role",
      "linking", "--private-key", (site.directory() / "recovery/recovery-private.pem").string()};
  make_token(token, "fugo-linking");
  const auto empty = site.scratch() / "empty";
  fs::copy(token / "objects", empty, fs::copy_options::recursive);
  const auto reset = [&] {
    fs::remove_all(token / "objects");
    fs::copy(empty, token / "objects", fs::copy_options::recursive);
  };
  const auto run = [&](fugo::testing::FaultPlan plan) {
    plan.under = site.directory();
    std::vector<std::string> command = {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config",
                                        site.config().string()};
    command.insert(command.end(), words.begin(), words.end());
    return fugo::testing::run_with_faults(command, plan);
  };
  const auto undisturbed = run({});
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
  ASSERT_GT(undisturbed.steps, 20U);
  std::size_t went_on = 0, began_anew = 0;
  const std::uint64_t stride = 1 + undisturbed.steps / 60;
  for (std::uint64_t step = 1; step <= undisturbed.steps; step += stride) {
    reset();
    fugo::testing::FaultPlan plan;
    plan.kill_at = step;
    plan.kill_after = step % 2 == 1;
    ASSERT_EQ(run(plan).signal, SIGKILL) << step;
    auto again = site.run(words);
    if (again.exit_code == 0) {
      ++went_on;
    } else {
      // What is there is left alone: the message says what to do, and that helps.
      ++began_anew;
      EXPECT_THAT(again.err,
                  ::testing::AnyOf(HasSubstr("initialise the token anew"), HasSubstr("CKR_")))
          << step << again.err;
      make_token(token, "fugo-linking");
      again = site.run(words);
    }
    ASSERT_EQ(again.exit_code, 0) << step << ": " << again.err;
    // SoftHSM leaves the file of an object that it was killed in; nobody finds that as a key.
    EXPECT_GE(site.objects("linking"), before) << step;
    EXPECT_EQ(site.run({"verify"}).exit_code, 0) << step;
  }
  EXPECT_GT(went_on, 5U);
  EXPECT_EQ(site.run({"digest"}).out, digest);
}

}  // namespace
}  // namespace fugo::test
