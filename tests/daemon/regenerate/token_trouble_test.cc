// A token that goes away within a step of a run: exit code 4, and the same command goes on.
#include <gtest/gtest.h>

#include "tests/daemon/regenerate/regenerated_site.h"
#include "tests/hsm/fault_script.h"

namespace fugo::test {
namespace {

constexpr std::size_t kPeople = 12;

TEST(TokenTrouble, WithinAStepIsWaitedOutByGivingItAgain) {
  const TestSite site;
  const hsm::testing::FaultScript faults(site.scratch() / "faults");
  const auto text = read_file(site.config());
  const auto at = text.find("module = ");
  site.set_config(text.substr(at, text.find('\n', at) - at),
                  "module = \"" + hsm::testing::fault_module().string() + "\"");
  const Symbols old = [&] {
    for (const auto& [name, value] : faults.environment()) ::setenv(name.c_str(), value.c_str(), 1);
    return issue_everybody(site, kPeople, kHolders);
  }();
  const std::string run = plan_run(site, "linkage,agency,record,ledger");
  std::size_t away = 0;
  for (const std::string name : {"run", "commit", "finish"}) {
    std::vector<std::string> more;
    if (name == "finish") more = {"--without-acks"};
    for (const std::string fault :
         {"gone", "C_Login after 0 rv CKR_DEVICE_REMOVED",
          "C_Encrypt after 2 rv CKR_DEVICE_REMOVED", "C_Encrypt after 9 rv CKR_DEVICE_ERROR",
          "C_Encrypt after 14 rv CKR_TOKEN_NOT_PRESENT", "C_Sign after 1 rv CKR_DEVICE_REMOVED",
          "C_UnwrapKey after 1 rv CKR_DEVICE_REMOVED"}) {
      SCOPED_TRACE(name + ": " + fault);
      faults.set(fault);
      const auto troubled = step(site, name, run, more);
      EXPECT_TRUE(troubled.exit_code == 4 || troubled.exit_code == 0)
          << troubled.exit_code << troubled.err;
      away += troubled.exit_code == 4 ? 1 : 0;
      faults.lift();
    }
    const auto done = step(site, name, run, more);
    ASSERT_EQ(done.exit_code, 0) << name << ": " << done.err;
  }
  EXPECT_GE(away, 9U) << "the faults were met";
  expect_same(ask_again(site, "NOW", kPeople), translate(site, run, old), "after it");
  expect_sound(site);
}

}  // namespace
}  // namespace fugo::test
