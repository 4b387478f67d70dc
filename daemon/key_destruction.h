// Destroying retired keys in every token, with a signed statement of it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/approvals.h"
#include "daemon/config.h"
#include "daemon/key_making.h"
#include "daemon/key_registry.h"

namespace fugo::daemon {

// check_can_destroy is kRefused unless the key is retired and nothing depends on it.
[[nodiscard]] Status check_can_destroy(const KeyRegistry& registry, const keystore::KeyRow& row);

// KeyDestruction is what destroy_keys is to do.
struct KeyDestruction {
  std::vector<std::string> labels;
  std::filesystem::path statement;  // must not be there yet; its directory must
  keystore::Actor actor;
  ApprovalFiles approval;
  // Somebody has seen that the second site applied what was sent last: until then it needs the keys
  // to open what it has. Asked for where shipments are sent.
  bool second_site_has_it = false;
};

// KeyDestructionOutcome is how far it came.
struct KeyDestructionOutcome {
  std::vector<TokenVisit> visits;     // none when it was done before
  std::vector<std::string> left;      // tokens that may still have a key, and why; empty: done
  std::vector<std::string> packages;  // recovery packages of the site that still hold one
};

// destroy_keys destroys retired keys that nothing depends on, with the custodians' approval where
// it is needed. When every token that may have them has been seen to have them no more, they become
// destroyed and the statement is written, signed with the journal key; until then they stay
// retired, and the same call goes on. Keys that are destroyed already: their statement is written
// again from the journal, by which a call goes on that died before it. Journaled as
// keys.destroy.start (each try), keys.destroy.partly and keys.destroy. The site must be closed.
[[nodiscard]] Result<KeyDestructionOutcome> destroy_keys(const Settings& settings,
                                                         const KeyDestruction& wanted,
                                                         std::string& applied);

}  // namespace fugo::daemon
