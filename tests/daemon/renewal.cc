#include "tests/daemon/renewal.h"

#include <gtest/gtest.h>

#include "daemon/site_access.h"

namespace fugo::test {
namespace {

using keystore::GenerationState;

template <typename Act>
void with_update(const std::filesystem::path& config, const Act& act) {
  const auto settings = daemon::load_settings(config).value();
  const auto site =
      daemon::open_site(settings, hsm::TokenRole::kIssuing, keystore::Access::kAppend).value();
  const auto update = site->ledger().begin().value();
  act(*site, *update);
  const auto committed = update->commit();
  ASSERT_TRUE(committed) << committed.error().message();
}

}  // namespace

void renew_agencies(const std::filesystem::path& config) {
  with_update(config, [](engine::Site& site, keystore::Update& update) {
    keystore::GenerationRow from = site.active_generation(), to = from;
    from.state = GenerationState::kAccepting;
    ++to.number;
    to.starters = 0;
    for (keystore::Agency agency : site.agencies()) {
      auto version = agency.versions.back();
      version.generation = to.number;
      ASSERT_TRUE(site.token().random(version.parameter.bytes));
      agency.versions.push_back(version);
      ASSERT_TRUE(update.put_agency(agency));
    }
    ASSERT_TRUE(update.put_generation(from));
    ASSERT_TRUE(update.put_generation(to));
    keystore::RunRow run;
    run.state = keystore::RunState::kCommitted;
    run.what = keystore::kRunAgency;
    run.from = from.number;
    run.to = to.number;
    run.committed = 1;
    run.last_segment = update.state().next_segment - 1;
    ASSERT_TRUE(update.put_run(run));
  });
}

void retire_old(const std::filesystem::path& config) {
  with_update(config, [](engine::Site& site, keystore::Update& update) {
    for (keystore::GenerationRow row : site.generations()) {
      if (row.state != GenerationState::kAccepting) continue;
      row.state = GenerationState::kRetired;
      ASSERT_TRUE(update.put_generation(row));
    }
    auto run = site.ledger().runs().value().back();
    run.state = keystore::RunState::kFinished;
    ASSERT_TRUE(update.put_run(run));
  });
}

}  // namespace fugo::test
