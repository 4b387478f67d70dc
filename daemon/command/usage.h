// What is said about wrong arguments.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fugo::daemon {

// usage_error is the mistake that CLI11 found as an error of code kUsage. `words` are the command's
// arguments, `unexpected` those that it had no place for. A word with anything but letters and
// "-_./" is not repeated, since it may be a resident code in the wrong place: it is told by its
// number, or left out.
[[nodiscard]] Error usage_error(const CLI::ParseError& mistake,
                                const std::vector<std::string>& words,
                                const std::vector<std::string>& unexpected);

}  // namespace fugo::daemon
