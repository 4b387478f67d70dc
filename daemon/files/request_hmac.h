// The identity of a request: a keyed digest of all its bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "daemon/files/request.h"

namespace fugo::daemon {

// request_hmac computes HMAC-SHA-256 (FIPS 198-1) of a whole file. It is keyed because a request
// of one row has only 10^10 contents. It gives up early, with success, when `stop` becomes true,
// and with the error of options.keep_going.
[[nodiscard]] Status request_hmac(std::string_view file, const SurveyOptions& options,
                                  const std::atomic<bool>& stop,
                                  std::array<std::uint8_t, 32>& hmac);

}  // namespace fugo::daemon
