// Quotas of requests: how many rows one request, and all requests of one day, may put to the HSM.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "keystore/types.h"

namespace fugo::daemon {

// RequestQuota is a site's quotas; 0: no limit. A row counts whatever becomes of it, since a code
// that is only looked up is evaluated too.
struct RequestQuota {
  std::uint64_t rows_per_request = 0;
  std::uint64_t rows_per_day = 0;        // of all requests of one day ...
  std::string time_zone = "Asia/Tokyo";  // ... of this zone
};

// RowAllowance is what a request may have when it starts.
struct RowAllowance {
  std::uint32_t day = 0;                    // days since 1970
  std::uint64_t rows = keystore::kNoQuota;  // later rows are rejected
};

// row_allowance gives a new request's: the smaller of both quotas, less what others of the day were
// let have.
[[nodiscard]] Result<RowAllowance> row_allowance(const RequestQuota& quota,
                                                 const keystore::LedgerState& state,
                                                 std::int64_t now);

// take_rows notes in the state that a request of that day was let have so many rows.
void take_rows(keystore::LedgerState& state, std::uint32_t day, std::uint64_t rows);

}  // namespace fugo::daemon
