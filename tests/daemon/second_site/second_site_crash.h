// kill -9 at each durable step of a command on one of two sites.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/daemon/second_site/two_sites.h"
#include "tests/fault/run_with_faults.h"

namespace fugo::test {

// SecondSiteCrash kills a command at each of its durable steps.
class SecondSiteCrash : public ::testing::Test {
 protected:
  // run is the command with a site's configuration, its durable steps counted.
  fugo::testing::FaultOutcome run(fugo::testing::FaultPlan plan,
                                  const std::filesystem::path& config,
                                  const std::vector<std::string>& words) const {
    plan.under = sites_.scratch();
    plan.except = {sites_.first().directory() / "tokens"};
    std::vector<std::string> command = {std::string(FUGO_BINARY_DIR) + "/daemon/fugo", "--config",
                                        config.string()};
    command.insert(command.end(), words.begin(), words.end());
    return fugo::testing::run_with_faults(command, plan);
  }
  // kill_at_each counts the steps of an undisturbed run, then kills at one after the other. `reset`
  // puts everything back before each; `check` is called after each.
  void kill_at_each(const std::filesystem::path& config, const std::vector<std::string>& words,
                    const std::function<void()>& reset,
                    const std::function<void(const std::string&)>& check, std::uint64_t least) {
    reset();
    const auto undisturbed = run({}, config, words);
    ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.errors;
    ASSERT_GE(undisturbed.steps, least);
    for (std::uint64_t step = 1; step <= undisturbed.steps; ++step) {
      reset();
      fugo::testing::FaultPlan plan;
      plan.kill_at = step;
      plan.kill_after = step % 2 == 1;
      const auto killed = run(plan, config, words);
      // The step may be of the process that verifying forks: what has it then ends by itself.
      ASSERT_TRUE(killed.signal == SIGKILL || killed.errors.find("signal 9") != std::string::npos)
          << killed.errors;
      check(words.front() + ", step " + std::to_string(step));
      if (HasFatalFailure()) return;
    }
  }
  static void replace(const std::filesystem::path& by, const std::filesystem::path& what) {
    std::filesystem::remove_all(what);
    std::filesystem::copy(by, what, std::filesystem::copy_options::recursive);
  }
  void ship_and_found() const {
    ASSERT_EQ(sites_.ship().exit_code, 0);
    ASSERT_EQ(sites_.found().exit_code, 0);
  }
  [[nodiscard]] std::filesystem::path first_ledger() const {
    return sites_.first().directory() / "ledger";
  }
  [[nodiscard]] std::filesystem::path saved(const std::string& name) const {
    return sites_.scratch() / ("saved-" + name);
  }
  TwoSites sites_;
};

}  // namespace fugo::test
