// Agencies that are added while a regeneration is open, and after one that changed the method.
#include "daemon/agency_registry.h"

#include <gtest/gtest.h>

#include "daemon/site_access.h"
#include "tests/daemon/site_fixture.h"

namespace fugo::daemon {
namespace {

using keystore::GenerationState;

class AgencyRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto settings = load_settings(files_.config()).value();
    site_ = open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend).value();
  }

  // plan makes the rows of an open run; its generation is pending.
  void plan(std::uint8_t what, const std::string& agency, std::uint8_t method) {
    keystore::GenerationRow to = site_->active_generation();
    ++to.number;
    to.state = GenerationState::kPending;
    to.agency_key = 7;
    to.agency_method = method;
    keystore::RunRow run;
    run.state = keystore::RunState::kPlanned;
    run.what = what;
    run.agency = agency.empty() ? keystore::AgencyNumber{0} : site_->find_agency(agency)->number;
    run.agency_method = method;
    run.from = site_->active_generation().number;
    run.to = to.number;
    const auto update = site_->ledger().begin().value();
    ASSERT_TRUE(update->put_generation(to));
    ASSERT_TRUE(update->put_run(run));
    ASSERT_TRUE(update->commit());
  }

  std::vector<keystore::AgencyVersion> add(const std::string& code, const std::string& method) {
    const auto added = add_agencies(*site_, {{0, code, "An agency", method}}, {},
                                    {"the command line", {}, false}, {"tester", ""});
    EXPECT_TRUE(added) << added.error().message();
    const auto agencies = site_->ledger().agencies().value();  // outlives the loop
    for (const auto& agency : agencies)
      if (agency.code == code) return agency.versions;
    return {};
  }

  test::TestSite files_;
  std::unique_ptr<engine::Site> site_;
};

TEST_F(AgencyRegistryTest, WhoComesWhileAllAreRenewedIsInTheNewGenerationToo) {
  plan(keystore::kRunLinkage | keystore::kRunAgency, "", 0);
  const auto versions = add("999", "xts-aes256");
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].generation, 1);
  EXPECT_EQ(versions[1].generation, 2);
  EXPECT_EQ(versions[0].key_version, 1);
  EXPECT_EQ(versions[1].key_version, 7);
  EXPECT_EQ(versions[0].method, 3);
  EXPECT_EQ(versions[1].method, 3);
  EXPECT_NE(versions[0].parameter, versions[1].parameter);
  // The same again changes nothing.
  EXPECT_EQ(add("999", "xts-aes256"), versions);
}

TEST_F(AgencyRegistryTest, WithTheMethodThatTheRegenerationGivesToAll) {
  plan(keystore::kRunAgency, "", 2);
  const auto versions = add("999", "");
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].method, 1);
  EXPECT_EQ(versions[1].method, 2);
}

TEST_F(AgencyRegistryTest, OtherRegenerationsDoNotConcernANewAgency) {
  plan(keystore::kRunLinkage | keystore::kRunRecord, "", 0);
  EXPECT_EQ(add("999", "").size(), 1U);
}

TEST_F(AgencyRegistryTest, NorDoesThatOfOneOther) {
  plan(keystore::kRunAgency, "131016", 0);
  EXPECT_EQ(add("999", "").size(), 1U);
}

TEST_F(AgencyRegistryTest, TheMethodOfAllIsTheDefaultFromThenOn) {
  auto active = site_->active_generation();
  active.agency_method = 2;
  {
    const auto update = site_->ledger().begin().value();
    ASSERT_TRUE(update->put_generation(active));
    ASSERT_TRUE(update->commit());
  }
  EXPECT_EQ(add("998", "").at(0).method, 2);
  EXPECT_EQ(add("999", "cmac-ff-aes256").at(0).method, 1);
}

}  // namespace
}  // namespace fugo::daemon
