// Times that people write.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace fugo::daemon {

// parse_time reads an RFC 3339 time; kUsage.
[[nodiscard]] Result<std::int64_t> parse_time(const std::string& text);

}  // namespace fugo::daemon
