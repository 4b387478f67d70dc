// Rebuilding a lost token from the recovery packages.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/approvals.h"
#include "daemon/config.h"
#include "hsm/key_recovery.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// KeyRecovery is what recover_token is to do.
struct KeyRecovery {
  hsm::TokenRole role = hsm::TokenRole::kIssuing;  // whose section names the new, initialised token
  std::vector<std::filesystem::path> packages;     // none: all of the recovery folder
  // Where custodians are configured two of them must agree: by their approvals of
  // recover_act(role), or by having put the recovery key together from their shares.
  bool by_shares = false;
  bool of_backup = false;  // the ledger is a backup's copy, which nobody keeps
  ApprovalFiles approval;
  keystore::Actor actor;
};

// RecoveredToken is what came of it.
struct RecoveredToken {
  std::string token;                 // its description
  std::vector<std::string> labels;   // of the keys that were put there
  std::vector<std::string> present;  // that were there already
  bool journaled = true;             // false: the ledger stands by, and was not written
  std::vector<std::string> unread;   // packages of the folder that could not be read, and why
};

// read_role reads "issuing", "linking" or "standby"; kUsage.
[[nodiscard]] Result<hsm::TokenRole> read_role(const std::string& name);

// recover_act is what custodians approve of.
[[nodiscard]] KeyAct recover_act(hsm::TokenRole role);

// recover_token puts every living key of the registry that the role has into its token, from the
// packages: first the key that opens the ledger, then, as the ledger's registry says, the others,
// so that a destroyed key does not come back. What is there already stays. Then attributes and
// fingerprints of all are checked, and the act is journaled. No other token is needed. kRefused
// when the packages lack a key that the registry has as pending, active, accepting or chain
// (nothing is removed: it can be run again with more packages); kDamaged when a key is not what the
// registry says, and then it is removed again. A package of the folder that cannot be read is left
// out, and told of. kRefused while another process makes or destroys
// keys.
[[nodiscard]] Result<RecoveredToken> recover_token(const Settings& settings,
                                                   const KeyRecovery& wanted,
                                                   const hsm::RecoveryKey& key,
                                                   std::string& applied);

}  // namespace fugo::daemon
