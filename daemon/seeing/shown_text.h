// How an error is shown where many can read it: logs, status, reasons of refusals.
#pragma once

#include <string>

#include "base/result.h"

namespace fugo::daemon {

// shown_text is the error's message in one line, without what may be a resident code. No message
// has one of its own accord, but it may name a file, which others may have called anything.
[[nodiscard]] std::string shown_text(const Error& error);

}  // namespace fugo::daemon
