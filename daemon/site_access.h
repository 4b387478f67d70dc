// Opening the configured site for a command.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "engine/site.h"

namespace fugo::daemon {

// open_site opens ledger and token of `role` with all checks: kUsage when the role is not
// configured or the configuration's environment is not the ledger's, kRefused for SoftHSM or a
// test method in production; else as engine::Site::open.
[[nodiscard]] Result<std::unique_ptr<engine::Site>> open_site(const Settings& settings,
                                                              hsm::TokenRole role,
                                                              keystore::Access access);

// OpenLedger is a ledger and the token that opened it.
struct OpenLedger {
  std::shared_ptr<hsm::Token> token;
  std::unique_ptr<keystore::Ledger> ledger;
};

// open_ledger is open_site for acts that make no symbol: of the keys, only the one that wraps the
// data key is looked up, so that the others may be missing or wrong.
[[nodiscard]] Result<OpenLedger> open_ledger(const Settings& settings, hsm::TokenRole role,
                                             keystore::Access access);

// any_role is the first configured of issuing, linking, standby: enough for what every token can
// do, which is to open the ledger. kUsage when none is configured.
[[nodiscard]] Result<hsm::TokenRole> any_role(const Settings& settings);

// configured_roles lists the roles that have a section.
[[nodiscard]] std::vector<hsm::TokenRole> configured_roles(const Settings& settings);
[[nodiscard]] const char* role_name(hsm::TokenRole role);

// expected_key is a row of the registry as the token must have it; a retired key may be absent.
// expected_keys leaves out those that were destroyed, or are still being made.
[[nodiscard]] hsm::ExpectedKey expected_key(const keystore::KeyRow& row);
[[nodiscard]] std::vector<hsm::ExpectedKey> expected_keys(
    const std::vector<keystore::KeyRow>& rows);

// check_environment is the part of open_site that needs no token.
[[nodiscard]] Status check_environment(const Settings& settings,
                                       const keystore::LedgerHeader& header);

// check_token_for refuses SoftHSM in production.
[[nodiscard]] Status check_token_for(const Settings& settings, const hsm::Token& token);

}  // namespace fugo::daemon
