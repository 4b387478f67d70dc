// The part of `fugo status` that tells of the daemon.
#pragma once

#include <string>

#include "daemon/command/context.h"
#include "daemon/seeing/status_board.h"

namespace fugo::daemon {

// service_document is the key "daemon": `running`, and with a status what it says.
[[nodiscard]] Json service_document(const SeenStatus& seen);

// service_text is the same in lines for people.
[[nodiscard]] std::string service_text(const SeenStatus& seen);

}  // namespace fugo::daemon
