// The command line as a whole: from arguments to an exit code.
#pragma once

#include "daemon/command/context.h"

namespace fugo::daemon {

// add_command_line gives `app` every option and command of `fugo`; both must outlive its use.
void add_command_line(CLI::App& app, Context& context);

// run_application parses the arguments, carries the command out, prints its outcome, and returns
// the exit code. When it returns, nothing of the HSM is in use any more.
[[nodiscard]] int run_application(int argc, const char* const* argv);

}  // namespace fugo::daemon
