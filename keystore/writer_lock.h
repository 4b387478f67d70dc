// Locks of a ledger's directory, for those who need them without opening it.
#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/result.h"

namespace fugo::keystore {

// take_writer_lock locks writer.lock for as long as the descriptor is open; the system releases it
// when the process dies. kRefused, naming the holder's process, when somebody has it.
[[nodiscard]] Result<UniqueFd> take_writer_lock(const std::filesystem::path& directory);

// take_keys_lock locks keys.lock in the same way: one process at a time makes or destroys keys.
[[nodiscard]] Result<UniqueFd> take_keys_lock(const std::filesystem::path& directory);

}  // namespace fugo::keystore
