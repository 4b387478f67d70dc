// Custodians' approvals: two people agree, with keys of their own, that keys are made or destroyed,
// or that a second site takes over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// KeyAct is what is approved.
struct KeyAct {
  std::string act;                // "keys.create", "keys.destroy", "keys.recover" or "takeover"
  std::vector<std::string> keys;  // see created_key and destroyed_key; none for a takeover
  std::string site{};             // of a takeover: the standby site's id
};
[[nodiscard]] std::string created_key(const std::string& label);
[[nodiscard]] std::string destroyed_key(const keystore::KeyRow& row);

// ApprovalFiles is what the command line gives.
struct ApprovalFiles {
  std::string request;                 // the file that was signed
  std::vector<std::string> approvals;  // CUSTODIAN=SIGNATURE FILE
};

// approval_request writes the text that custodians sign: the act, bound to this ledger, to the
// journal's head as it is now, and to a time after which it is void. Format: docs/spec/keys.md.
[[nodiscard]] Result<std::string> approval_request(const keystore::Ledger& ledger,
                                                   const KeyAct& act, std::int64_t expires);

// check_approvals gives what the journal entry of the act must have: the request's SHA-256
// ("request") and the two custodians' names ("custodians"). An empty object when no custodians are
// configured, and then no files may be given (kUsage). kRefused, saying why, when the approvals do
// not suffice: signatures of two different custodians with different keys over exactly this act on
// this ledger, not expired, that names an entry of this journal and was not used. An act that was
// begun with a request, "ACT.start" in the journal, may go on with it until "ACT" is there.
[[nodiscard]] Result<nlohmann::ordered_json> check_approvals(const Settings& settings,
                                                             const keystore::Ledger& ledger,
                                                             const KeyAct& act,
                                                             const ApprovalFiles& files);

}  // namespace fugo::daemon
