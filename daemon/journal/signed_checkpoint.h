// A checkpoint of a whole site, as `fugo journal checkpoint` and the daemon make it.
#pragma once

#include <string>

#include "daemon/config.h"
#include "daemon/journal/checkpoint.h"
#include "hsm/token.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// SignedCheckpoint is what was signed, the whole note, and the key that signed it.
struct SignedCheckpoint {
  Checkpoint checkpoint;
  std::string note;
  keystore::KeyRow key;
};

// sign_site_checkpoint signs for the ledger as it is now, the configuration's file, and whose
// requests are taken. It reads the whole journal.
[[nodiscard]] Result<SignedCheckpoint> sign_site_checkpoint(hsm::Token& token,
                                                            const keystore::Ledger& ledger,
                                                            const Settings& settings);

}  // namespace fugo::daemon
