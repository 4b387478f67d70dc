// Answers that wait to be fetched, and their destruction when they were received.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "keystore/ledger.h"

namespace fugo::daemon {

// WaitingAnswer is one file of one answered request.
struct WaitingAnswer {
  std::string id;
  std::string agency;  // "rejects" for rejects.csv
  std::uint64_t bytes = 0;
  std::int64_t modified = 0;
};

// list_outbox lists what waits, by id and agency. Folders that are still being made are left out.
[[nodiscard]] Result<std::vector<WaitingAnswer>> list_outbox(const std::filesystem::path& outbox);

// acknowledge journals that an answer was received, then destroys it; with the last one of a
// request its folder goes too. False when it had been acknowledged before; kRefused when there
// never was such an answer.
[[nodiscard]] Result<bool> acknowledge(keystore::Ledger& ledger,
                                       const std::filesystem::path& outbox, const std::string& id,
                                       const std::string& agency, const keystore::Actor& actor);

}  // namespace fugo::daemon
