// Runs a command with its durable steps counted, and with a fault at one of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fugo::testing {

// FaultPlan says which files' steps count and what happens at one of them. A step is a call that
// changes what the disk holds: sync, rename, link, unlink, mkdir, open that makes or empties a
// file, truncate, write to a file named data.mdb, and with count_writes every write.
struct FaultPlan {
  std::filesystem::path under;                // an existing directory
  std::vector<std::filesystem::path> except;  // below these nothing counts
  bool count_writes = false;
  std::uint64_t kill_at = 0;  // from 1; 0: never. SIGKILL at this step,
  bool kill_after = false;    // before the call or after it
  // The fail_at-th call (from 1; 0: none) that can fail with fail_errno does so, without being
  // made: ENOSPC writes, truncate, and calls that make a name; EIO these and syncs; EROFS these
  // and unlink, without syncs. Every write counts here. With fail_forever all later ones as well.
  std::uint64_t fail_at = 0;
  int fail_errno = 0;
  bool fail_forever = false;
  std::filesystem::path log;  // one line a step is appended to this file, unless empty
};

// FaultOutcome is how the command ended.
struct FaultOutcome {
  int exit_code = -1;          // -1 when a signal ended it
  int signal = 0;              // 0 when none did
  std::uint64_t steps = 0;     // taken, also when it was killed; those of its children too
  std::uint64_t failable = 0;  // calls that could have failed with fail_errno
  std::string output, errors;  // what it wrote
};

// run_with_faults runs `command` (program by path, then arguments) and waits for its end; no input.
// `environment` are further NAME=VALUE. After 120 seconds it is killed by SIGALRM. Ends the test
// program where the machine does not let it run a process.
[[nodiscard]] FaultOutcome run_with_faults(const std::vector<std::string>& command,
                                           const FaultPlan& plan,
                                           const std::vector<std::string>& environment = {});

}  // namespace fugo::testing
