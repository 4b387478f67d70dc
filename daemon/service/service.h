// fugod as a whole: signals, folders to watch, systemd, and the worker's life.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "daemon/config.h"

namespace fugo::daemon {

// block_signals takes the signals that the service reads from a descriptor out of the way of every
// thread; call it before the first one starts.
void block_signals();

// run_service works until SIGTERM or SIGINT; success then. An error: the folders or the site could
// not be opened at the start, for a reason that waiting does not mend. It may leave the process by
// _exit(0) itself, when it was told to stop and the HSM does not answer.
[[nodiscard]] Status run_service(const Settings& settings);

}  // namespace fugo::daemon
